package custody_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/custody"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func TestRemovingLeavesNoVersionOfTheKey(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		c := s.custody()
		for _, key := range []string{"one", "two", "three"} {
			mustEnter(t, c, "cust-1", key)
		}
		mustEnter(t, c, "cust-2", "other")
		must(t, c.Remove(t.Context(), "acme", "cust-1"))
		s.wantNothing("cust-1")
		s.wantKey("cust-2", "other")
		s.wantPending(0)
		if s.forgotten["cust-1"] != 1 || s.forgotten["cust-2"] != 0 {
			t.Errorf("forgotten are %v", s.forgotten)
		}
		want(t, "once more", c.Remove(t.Context(), "acme", "cust-1"), catalog.ErrNotFound)
		s.wantPending(0)
		if mustEnter(t, c, "cust-1", "again"); s.wantKey("cust-1", "again").version != 1 {
			t.Error("a former version was left")
		}
	})
}

func TestAKeyWithoutADescriptionIsRemoved(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		a := address("acme", "orphan")
		_, err := s.store.Put(t.Context(), a, map[string]secret.Value{store.DefaultField: secret.New("k")}, 0)
		must(t, err)
		if s.vault != nil { // also of one that is only hidden
			s.vault.Do(http.MethodDelete, "secret/data/"+a.Path, nil)
		}
		must(t, s.custody().Remove(t.Context(), "acme", "orphan"))
		s.wantNothing("orphan")
		s.wantPending(0)
	})
}

func TestAKeyThatIsBeingWrittenIsNotRemoved(t *testing.T) {
	s := sealed(t)
	keys := &scripted{keyStore: s.keys, puts: []put{func(done func() (int, error)) (int, error) {
		want(t, "removing it", s.custody().Remove(t.Context(), "acme", "cust-1"), catalog.ErrConflict)
		must(t, s.custody().Destroy(t.Context(), []catalog.Connection{*aConnection("cust-1")})) // nor as a deleted one
		return done()
	}}}
	must(t, s.custodyOf(s.db, keys).Enter(t.Context(), aConnection("cust-1"), secret.New("k")))
	s.wantKey("cust-1", "k")
}

func TestAKeyThatIsEnteredMeanwhileIsNotRemoved(t *testing.T) {
	s := sealed(t)
	db := &interrupted{DB: s.db, gone: func() error { mustEnter(t, s.custody(), "cust-1", "k"); return nil }}
	want(t, "removing", s.custodyOf(db, s.keys).Remove(t.Context(), "acme", "cust-1"), catalog.ErrConflict)
	s.wantKey("cust-1", "k")

	db.gone = func() error { return catalog.ErrUnavailable } // its answer is lost
	want(t, "removing", s.custodyOf(db, s.keys).Remove(t.Context(), "acme", "cust-1"), catalog.ErrUnavailable)
	must(t, s.custody().Remove(t.Context(), "acme", "cust-1"))
	s.wantNothing("cust-1")
}

func TestARemovalUnderAKeyWriteWins(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		remove := func() { must(t, s.custody().Remove(t.Context(), "acme", "cust-1")) }
		for _, p := range []put{
			func(done func() (int, error)) (int, error) { remove(); return done() },
			func(done func() (int, error)) (int, error) { v, err := done(); remove(); return v, err },
		} {
			mustEnter(t, s.custody(), "cust-1", "old")
			conn := s.held("cust-1").row
			err := s.custodyOf(s.db, &scripted{keyStore: s.keys, puts: []put{p}}).Enter(t.Context(), conn, secret.New("new"))
			if err == nil {
				t.Error("it was entered")
			}
			s.wantNothing("cust-1")
			s.wantPending(0)
		}
	})
}

