package main

// This file holds the second chance of a few tests. Tests drive Vault, PostgreSQL
// and Chromium at once with many others on however busy a machine, so one may fail
// for want of time alone. It is then run again, with nothing beside it, and called
// unstable when it passes: it has to be mended, but says nothing against the code.

import (
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
)

// passes is how often in a row a test has to pass that failed.
const passes = 2

// failure is a test that failed; of subtests, the one they are part of.
type failure struct{ pkg, test string }

// hopeless is in the output of what no second run excuses: what the race detector
// found, and what ended a package before all of its tests had run.
var hopeless = regexp.MustCompile(`(?m)^(WARNING: DATA RACE|panic: |fatal error: |runtime: |SIG[A-Z]+: )`)

// repeatable tells whether all that went wrong is that at most limit tests failed.
func (r *report) repeatable(limit int) bool {
	packages := map[string]bool{}
	for _, f := range r.failures {
		packages[f.pkg] = true
	}
	// A bad package without a failed test did not build, or ended otherwise.
	return len(r.failures) > 0 && len(r.failures) <= limit && len(packages) == r.badPackages && !r.hopeless && r.skipped == 0 && r.passed > 0
}

// again runs each failed test alone. Those that pass count as unstable, no more as
// failed. It tells whether all did.
func (r *report) again(run func(failure) error) bool {
	all := true
	for _, f := range r.failures {
		fmt.Fprintf(r.out, "AGAIN %s %s, alone, %d times\n", f.pkg, f.test, passes)
		if err := run(f); err != nil {
			fmt.Fprintf(r.out, "FAILED again: %v\n", err)
			all = false
			continue
		}
		fmt.Fprintf(r.out, "UNSTABLE %s %s: it failed among the others, and passed alone\n", f.pkg, f.test)
		r.unstable++
	}
	return all
}

// alone returns how go test is asked to run one test, with further flags of it.
func alone(out io.Writer, flags []string) func(failure) error {
	return func(f failure) error {
		args := append([]string{"test", "-v", fmt.Sprintf("-count=%d", passes), "-failfast", "-run", "^" + regexp.QuoteMeta(f.test) + "$"}, flags...)
		cmd := exec.Command("go", append(args, f.pkg)...)
		var said strings.Builder
		cmd.Stdout, cmd.Stderr = &said, &said
		err := cmd.Run()
		if ran := strings.Count(said.String(), "\n--- PASS: "+f.test+" "); err == nil && ran != passes {
			err = fmt.Errorf("it passed %d times, not %d", ran, passes)
		}
		if err != nil {
			fmt.Fprint(out, said.String())
		}
		return err
	}
}
