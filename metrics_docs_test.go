package apikeyinject

// This file holds that the page about figures and the registry say the same.

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// registered describes every figure, as the page does: its type and labels by
// its name.
func registered(t *testing.T) map[string]string {
	t.Helper()
	shape := regexp.MustCompile(`^Desc\{fqName: "([a-z_]+)", .*variableLabels: \{([a-z_,]*)\}`)
	all := map[string]string{}
	for _, c := range append(slices.Clone(processFigures), figures{}) {
		ch := make(chan *prometheus.Desc, 100)
		c.Describe(ch)
		close(ch)
		for d := range ch {
			m := shape.FindStringSubmatch(d.String())
			if m == nil {
				t.Fatalf("cannot read %s", d)
			}
			kind := "gauge"
			if _, ok := c.(*prometheus.HistogramVec); ok {
				kind = "histogram"
			} else if strings.HasSuffix(m[1], "_total") {
				kind = "counter"
			}
			all[m[1]] = strings.TrimSpace(kind + " " + strings.ReplaceAll(m[2], ",", " "))
		}
	}
	return all
}

// documented reads the table of the page.
func documented(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile("docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (counter|gauge|histogram) \\| ([^|]*)\\|").FindAllStringSubmatch(string(page), -1) {
		all[figure+row[1]] = strings.TrimSpace(row[2] + " " + strings.NewReplacer("`", "", ",", "").Replace(row[3]))
	}
	return all
}

func TestThePageNamesEveryFigureAndNoOther(t *testing.T) {
	want, got := registered(t), documented(t)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			t.Errorf("%s is %q, the page says %q", name, want[name], got[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			t.Errorf("the page names %s, which there is not", name)
		}
	}
}
