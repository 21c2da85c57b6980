#!/usr/bin/env bash
# All set-up and all tests, in numbered phases. Stops at the first phase that
# fails. TESTFLAGS is handed to go test.
set -euo pipefail
cd "$(dirname "$0")/../.."

phases=9
phase=0
started=$SECONDS
say() {
	phase=$((phase + 1))
	echo
	echo "[$phase/$phases] $1 ($((SECONDS - started)) s so far)"
}
trap 'code=$?; if [[ $code != 0 ]]; then echo; echo "FAILED in phase $phase of $phases after $((SECONDS - started)) s"; fi' EXIT

say "system tools"
tools/make/need.sh go git gcc curl postgres node npm chromium
go version

say "the Vault server that the tests run"
tools/make/tool.sh vault github.com/hashicorp/vault -tags minimal

say "Nango's SDKs, which the tests drive Caddy with, and axe-core"
tools/make/sdk.sh

say "go vet"
go vet ./...

say "tests with the race detector"
mkdir -p bin
summary=bin/test-summary.txt
# -json lets the report tell packages and failures apart while they run. At most
# three tests that failed get a second chance, alone, and are named as unstable;
# with AGAIN=0 none does. It is none where the race detector found something.
export CGO_ENABLED=1
rm -f bin/test-status
# shellcheck disable=SC2086 # several flags are several words
{ go test -race -json -timeout 20m ${TESTFLAGS:-} ./... || echo $? >bin/test-status; } |
	go run ./tools/testreport -summary "$summary" -again "${AGAIN:-3}" -- -race -timeout 20m
if [[ -e bin/test-status ]] && ! grep -q unstable "$summary"; then
	echo "go test failed, and no test of it" >&2
	exit 1
fi
unset CGO_ENABLED

# The race detector allocates on its own, objects to a test that prints what
# others use, and slows the embedded database down: these are built only without
# it. Each is named, so that one that is not there is noticed.
say "what a request may cost, what no type prints, and many rows"
# One package after the other: beside the databases of the others a request costs
# more, and not in step with what it is compared with.
go test -p 1 -count=1 -v -run '^(TestCost|TestPrintingShowsWhatIsHeldInClear$|TestNothingThatHoldsAKeyPrintsIt$|TestListingManyConnections|TestASearchUses)' . ./internal/catalog ./integration/dashboard |
	tee bin/norace.txt | grep -E '^(---|ok|FAIL)|cost_test'
for test in TestCostInTimeAsARatioToClone TestNothingThatHoldsAKeyPrintsIt TestListingManyConnectionsReadsAnIndex TestListingManyConnectionsInTheStatus; do
	grep -q "^--- PASS: $test" bin/norace.txt || {
		echo "$test did not run" >&2
		exit 1
	}
done

say "the alert rules and the dashboard, by Prometheus's own packages"
# What they look at lies outside of their module, where no cache looks.
go test -C tools/promcheck -count=1 ./...

say "fuzz targets"
tools/make/fuzz.sh "${FUZZTIME:-15s}" | tee bin/fuzz.txt

say "a Caddy built by xcaddy from this clone"
tools/make/xcaddy.sh

echo
echo "ok: $(<"$summary"); $(tail -n 1 bin/fuzz.txt); xcaddy build; $((SECONDS - started)) s in all"
