package custody_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/custody"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func TestAKeyWhoseAnswerIsLostIsNotSentBlindly(t *testing.T) {
	timeout := func(done func() (int, error)) (int, error) { _, _ = done(); return 0, context.DeadlineExceeded }
	both(t, func(t *testing.T, s *site) {
		// theirs writes past the catalog.
		theirs := func(id string, cas int) {
			_, err := s.store.Put(t.Context(), address("acme", id), map[string]secret.Value{store.DefaultField: secret.New("theirs")}, cas)
			must(t, err)
		}
		for _, c := range []struct {
			name     string
			puts     []put
			versions []error
			sent     int
			err      error
			key      string
			pending  int
		}{
			{"it was stored", []put{lostAfter}, nil, 1, nil, "new", 0},
			{"it was stored, and time is up", []put{timeout}, nil, 1, nil, "new", 0},
			{"it was not stored", []put{lostBefore}, nil, 2, nil, "new", 0},
			{"it arrives after the second", []put{lostBefore, lostAfter}, nil, 2, nil, "new", 0},
			{"it arrives before the second", []put{lostBefore, func(done func() (int, error)) (int, error) {
				_, _ = done()
				return 0, store.ErrConflict
			}}, nil, 2, nil, "new", 0},
			{"it is not stored for long", []put{lostBefore, lostBefore}, nil, 2, store.ErrUnavailable, "old", 1},
			{"the second is denied", []put{lostBefore, answers(store.ErrDenied)}, nil, 2, store.ErrDenied, "old", 1},
			{"the store is away", []put{lostBefore}, []error{nil, errAway}, 1, store.ErrUnavailable, "old", 1},
			{"somebody else writes twice", []put{func(func() (int, error)) (int, error) {
				theirs("somebody else writes twice", 1)
				theirs("somebody else writes twice", 2)
				return 0, errAway
			}}, nil, 1, catalog.ErrConflict, "theirs", 0},
			{"somebody else destroys it", []put{func(func() (int, error)) (int, error) {
				must(t, s.store.Delete(t.Context(), address("acme", "somebody else destroys it")))
				return 0, errAway
			}}, nil, 1, catalog.ErrConflict, "", 0},
		} {
			t.Run(c.name, func(t *testing.T) {
				mustEnter(t, s.custody(), c.name, "old")
				keys := &scripted{keyStore: s.keys, puts: c.puts, versions: c.versions}
				err := s.custodyOf(s.db, keys).Enter(t.Context(), aConnection(c.name), secret.New("new"))
				want(t, "entering", err, c.err)
				if keys.sent != c.sent {
					t.Errorf("it was sent %d times, want %d", keys.sent, c.sent)
				}
				s.wantPending(c.pending)
				if h := s.held(c.name); h.key != c.key {
					t.Errorf("the store has %q", h.key)
				} else if c.key == "new" || c.pending > 0 {
					s.wantKey(c.name, c.key)
				}
				s.pass(2 * time.Minute)
				_, err = s.custody().Sweep(t.Context())
				must(t, err)
				s.wantPending(0)
			})
		}
	})
}

func TestWhatTheStoreCertainlyRefusedLeavesNothingPending(t *testing.T) {
	s := sealed(t)
	for _, refusal := range []error{
		store.ErrDenied, store.ErrMisconfigured, fmt.Errorf("%w: %w", store.ErrRefused, store.ErrUnavailable),
		&store.InvalidError{Reason: "is no key"}, &store.ThrottledError{After: time.Second},
	} {
		keys := &scripted{keyStore: s.keys, puts: []put{answers(refusal)}}
		err := s.custodyOf(s.db, keys).Enter(t.Context(), aConnection("cust-1"), secret.New("k"))
		want(t, "entering", err, refusal)
		if keys.sent != 1 || keys.asked != 1 {
			t.Errorf("%v: it was sent %d times and asked %d times", refusal, keys.sent, keys.asked)
		}
		s.wantPending(0)
		s.wantNothing("cust-1")
	}
}

