package custody_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/custody"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// immortal is more steps than anything here takes.
const immortal = 1000

// mortal returns a Custody that is killed after so many steps.
func (s *site) mortal(steps int) (*custody.Custody, *mortalStore) {
	l := &life{steps}
	keys := &mortalStore{keyStore: s.keys, life: l}
	return s.custodyOf(mortalCatalog{s.db, l}, keys), keys
}

// act is something that a process is killed in.
type act struct {
	prepare func(t *testing.T, s *site, id string)
	do      func(t *testing.T, c *custody.Custody, id string)

	// before and after are the keys of the connection; empty: there is none, in
	// any version.
	before, after string

	steps int // of do, so that none is lost unnoticed
}

var acts = map[string]act{
	"a first key": {
		do:    func(t *testing.T, c *custody.Custody, id string) { mustEnter(t, c, id, "new") },
		after: "new", steps: 12,
	},
	"a further key": {
		prepare: func(t *testing.T, s *site, id string) { mustEnter(t, s.custody(), id, "old") },
		do:      func(t *testing.T, c *custody.Custody, id string) { mustEnter(t, c, id, "new") },
		before:  "old", after: "new", steps: 12,
	},
	"a removal": {
		prepare: func(t *testing.T, s *site, id string) {
			mustEnter(t, s.custody(), id, "older")
			mustEnter(t, s.custody(), id, "old")
		},
		do:     func(t *testing.T, c *custody.Custody, id string) { must(t, c.Remove(t.Context(), "acme", id)) },
		before: "old", steps: 6,
	},
}

func TestWhoIsKilledLeavesTheOldOrTheNewState(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		for name, a := range acts {
			t.Run(name, func(t *testing.T) {
				n := 0
				for ; s.killedIn(t, a, fmt.Sprintf("%s at %d", name, n), n, immortal); n++ {
				}
				if n != a.steps {
					t.Errorf("it was killed at %d steps, want %d", n, a.steps)
				}
			})
		}
	})
}

// TestWhoIsKilledSweepingLeavesTheRestToTheNextSweep kills a process in each of
// its steps, and the one that sweeps after it in each of its own.
func TestWhoIsKilledSweepingLeavesTheRestToTheNextSweep(t *testing.T) {
	s := sealed(t)
	for name, a := range acts {
		t.Run(name, func(t *testing.T) {
			for n := range a.steps {
				for m := range 10 { // steps of a sweep that has something to do
					s.killedIn(t, a, fmt.Sprintf("%s at %d, swept at %d", name, n, m), n, m)
				}
			}
		})
	}
}

// killedIn acts, is killed after so many steps, sweeps, is killed again, sweeps
// once more, and looks at what is there. It tells whether the act was cut off.
func (s *site) killedIn(t *testing.T, a act, id string, steps, sweepSteps int) bool {
	t.Helper()
	if a.prepare != nil {
		a.prepare(t, s, id)
	}
	was := s.held(id)
	c, keys := s.mortal(steps)
	ended := lived(func() { a.do(t, c, id) })
	removed := s.held(id).row == nil && was.row != nil

	s.pass(2 * time.Minute)
	sweeper, _ := s.mortal(sweepSteps)
	lived(func() {
		if _, err := sweeper.Sweep(t.Context()); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	})
	s.pass(2 * time.Minute)
	if _, err := s.custody().Sweep(t.Context()); err != nil {
		t.Errorf("%s: %v", id, err)
	}

	s.wantPending(0)
	expect := a.before
	if keys.put || removed {
		expect = a.after
	}
	switch expect {
	case "":
		s.wantNothing(id)
	case a.before:
		if now := s.wantKey(id, expect); now.version != was.version || now.row.Revision != was.row.Revision || now.row.Fingerprint != was.row.Fingerprint {
			t.Errorf("%s: it was %+v, now it is %+v", id, was.row, now.row)
		}
	default:
		if now := s.wantKey(id, expect); was.row != nil && (now.row.Revision != was.row.Revision+1 || now.row.Fingerprint == was.row.Fingerprint) {
			t.Errorf("%s: it was %+v, now it is %+v", id, was.row, now.row)
		}
	}
	return !ended
}

func TestAKilledRemovalIsFinishedByRepeatingIt(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		a := acts["a removal"]
		for n := range a.steps {
			id := fmt.Sprintf("cust-%d", n)
			a.prepare(t, s, id)
			c, _ := s.mortal(n)
			lived(func() { a.do(t, c, id) })
			err := s.custody().Remove(t.Context(), "acme", id)
			if n < a.steps-1 { // the last step leaves nothing to do
				must(t, err)
			}
			s.wantNothing(id)
			s.wantPending(0)
		}
	})
}

func TestAFormerDocumentIsNotTakenForAWriteThatWasCutOff(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		a := act{
			prepare: func(t *testing.T, s *site, id string) {
				for cas := range 2 {
					_, err := s.store.Put(t.Context(), address("acme", id), map[string]secret.Value{store.DefaultField: secret.New("stray")}, cas)
					must(t, err)
				}
				if s.vault != nil { // its number stays
					s.vault.Do(http.MethodDelete, "secret/data/"+address("acme", id).Path, nil)
				}
			},
			do: func(t *testing.T, c *custody.Custody, id string) { mustEnter(t, c, id, "new") },
		}
		for n := range acts["a first key"].steps + 1 {
			id := fmt.Sprintf("cust-%d", n)
			a.prepare(t, s, id)
			c, keys := s.mortal(n)
			lived(func() { a.do(t, c, id) })
			s.pass(2 * time.Minute)
			_, err := s.custody().Sweep(t.Context())
			must(t, err)
			if !keys.put {
				if h := s.held(id); h.row != nil || h.key == "new" {
					t.Errorf("%s: a description of what was never entered: %+v", id, h)
				}
				continue
			}
			if h := s.wantKey(id, "new"); h.version != 3 {
				t.Errorf("%s: it is version %d", id, h.version)
			}
		}
	})
}

func TestARemovedIntegrationsKeysAreDestroyedThoughTheProcessIsKilled(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		for n, ended := 0, false; !ended; n++ {
			for _, id := range []string{"one", "two"} {
				mustEnter(t, s.custody(), id, "key")
			}
			gone, err := s.db.DeleteIntegration(t.Context(), "acme", 0, true)
			must(t, err)
			c, _ := s.mortal(n)
			ended = lived(func() { c.RemoveAll(t.Context(), gone) })
			s.pass(2 * time.Minute)
			_, err = s.custody().Sweep(t.Context())
			must(t, err)
			s.wantNothing("one")
			s.wantNothing("two")
			s.wantPending(0)
			mustIntegrate(t, s.db, "acme")
			if n > 12 {
				t.Fatal("it does not end")
			}
		}
	})
}
