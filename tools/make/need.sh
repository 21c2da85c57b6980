#!/usr/bin/env bash
# Says which of the named system tools are missing, and what installs them.
set -euo pipefail

missing=0
for tool in "$@"; do
	command -v "$tool" >/dev/null && continue
	compgen -G "/usr/lib/postgresql/*/bin/$tool" >/dev/null && continue # where Debian puts servers
	missing=1
	case "$tool" in
	go) how="see https://go.dev/doc/install (version $(awk '$1 == "go" {print $2}' "$(dirname "$0")/../../go.mod") or newer)" ;;
	gcc) how="Debian: apt-get install -y gcc libc6-dev    Fedora: dnf install gcc    macOS: xcode-select --install" ;;
	postgres) how="Debian: apt-get install -y postgresql    Fedora: dnf install postgresql-server    macOS: brew install postgresql" ;;
	node) how="Debian: apt-get install -y nodejs    Fedora: dnf install nodejs    macOS: brew install node" ;;
	npm) how="Debian: apt-get install -y npm    Fedora: dnf install nodejs-npm    macOS: brew install node" ;;
	*) how="Debian: apt-get install -y $tool    Fedora: dnf install $tool    macOS: brew install $tool" ;;
	esac
	echo "missing: $tool    install it with: $how" >&2
done
exit "$missing"
