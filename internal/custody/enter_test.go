package custody_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/custody"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func TestTheEndOfAKeyIsStoredBesideIt(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		c := s.custody()
		ends := time.Date(2027, 1, 31, 1, 0, 0, 0, time.FixedZone("", 3600))
		conn := aConnection("cust-1")
		conn.KeyExpiresAt = ends
		must(t, c.Enter(t.Context(), conn, secret.New("one")))
		h := s.wantKey("cust-1", "one")
		d, err := s.store.Get(t.Context(), address("acme", "cust-1"))
		must(t, err)
		if got := d.Fields[store.ExpiresField].Value.Reveal(); got != "2027-01-31T00:00:00Z" || len(d.Fields) != 2 {
			t.Errorf("the document has %d fields, and of the end %q", len(d.Fields), got)
		}
		at, bad := s.learned["cust-1"].Expires()
		if !at.Equal(ends) || bad != nil || !h.row.KeyExpiresAt.Equal(ends) {
			t.Errorf("learned %v, %v, the row has %v", at, bad, h.row.KeyExpiresAt)
		}
		h.row.KeyExpiresAt = time.Time{}
		must(t, c.Enter(t.Context(), h.row, secret.New("two")))
		h = s.wantKey("cust-1", "two")
		d, err = s.store.Get(t.Context(), address("acme", "cust-1"))
		must(t, err)
		if len(d.Fields) != 1 || !h.row.KeyExpiresAt.IsZero() {
			t.Errorf("another key has %d fields, the row %v", len(d.Fields), h.row.KeyExpiresAt)
		}
	})
}

func TestEnteringTellsWhatIsThereThen(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		c := s.custody()
		first := mustEnter(t, c, "cust-1", "one\n")
		s.wantKey("cust-1", "one") // the line end is no part of it
		if first.Revision != 1 || first.KeyVersion != 1 || !first.KeyUpdatedAt.Equal(s.now) || !first.CreatedAt.Equal(s.now) {
			t.Errorf("a new one was set to %+v", first)
		}
		s.pass(time.Hour)
		second := mustEnter(t, c, "cust-1", "two") // whatever is there
		third := *second
		third.Tags = map[string]string{"plan": "free"}
		must(t, c.Enter(t.Context(), &third, secret.New("three")))
		h := s.wantKey("cust-1", "three")
		if third.Revision != 3 || third.KeyVersion != 3 || !third.UpdatedAt.Equal(s.now) || !third.CreatedAt.Equal(first.CreatedAt) ||
			h.row.Tags["plan"] != "free" || h.row.Fingerprint != third.Fingerprint || h.row.Revision != 3 {
			t.Errorf("it was set to %+v, the row is %+v", third, h.row)
		}
		if d := s.learned["cust-1"]; d.Version != 3 || !d.CreatedAt.IsZero() || len(d.Fields) != 1 || d.Fields["apiKey"].Kind != "string" || d.Fields["apiKey"].Value.Reveal() != "three" {
			t.Errorf("learned %+v", d)
		}
		s.wantPending(0)

		stale := *second
		want(t, "from an older revision", c.Enter(t.Context(), &stale, secret.New("four")), catalog.ErrConflict)
		if stale.Fingerprint != second.Fingerprint || stale.Revision != second.Revision {
			t.Errorf("a refused one was set to %+v", stale)
		}
		gone := *second
		gone.ID = "cust-2"
		want(t, "into a row that is gone", c.Enter(t.Context(), &gone, secret.New("four")), catalog.ErrNotFound)
		s.wantKey("cust-1", "three")
		s.wantNothing("cust-2")
	})
}

func TestOnlyAConfiguredIntegrationMayBeMissingInTheCatalog(t *testing.T) {
	s := sealed(t)
	c := aConnection("cust-1")
	c.Integration = "gone"
	want(t, "an integration that was deleted", s.custody().Enter(t.Context(), c, secret.New("k")), catalog.ErrNotFound)
	c.Integration = "configured"
	must(t, s.custody().Enter(t.Context(), c, secret.New("k")))
	alone := custody.New(custody.Config{Catalog: s.db, Place: func(i, id string) (store.Store, store.Address, string, error) {
		return s.keys, address(i, id), "token", nil
	}})
	want(t, "with none configured", alone.Enter(t.Context(), c, secret.New("k")), catalog.ErrNotFound)
	must(t, alone.Enter(t.Context(), aConnection("cust-1"), secret.New("k")))
	d, err := s.store.Get(t.Context(), address("acme", "cust-1"))
	if must(t, err); d.Fields["token"].Value.Reveal() != "k" || len(d.Fields) != 1 {
		t.Errorf("the fields are %v", d.Fields)
	}
}

