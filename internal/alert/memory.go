package alert

// This file holds alerts while the catalog is away, and the one about that.

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// memoryLimit bounds the alerts in memory. What is more is not told.
const memoryLimit = 10_000

// state is what is to be told of an alert: the same as in the catalog.
type state int

const (
	fresh     state = iota // to be told
	telling                // being told; with an end, that came meanwhile
	told                   // told; its end is to be told, too
	resolved               // its end is to be told
	resolving              // its end is being told
)

type memory struct {
	mu   sync.Mutex
	rows map[string]*entry
	last time.Time
}

type entry struct {
	catalog.Alert

	state state
}

func newMemory() *memory { return &memory{rows: map[string]*entry{}} }

func (m *memory) open(a catalog.Alert, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.rows[a.Subject]
	switch {
	case e == nil && len(m.rows) >= memoryLimit:
	case e == nil || e.state == resolving:
		a.OpenedAt = now
		m.rows[a.Subject], m.last = &entry{Alert: a}, now
	case e.state == resolved: // what went on before its end was told has not ended
		e.state, e.ResolvedAt = told, time.Time{}
	case e.state == telling:
		e.ResolvedAt = time.Time{}
	}
}

func (m *memory) resolve(subject string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.rows[subject]
	switch {
	case e == nil:
	case e.state == fresh:
		delete(m.rows, subject)
	case e.state == telling: // whether that arrives is not known yet
		e.ResolvedAt, m.last = now, now
	case e.state == told:
		e.state, e.ResolvedAt, m.last = resolved, now, now
	}
}

func (m *memory) count() (c catalog.AlertCount) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.rows {
		switch e.state { //nolint:exhaustive // of the others nothing is to be told
		case fresh:
			c.Opened++
		case resolved:
			c.Resolved++
		}
	}
	if c.Opened+c.Resolved > 0 {
		c.Last = m.last
	}
	return c
}

// take returns what is to be told.
func (m *memory) take() *catalog.Telling {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &catalog.Telling{ByKind: map[string]int{}}
	for _, e := range m.rows {
		a := e.Alert
		switch e.state { //nolint:exhaustive // of the others nothing is to be told
		case fresh:
			e.state = telling
			t.Count.Opened++
			t.ByKind[e.Kind]++
			t.Opened = append(t.Opened, &a)
		case resolved:
			e.state = resolving
			t.Count.Resolved++
			t.Resolved = append(t.Resolved, &a)
		}
	}
	return t
}

// done ends what take began.
func (m *memory) done(ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for subject, e := range m.rows {
		switch {
		case e.state == telling && !e.ResolvedAt.IsZero():
			e.state = resolved
		case e.state == telling && ok:
			e.state = told
		case e.state == telling:
			e.state = fresh
		case e.state == resolving && ok:
			delete(m.rows, subject)
		case e.state == resolving:
			e.state = resolved
		}
	}
}

// join makes one of two, with the oldest of both.
func join(a, b *catalog.Telling) *catalog.Telling {
	byAge := func(x, y *catalog.Alert) int {
		return cmp.Or(x.OpenedAt.Compare(y.OpenedAt), cmp.Compare(x.Subject, y.Subject))
	}
	out := &catalog.Telling{
		Opened: slices.Concat(a.Opened, b.Opened), Resolved: slices.Concat(a.Resolved, b.Resolved),
		Count:  catalog.AlertCount{Opened: a.Count.Opened + b.Count.Opened, Resolved: a.Count.Resolved + b.Count.Resolved},
		ByKind: map[string]int{},
	}
	for _, from := range []map[string]int{a.ByKind, b.ByKind} {
		for kind, n := range from {
			out.ByKind[kind] += n
		}
	}
	slices.SortFunc(out.Opened, byAge)
	slices.SortFunc(out.Resolved, byAge)
	out.Opened, out.Resolved = out.Opened[:min(named, len(out.Opened))], out.Resolved[:min(named, len(out.Resolved))]
	return out
}
