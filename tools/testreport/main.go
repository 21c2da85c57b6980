// Command testreport turns the output of go test -json into a line per package,
// the output of what failed, and a line of totals. It exits with 1 when
// anything failed, was skipped, or when no test ran at all. With -again, a few
// tests that failed are run again alone; what follows the flags is for go test.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// event is one line of go test -json; see go doc test2json.
type event struct {
	Action     string
	Package    string
	ImportPath string // set instead of Package in build output
	Test       string
	Output     string
	Elapsed    float64 // seconds
}

// report counts what it reads.
type report struct {
	out                     io.Writer
	passed, failed, skipped int
	packages, badPackages   int
	unstable                int       // of the failed ones, those that passed alone
	failures                []failure // in the order of their ends
	hopeless                bool      // something failed that is not to be run again
	perPackage              map[string]int
	output                  map[string][]string // by package and test, until it is known to have passed
}

func main() {
	summary := flag.String("summary", "", "file to write the totals to")
	limit := flag.Int("again", 0, "run failed tests again if there are at most this many")
	flag.Parse()
	start := time.Now()
	r := &report{out: os.Stdout, perPackage: map[string]int{}, output: map[string][]string{}}
	if err := r.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "reading the output of go test:", err)
		os.Exit(1)
	}
	good := r.good()
	if r.repeatable(*limit) {
		good = r.again(alone(os.Stdout, flag.Args()))
	}
	totals := r.totals(time.Since(start))
	fmt.Println(totals)
	if *summary != "" {
		if err := os.WriteFile(*summary, []byte(totals+"\n"), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "writing the totals:", err)
			os.Exit(1)
		}
	}
	if !good {
		os.Exit(1)
	}
}

// read takes in events until src ends. Lines that are no events are passed on.
func (r *report) read(src io.Reader) error {
	lines := bufio.NewScanner(src)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Action == "" {
			fmt.Fprintln(r.out, lines.Text())
			continue
		}
		r.take(e)
	}
	return lines.Err()
}

func (r *report) take(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		r.hopeless = r.hopeless || hopeless.MatchString(e.Output)
		r.output[key] = append(r.output[key], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.endPackage(e, key)
			return
		}
		r.endTest(e, key)
	}
}

func (r *report) endTest(e event, key string) {
	defer delete(r.output, key)
	switch e.Action {
	case "pass":
		r.passed++
		r.perPackage[e.Package]++
	case "skip":
		r.skipped++
		fmt.Fprintf(r.out, "SKIPPED %s %s\n%s", e.Package, e.Test, strings.Join(r.output[key], ""))
	case "fail":
		r.failed++
		if !strings.Contains(e.Test, "/") {
			r.failures = append(r.failures, failure{e.Package, e.Test})
		}
		fmt.Fprintf(r.out, "FAILED %s %s\n%s", e.Package, e.Test, strings.Join(r.output[key], ""))
	}
}

func (r *report) endPackage(e event, key string) {
	defer delete(r.output, key)
	switch e.Action {
	case "skip": // no test files
	case "pass":
		r.packages++
		fmt.Fprintf(r.out, "  ok    %-70s %4d tests %6.1f s\n", e.Package, r.perPackage[e.Package], e.Elapsed)
	case "fail":
		r.packages++
		r.badPackages++
		fmt.Fprintf(r.out, "  FAIL  %-70s %6.1f s\n%s", e.Package, e.Elapsed, strings.Join(r.output[key], ""))
		r.rest(e.Package)
	}
}

// rest prints what tests wrote that never ended: a panic, a timeout.
func (r *report) rest(pkg string) {
	for key, lines := range r.output {
		if strings.HasPrefix(key, pkg+" ") && key != pkg+" " {
			fmt.Fprintf(r.out, "UNFINISHED %s\n%s", key, strings.Join(lines, ""))
			delete(r.output, key)
		}
	}
}

func (r *report) totals(d time.Duration) string {
	unstable := ""
	if r.unstable > 0 {
		unstable = fmt.Sprintf(" (%d unstable: passed when run alone)", r.unstable)
	}
	return fmt.Sprintf("%d tests passed, %d failed%s, %d skipped; %d packages, %d bad; %.0f s",
		r.passed, r.failed, unstable, r.skipped, r.packages, r.badPackages, d.Seconds())
}

func (r *report) good() bool {
	return r.failed == 0 && r.skipped == 0 && r.badPackages == 0 && r.passed > 0
}
