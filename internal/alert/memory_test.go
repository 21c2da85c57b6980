package alert

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// That the catalog does the same its own tests show.
func TestWhatHappensWhileItIsToldFromMemoryIsNotLost(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	a := catalog.Alert{Subject: "store\nvault"}
	for name, c := range map[string]struct {
		steps            string // o: opens, r: resolves, t: is taken, d: was told, f: was not
		opened, resolved int    // to be told then
	}{
		"opened twice":                         {"oo", 1, 0},
		"told":                                 {"otd", 0, 0},
		"told and opened":                      {"otdo", 0, 0},
		"being told":                           {"ot", 0, 0},
		"not told":                             {"otf", 1, 0},
		"over before it is told":               {"or", 0, 0},
		"over while it is told":                {"otrd", 0, 1},
		"over while it is told in vain":        {"otrf", 0, 1},
		"over":                                 {"otdr", 0, 1},
		"over, and not":                        {"otdro", 0, 0},
		"its end is told":                      {"otdrtd", 0, 0},
		"its end is told, and it is opened":    {"otdrtdo", 1, 0},
		"its end is not told":                  {"otdrtf", 0, 1},
		"opened while its end is told":         {"otdrtod", 1, 0},
		"over again while its end is told":     {"otdrtrd", 0, 0},
		"over twice":                           {"otdrr", 0, 1},
		"resolved without having been opened":  {"r", 0, 0},
		"opened again while it is being told":  {"otod", 0, 0},
		"over and not, while it is being told": {"otrod", 0, 0},
	} {
		m := newMemory()
		for _, step := range c.steps {
			switch step {
			case 'o':
				m.open(a, now)
			case 'r':
				m.resolve(a.Subject, now)
			case 't':
				m.take()
			case 'd', 'f':
				m.done(step == 'd')
			}
		}
		if got := m.count(); got.Opened != c.opened || got.Resolved != c.resolved {
			t.Errorf("%s: %d opened, %d resolved", name, got.Opened, got.Resolved)
		}
		if kept := len(m.rows); kept > 0 && strings.HasSuffix(c.steps, "rtd") {
			t.Errorf("%s: %d are kept for nothing", name, kept)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := newMemory()
	for n := range memoryLimit + 10 {
		m.open(catalog.Alert{Subject: strconv.Itoa(n)}, time.Now())
	}
	if got := m.count().Opened; got != memoryLimit {
		t.Errorf("%d are kept", got)
	}
}