func TestAStoreThatIsAwayIsFoundOutBeforeAnythingIsEntered(t *testing.T) {
	s := sealed(t)
	keys := &scripted{keyStore: s.keys, versions: []error{errAway}}
	want(t, "entering", s.custodyOf(s.db, keys).Enter(t.Context(), aConnection("cust-1"), secret.New("k")), store.ErrUnavailable)
	s.wantPending(0)
	if keys.sent != 0 {
		t.Error("the key was sent")
	}
}

func TestAConflictInTheStoreIsTriedOnceMoreWithItsVersion(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		for n := 1; n <= 2; n++ {
			id := fmt.Sprintf("%d others", n)
			mustEnter(t, s.custody(), id, "old")
			version := 1
			theirs := func(done func() (int, error)) (int, error) {
				_, err := s.store.Put(t.Context(), address("acme", id), map[string]secret.Value{store.DefaultField: secret.New("theirs")}, version)
				must(t, err)
				version++
				return done()
			}
			keys := &scripted{keyStore: s.keys, puts: []put{theirs, theirs}[:n]}
			err := s.custodyOf(s.db, keys).Enter(t.Context(), aConnection(id), secret.New("new"))
			if keys.sent != 2 {
				t.Errorf("%s: it was sent %d times", id, keys.sent)
			}
			s.wantPending(0)
			if n == 1 {
				must(t, err)
				s.wantKey(id, "new")
				continue
			}
			want(t, id, err, catalog.ErrConflict)
			want(t, id, err, store.ErrConflict)
		}
	})
}

func TestAClientThatLeavesChangesNothing(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		ctx, leave := context.WithCancel(t.Context())
		keys := &scripted{keyStore: s.keys, puts: []put{func(done func() (int, error)) (int, error) { leave(); return done() }}}
		must(t, s.custodyOf(s.db, keys).Enter(ctx, aConnection("cust-1"), secret.New("k")))
		s.wantKey("cust-1", "k")
		want(t, "who left before", s.custody().Enter(ctx, aConnection("cust-2"), secret.New("k")), context.Canceled)
		s.wantNothing("cust-2")
	})
}

func TestAnAnswerOfTheCatalogMayBeLost(t *testing.T) {
	away := func() error { return catalog.ErrUnavailable }
	both(t, func(t *testing.T, s *site) {
		for name, db := range map[string]*interrupted{
			"before finishing": {DB: s.db, finish: away},
			"after finishing":  {DB: s.db, closed: away},
		} {
			conn := aConnection(name)
			must(t, s.custodyOf(db, s.keys).Enter(t.Context(), conn, secret.New("k")))
			if h := s.wantKey(name, "k"); conn.Fingerprint != h.row.Fingerprint || conn.Revision != 1 {
				t.Errorf("%s: set %+v", name, conn)
			}
		}
		s.wantPending(0)

		// For long, the sweep does it.
		db := &interrupted{DB: s.db}
		db.finish = func() error { db.finish = away; return catalog.ErrUnavailable }
		want(t, "finishing", s.custodyOf(db, s.keys).Enter(t.Context(), aConnection("cust-1"), secret.New("k")), catalog.ErrUnavailable)
		s.wantPending(1)
		if s.learned["cust-1"] != nil {
			t.Error("it is used without its description")
		}
		want(t, "meanwhile", s.custody().Enter(t.Context(), aConnection("cust-1"), secret.New("k2")), catalog.ErrConflict)
		s.pass(2 * time.Minute)
		s.sweep(custody.Swept{Written: 1})
		s.wantKey("cust-1", "k")

		db = &interrupted{DB: s.db, read: away} // it is not taken for a new one
		want(t, "reading", s.custodyOf(db, s.keys).Enter(t.Context(), aConnection("cust-1"), secret.New("k2")), catalog.ErrUnavailable)
		s.wantKey("cust-1", "k")

		db = &interrupted{DB: s.db, begin: away}
		want(t, "beginning", s.custodyOf(db, s.keys).Enter(t.Context(), aConnection("cust-2"), secret.New("k")), catalog.ErrUnavailable)
		s.wantNothing("cust-2")
	})
}
