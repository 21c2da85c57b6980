package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// failed is the output of a run in which tests of q failed, after one that passed.
func failed(output string, tests ...string) string {
	var s strings.Builder
	fmt.Fprintln(&s, `{"Action":"pass","Package":"p","Test":"TestA"}`)
	for _, test := range tests {
		fmt.Fprintf(&s, "{\"Action\":\"output\",\"Package\":\"q\",\"Test\":%q,\"Output\":%q}\n{\"Action\":\"fail\",\"Package\":\"q\",\"Test\":%[1]q}\n", test, output)
	}
	fmt.Fprintln(&s, `{"Action":"fail","Package":"q","Elapsed":1}`)
	return s.String()
}

func TestWhichFailuresGetASecondChance(t *testing.T) {
	for _, c := range []struct {
		name, input string
		want        bool
	}{
		{"one test", failed("    x_test.go:1: want 1\n", "TestB"), true},
		{"as many as the limit, their subtests aside", failed("want 1\n", "TestB/a", "TestB", "TestC"), true},
		{"more than the limit", failed("want 1\n", "TestB", "TestC", "TestD"), false},
		{"none", `{"Action":"pass","Package":"p","Test":"TestA"}`, false},
		{"a race", failed("==================\nWARNING: DATA RACE\n", "TestB"), false},
		{"a panic", failed("panic: x [recovered]\n", "TestB"), false},
		{"a timeout", failed("panic: test timed out after 20m0s\n", "TestB"), false},
		{"another package does not build", failed("want 1\n", "TestB") + `{"Action":"fail","Package":"r"}`, false},
		{"a skipped test beside it", failed("want 1\n", "TestB") + `{"Action":"skip","Package":"p","Test":"TestS"}`, false},
		{"a log that speaks of a panic", failed("    x_test.go:1: panic: no\n", "TestB"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := read(t, c.input)
			if got := r.repeatable(2); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if r.repeatable(0) {
				t.Error("with no second chances there is one")
			}
		})
	}
}

func TestASecondChance(t *testing.T) {
	var ran []string
	r := read(t, failed("want 1\n", "TestB", "TestC"))
	good := r.again(func(f failure) error {
		ran = append(ran, f.test)
		if f.test == "TestC" {
			return errors.New("exit status 1")
		}
		return nil
	})
	if good || fmt.Sprint(ran) != "[TestB TestC]" {
		t.Errorf("good = %v after %v", good, ran)
	}
	if said := r.totals(time.Second); !strings.Contains(said, "1 tests passed, 2 failed (1 unstable: ") {
		t.Errorf("said %q", said)
	}
}

// A module of its own is tested by the real go test.
func TestATestRunsAlone(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module m\n\ngo 1.26\n",
		"m_test.go": `package m

import "testing"

func TestGood(*testing.T)         {}
func TestGoodAlso(t *testing.T)   { t.Error("not asked for") }
func TestBad(t *testing.T)        { t.Error("want 1") }
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	var out strings.Builder
	run := alone(&out, []string{"-vet=off"})
	if err := run(failure{"m", "TestGood"}); err != nil || out.Len() > 0 {
		t.Errorf("a good one: %v %s", err, out.String())
	}
	if err := run(failure{"m", "TestBad"}); err == nil || !strings.Contains(out.String(), "want 1") {
		t.Errorf("a bad one: %v %s", err, out.String())
	}
	if err := run(failure{"m", "TestNone"}); err == nil {
		t.Error("one that is not there passed")
	}
}

func read(t *testing.T, input string) *report {
	t.Helper()
	r := &report{out: &strings.Builder{}, perPackage: map[string]int{}, output: map[string][]string{}}
	if err := r.read(strings.NewReader(input)); err != nil {
		t.Fatal(err)
	}
	return r
}