func TestARemovalThatFailsIsFinishedByRepeatingItOrByTheSweep(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		for _, id := range []string{"repeated", "swept"} {
			mustEnter(t, s.custody(), id, "k")
			keys := &scripted{keyStore: s.keys, deletes: []error{errAway}}
			c := s.custodyOf(s.db, keys)
			want(t, "removing", c.Remove(t.Context(), "acme", id), store.ErrUnavailable)
			if h := s.held(id); h.row != nil || h.key != "k" || s.forgotten[id] != 1 {
				t.Errorf("there is %+v, forgotten %d times", h, s.forgotten[id])
			}
			want(t, "entering meanwhile", c.Enter(t.Context(), aConnection(id), secret.New("new")), catalog.ErrConflict)
			if id == "repeated" {
				must(t, c.Remove(t.Context(), "acme", id))
				want(t, "once more", c.Remove(t.Context(), "acme", id), catalog.ErrNotFound)
			} else {
				s.pass(2 * time.Minute)
				s.sweep(custody.Swept{Destroyed: 1})
			}
			s.wantNothing(id)
			s.wantPending(0)
		}
		keys := &scripted{keyStore: s.keys, versions: []error{errAway}}
		want(t, "what is not there, and nobody knows", s.custodyOf(s.db, keys).Remove(t.Context(), "acme", "none"), store.ErrUnavailable)
		s.pass(2 * time.Minute)
		s.sweep(custody.Swept{Destroyed: 1})
	})
}

func TestOneAtATimeDestroysAKey(t *testing.T) {
	s := sealed(t)
	mustEnter(t, s.custody(), "cust-1", "k")
	var c *custody.Custody
	keys := &during{keyStore: s.keys, delete: func() {
		want(t, "a second removal", c.Remove(t.Context(), "acme", "cust-1"), catalog.ErrConflict)
	}}
	c = s.custodyOf(s.db, keys)
	must(t, c.Remove(t.Context(), "acme", "cust-1"))
	keys.delete = func() {}
	want(t, "after it", c.Remove(t.Context(), "acme", "cust-1"), catalog.ErrNotFound)
}

func TestADeletedIntegrationsKeysAreRemoved(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		ids := make([]string, 5)
		for i := range ids {
			ids[i] = fmt.Sprintf("cust-%d", i)
			mustEnter(t, s.custody(), ids[i], "k")
		}
		gone, err := s.db.DeleteIntegration(t.Context(), "acme", 0, true)
		must(t, err)
		s.custody().RemoveAll(t.Context(), gone)
		for _, id := range ids {
			s.wantNothing(id)
			if s.forgotten[id] != 1 {
				t.Errorf("%s is not forgotten", id)
			}
		}
		s.wantPending(0)

		// A list that is old does not touch what was made since.
		mustIntegrate(t, s.db, "acme")
		mustEnter(t, s.custody(), ids[0], "new")
		must(t, s.custody().Destroy(t.Context(), gone))
		s.wantKey(ids[0], "new")
	})
}

func TestOfADeletedIntegrationTheSweepRemovesWhatCouldNotBe(t *testing.T) {
	s := sealed(t)
	for i := range 5 {
		mustEnter(t, s.custody(), fmt.Sprintf("cust-%d", i), "k")
	}
	gone, err := s.db.DeleteIntegration(t.Context(), "acme", 0, true)
	must(t, err)
	keys := &scripted{keyStore: s.keys, deletes: []error{nil, errAway}}
	want(t, "a store that goes away", s.custodyOf(s.db, keys).Destroy(t.Context(), gone), store.ErrUnavailable)
	if keys.deleted != 2 {
		t.Errorf("it was asked %d times", keys.deleted)
	}
	s.wantPending(4)
	keys = &scripted{keyStore: s.keys, deletes: []error{store.ErrDenied}}
	want(t, "one that is denied", s.custodyOf(s.db, keys).Destroy(t.Context(), gone[1:]), store.ErrDenied)
	s.wantPending(1) // which keeps it not from the others
	s.pass(2 * time.Minute)
	s.sweep(custody.Swept{Destroyed: 1})
	for i := range 5 {
		s.wantNothing(fmt.Sprintf("cust-%d", i))
	}
}
