#!/usr/bin/env bash
# Runs each fuzz target for the given time, one after the other: fuzz.sh 15s.
# The committed corpus runs first; a new failing input is kept by Go below the
# package's testdata/fuzz.
set -euo pipefail
cd "$(dirname "$0")/../.."

time=${1:-15s}
count=0
for package in $(tools/make/packages.sh Fuzz); do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz'); do
		echo "-- $target in $package for $time"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" | sed 's/^/   /'
		count=$((count + 1))
	done
done
echo "$count fuzz targets, $time each"