func TestWhatCannotBeAKeyOrAnIDIsRefused(t *testing.T) {
	s := sealed(t)
	keys := &scripted{keyStore: s.keys}
	c := s.custodyOf(s.db, keys)
	for _, key := range []string{"", "\n", "a\nb", "a\x00", strings.Repeat("k", store.MaxKeyLength+1)} {
		var invalid *store.InvalidError
		if err := c.Enter(t.Context(), aConnection("cust-1"), secret.New(key)); !errors.As(err, &invalid) || invalid.Field != "apiKey" {
			t.Errorf("%.10q: %v", key, err)
		}
	}
	for _, id := range []string{"", ".", "..", "a/b", "%2e%2e", "a%2fb", "a\nb", "\xff", strings.Repeat("x", store.MaxSegment+1)} {
		for _, conn := range []catalog.Connection{{Integration: "acme", ID: id}, {Integration: id, ID: "cust-1"}} {
			want(t, fmt.Sprintf("entering %.10q", id), c.Enter(t.Context(), &conn, secret.New("k")), store.ErrMisconfigured)
			want(t, fmt.Sprintf("removing %.10q", id), c.Remove(t.Context(), conn.Integration, conn.ID), store.ErrMisconfigured)
		}
	}
	if keys.sent+keys.asked+keys.deleted != 0 {
		t.Error("the store was asked")
	}
	s.wantPending(0)
	c = s.custodyOf(s.db, struct{ store.Store }{s.keys})
	want(t, "in a store without versions", c.Enter(t.Context(), aConnection("cust-1"), secret.New("k")), store.ErrMisconfigured)
}

func TestAnErrorOfThePlaceIsTold(t *testing.T) {
	s := sealed(t)
	c := custody.New(custody.Config{Catalog: s.db, Place: func(string, string) (store.Store, store.Address, string, error) {
		return nil, store.Address{}, "", store.ErrDenied
	}})
	want(t, "entering", c.Enter(t.Context(), aConnection("cust-1"), secret.New("k")), store.ErrDenied)
}

func TestWhoReplacesWhateverIsThereMayBePassed(t *testing.T) {
	for name, meanwhile := range map[string]func(t *testing.T, s *site){
		"by who creates it": func(t *testing.T, s *site) { mustEnter(t, s.custody(), "new", "theirs") },
		"by who changes it": func(t *testing.T, s *site) { mustEnter(t, s.custody(), "there", "theirs") },
		"by who removes it": func(t *testing.T, s *site) { must(t, s.custody().Remove(t.Context(), "acme", "there")) },
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, s *site) {
				id := "there"
				mustEnter(t, s.custody(), id, "old")
				if name == "by who creates it" {
					id = "new"
				}
				db := &interrupted{DB: s.db, begin: func() error { meanwhile(t, s); return nil }}
				must(t, s.custodyOf(db, s.keys).Enter(t.Context(), aConnection(id), secret.New("ours")))
				s.wantKey(id, "ours")
				s.wantPending(0)
				if id == "new" {
					return
				}
				// Who read a row wants to know.
				read := s.held(id).row
				db.begin = func() error { mustEnter(t, s.custody(), id, "theirs"); return nil }
				want(t, "replacing what was read", s.custodyOf(db, s.keys).Enter(t.Context(), read, secret.New("ours")), catalog.ErrConflict)
				s.wantKey(id, "theirs")
			})
		})
	}
}

func TestOfThoseWhoEnterAtOnceEachGetsThroughOrIsTold(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		errs := make(chan error)
		const writers = 8
		for i := range writers {
			go func() {
				errs <- s.custody().Enter(t.Context(), aConnection("cust-1"), secret.New(fmt.Sprint("key ", i)))
			}()
		}
		through := 0
		for range writers {
			if err := <-errs; err == nil {
				through++
			} else {
				want(t, "one that did not", err, catalog.ErrConflict)
			}
		}
		h := s.held("cust-1")
		if through == 0 || h.version != through || h.row.Revision != int64(through) {
			t.Errorf("%d got through, there is %+v", through, h)
		}
		s.wantKey("cust-1", h.key)
		s.wantPending(0)
	})
}

func TestANewConnectionReplacesNone(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		c := s.custody()
		first := aConnection("cust-1")
		first.Revision = 0
		must(t, c.Enter(t.Context(), first, secret.New("the first key")))
		second := aConnection("cust-1")
		second.Revision, second.Tags = 0, nil
		if err := c.Enter(t.Context(), second, secret.New("the second key")); !errors.Is(err, catalog.ErrConflict) {
			t.Fatalf("got %v, want a conflict", err)
		}
		if h := s.wantKey("cust-1", "the first key"); h.row.Tags["plan"] != "pro" {
			t.Errorf("the row has the tags %v", h.row.Tags)
		}
	})
}
