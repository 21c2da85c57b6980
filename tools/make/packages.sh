#!/usr/bin/env bash
# Lists the packages of this module with test functions of one kind:
# packages.sh Fuzz, packages.sh Benchmark. Untracked files count, ignored ones
# and other modules do not.
set -euo pipefail
cd "$(dirname "$0")/../.."

git ls-files --cached --others --exclude-standard '*_test.go' |
	while read -r f; do
		if [[ -f "$f" ]] && grep -q "^func $1[A-Z]" "$f"; then echo "./$(dirname "$f")"; fi
	done | sort -u
