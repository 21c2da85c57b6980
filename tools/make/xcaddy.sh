#!/usr/bin/env bash
# Builds Caddy with this plugin the way a user does, with the xcaddy that go.mod
# pins, and asks the result who it is. The proxied call through this binary is
# a test of the integration folder: it takes the binary from HARNESS_CADDY.
set -euo pipefail
cd "$(dirname "$0")/../.."

module=github.com/apikeyinject/caddy-apikey-inject
caddy_version=$(go list -m -f '{{.Version}}' github.com/caddyserver/caddy/v2)

# xcaddy asks which versions of the plugin there are before it takes the clone
# instead. Some proxies refuse that question (403) for a module they do not
# carry, where the public one says that there is none (404). A list without
# versions, in front of the configured proxy, is the same answer everywhere.
empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
mkdir -p "$empty/$module/@v"
touch "$empty/$module/@v/list"

mkdir -p bin
echo "building bin/caddy-xcaddy (a minute or two; what xcaddy says is in bin/xcaddy.log)"
GOPROXY="file://$empty,$(go env GOPROXY)" go tool xcaddy build "$caddy_version" --output bin/caddy-xcaddy --with "$module=." >bin/xcaddy.log 2>&1 || {
	tail -n 40 bin/xcaddy.log >&2
	exit 1
}

bin/caddy-xcaddy version
modules=$(bin/caddy-xcaddy list-modules --packages)
for id in http.handlers.apikey_inject; do
	grep -q "^$id " <<<"$modules" || {
		echo "the binary built by xcaddy lacks the module $id" >&2
		exit 1
	}
done
grep apikey_inject <<<"$modules"

HARNESS_CADDY="$PWD/bin/caddy-xcaddy" go test -count=1 -run '^TestBuiltCaddy' -v ./integration/ | tee bin/xcaddy-test.txt
grep -q '^--- PASS: TestBuiltCaddy' bin/xcaddy-test.txt || {
	echo "no TestBuiltCaddy passed with the binary built by xcaddy" >&2
	exit 1
}
