#!/usr/bin/env bash
# Installs the npm packages that the tests in integration/sdk drive Caddy with,
# once: they are kept while the lock file, node, and npm are the same.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools/make/need.sh node npm
cd integration/sdk
oldest=20 # as @nangohq/node asks for
if (($(node -p 'process.versions.node.split(".")[0]') < oldest)); then
	echo "node $(node --version) is too old: the tests in integration/sdk need version $oldest or newer" >&2
	exit 1
fi

want=$({ cat package.json package-lock.json .npmrc; node --version; npm --version; } | git hash-object --stdin)
stamp=node_modules/.installed
if [[ -f $stamp && $(<"$stamp") == "$want" ]]; then
	echo "integration/sdk/node_modules is up to date"
	exit 0
fi

echo "installing $(grep -c '^    "node_modules/' package-lock.json) npm packages into integration/sdk/node_modules (some seconds)"
npm ci --ignore-scripts --no-audit --no-fund
echo "$want" >"$stamp"
