package main

import (
	"io"
	"strings"
	"testing"
	"time"
)

func TestReport(t *testing.T) {
	const pass = `{"Action":"pass","Package":"p","Test":"TestA"}` + "\n" + `{"Action":"pass","Package":"p","Elapsed":1}` + "\n"
	for _, c := range []struct {
		name, input string
		good        bool
		says        string
	}{
		{"passed tests are good", pass, true, "1 tests passed"},
		{"nothing run is not good", `{"Action":"skip","Package":"p"}`, false, ""},
		{"a skipped test is not good", `{"Action":"skip","Package":"p","Test":"TestB"}` + "\n" + pass, false, "SKIPPED p TestB"},
		{"a failed test shows its output", `{"Action":"output","Package":"p","Test":"TestB","Output":"want 1\n"}` + "\n" + `{"Action":"fail","Package":"p","Test":"TestB"}` + "\n" + pass, false, "want 1"},
		{"a package that does not build is not good", `{"ImportPath":"q","Action":"build-output","Output":"undefined: x\n"}` + "\n" + `{"Action":"fail","Package":"q"}` + "\n" + pass, false, "undefined: x"},
		{"a test cut off by a panic shows its output", `{"Action":"output","Package":"q","Test":"TestC","Output":"panic: y\n"}` + "\n" + `{"Action":"fail","Package":"q"}` + "\n" + pass, false, "panic: y"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			r := &report{out: &out, perPackage: map[string]int{}, output: map[string][]string{}}
			if err := r.read(strings.NewReader(c.input)); err != nil && err != io.EOF {
				t.Fatal(err)
			}
			if r.good() != c.good {
				t.Errorf("good = %v, want %v", r.good(), c.good)
			}
			if said := out.String() + r.totals(time.Second); !strings.Contains(said, c.says) {
				t.Errorf("said %q, want it to contain %q", said, c.says)
			}
		})
	}
}
