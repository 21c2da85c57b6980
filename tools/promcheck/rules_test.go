// Package promcheck holds the examples for Prometheus and Grafana against
// Prometheus's own parser and engine, and against the page that lists the
// metrics there are. It has a module of its own: none of this reaches a build of
// the plugin.
package promcheck

import (
	"encoding/json"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

const (
	rulesFile     = "../../examples/prometheus/rules.yml"
	dashboardFile = "../../examples/grafana/dashboard.json"
	page          = "../../docs/observability.md"
	prefix        = "caddy_apikey_inject_"
)

// labelsOf returns the labels of each metric of the page, by its name. A test of
// the plugin holds the page against the registry.
func labelsOf(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (counter|gauge|histogram) \\| ([^|]*)\\|").FindAllStringSubmatch(string(text), -1) {
		labels := append(strings.Fields(strings.NewReplacer("`", "", ",", "").Replace(row[3])), "instance", "job")
		if row[2] == "histogram" {
			all[prefix+row[1]+"_bucket"] = append(labels, "le")
			for _, suffix := range []string{"_sum", "_count"} {
				all[prefix+row[1]+suffix] = labels
			}
			continue
		}
		all[prefix+row[1]] = labels
	}
	if len(all) < 20 {
		t.Fatalf("the page lists %d metrics", len(all))
	}
	return all
}

// check parses an expression and fails unless it names only metrics and labels
// that there are. It returns the metrics.
func check(t *testing.T, where, expr string, known map[string][]string) (names []string) {
	t.Helper()
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return nil
	}
	var labels []string // of all metrics in the expression
	var grouped []string
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			has, ok := known[n.Name]
			if !ok {
				t.Errorf("%s: there is no metric %q", where, n.Name)
			}
			names = append(names, n.Name)
			labels = append(labels, has...)
			for _, m := range n.LabelMatchers {
				if m.Name != model.MetricNameLabel && ok && !slices.Contains(has, m.Name) {
					t.Errorf("%s: %s has no label %q", where, n.Name, m.Name)
				}
			}
		case *parser.AggregateExpr:
			grouped = append(grouped, n.Grouping...)
		}
		return nil
	})
	for _, l := range grouped {
		if !slices.Contains(labels, l) {
			t.Errorf("%s: nothing here has the label %q", where, l)
		}
	}
	return names
}

func TestTheRulesNameOnlyMetricsThatExist(t *testing.T) {
	rules, errs := rulefmt.ParseFile(rulesFile, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	known := labelsOf(t)
	seen := map[string]bool{}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if seen[r.Alert] || !strings.HasPrefix(r.Alert, "ApikeyInject") {
				t.Errorf("%q is no name for an alert, or there twice", r.Alert)
			}
			seen[r.Alert] = true
			if names := check(t, r.Alert, r.Expr, known); len(names) == 0 {
				t.Errorf("%s looks at no metric", r.Alert)
			}
			for _, must := range []string{"summary", "description"} {
				if r.Annotations[must] == "" {
					t.Errorf("%s has no %s", r.Alert, must)
				}
			}
			if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
				t.Errorf("%s has the severity %q", r.Alert, r.Labels["severity"])
			}
		}
	}
	if len(seen) < 10 {
		t.Errorf("%d alerts", len(seen))
	}
}

// dashboard is what is looked at of a Grafana dashboard.
type dashboard struct {
	Panels []struct {
		Title      string
		Type       string
		Datasource struct{ UID string }
		Targets    []struct {
			Expr       string
			Datasource struct{ UID string }
		}
		GridPos struct{ H, W, X, Y int }
	}
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
}

func TestTheDashboardNamesOnlyMetricsThatExist(t *testing.T) {
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	known, shown := labelsOf(t), map[string]bool{}
	fill := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*", "$integration", ".*")
	for _, p := range d.Panels {
		if p.GridPos.X+p.GridPos.W > 24 || p.GridPos.W == 0 || p.GridPos.H == 0 {
			t.Errorf("%s lies at %+v", p.Title, p.GridPos)
		}
		for _, q := range p.Targets {
			if q.Datasource.UID != "${datasource}" {
				t.Errorf("%s asks %q", p.Title, q.Datasource.UID)
			}
			for _, name := range check(t, p.Title, fill.Replace(q.Expr), known) {
				shown[name] = true
			}
		}
	}
	if v := d.Templating.List; len(v) == 0 || v[0].Name != "datasource" || v[0].Type != "datasource" {
		t.Error("the first variable is not the data source")
	}
	for _, v := range d.Templating.List[1:] {
		m := regexp.MustCompile(`^label_values\((.*), ([a-z]+)\)$`).FindStringSubmatch(v.Definition)
		if m == nil {
			t.Fatalf("the variable %s is %q", v.Name, v.Definition)
		}
		name := check(t, v.Name, fill.Replace(m[1]), known)
		if len(name) != 1 || !slices.Contains(known[name[0]], m[2]) {
			t.Errorf("the variable %s asks for the label %q of %v", v.Name, m[2], name)
		}
	}
	for name := range known {
		if strings.HasSuffix(name, "_sum") || strings.HasSuffix(name, "_count") {
			continue
		}
		if !shown[name] {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}
