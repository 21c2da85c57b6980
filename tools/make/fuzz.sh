#!/usr/bin/env bash
# Runs each fuzz target for the given time, one after the other: fuzz.sh 15s.
# Shortening each interesting input may take its default of 60s, which would be the
# whole run. The committed corpus runs first; a new failing input is kept by Go below the
# package's testdata/fuzz.
set -euo pipefail
cd "$(dirname "$0")/../.."

time=${1:-15s}
count=0
# Lists go through variables: a failure inside "for … in $(…)" would go unseen.
packages=$(tools/make/packages.sh Fuzz)
for package in $packages; do
	targets=$(go test -list '^Fuzz' "$package" | grep '^Fuzz')
	for target in $targets; do
		echo "-- $target in $package for $time"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1s "$package" | sed 's/^/   /'
		count=$((count + 1))
	done
done
if ((count == 0)); then
	echo "found no fuzz target" >&2
	exit 1
fi
echo "$count fuzz targets, $time each"
