package custody_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/custody"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// cutOff leaves a write of id behind, which reached the store or did not.
func (s *site) cutOff(id string, stored bool) {
	s.t.Helper()
	p := put(lostBefore)
	if stored {
		p = lostAfter
	}
	keys := &scripted{keyStore: s.keys, puts: []put{p}, versions: []error{nil, errAway}}
	want(s.t, "a write that is cut off", s.custodyOf(s.db, keys).Enter(s.t.Context(), aConnection(id), secret.New("new")), store.ErrUnavailable)
}

func TestTheSweepTellsWhatItDid(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		mustEnter(t, s.custody(), "replaced", "old")
		mustEnter(t, s.custody(), "kept", "old")
		mustEnter(t, s.custody(), "removed", "old")
		s.cutOff("made", true)
		s.cutOff("replaced", true)
		s.cutOff("kept", false)
		keys := &scripted{keyStore: s.keys, deletes: []error{errAway}}
		want(t, "removing", s.custodyOf(s.db, keys).Remove(t.Context(), "acme", "removed"), store.ErrUnavailable)
		clear(s.forgotten)

		s.pass(59 * time.Second)
		s.sweep(custody.Swept{})
		s.wantPending(4)
		s.pass(time.Second)
		s.sweep(custody.Swept{Written: 2, Abandoned: 1, Destroyed: 1})
		s.wantKey("made", "new")
		s.wantKey("replaced", "new")
		s.wantKey("kept", "old")
		s.wantNothing("removed")
		// Another key may be held than is in the store now.
		if fmt.Sprint(s.forgotten) != "map[made:1 removed:1 replaced:1]" {
			t.Errorf("forgotten are %v", s.forgotten)
		}
		s.sweep(custody.Swept{})
	})
}

func TestTheSweepLeavesWhatItCannotEnd(t *testing.T) {
	s := sealed(t)
	for i := range 3 {
		s.cutOff(fmt.Sprintf("cust-%d", i), true)
	}
	s.pass(2 * time.Minute)
	keys := &scripted{keyStore: s.keys, versions: []error{store.ErrDenied, errAway}}
	got, err := s.custodyOf(s.db, keys).Sweep(t.Context())
	want(t, "a store that denies and goes away", err, store.ErrDenied) // the first
	if got != (custody.Swept{Left: 3}) || keys.asked != 2 {
		t.Errorf("swept %+v, asked %d times", got, keys.asked)
	}
	ctx, cancel := context.WithCancel(t.Context())
	keys = &scripted{keyStore: s.keys, versions: []error{store.ErrDenied}}
	s.pass(2 * time.Minute)
	got, err = s.custodyOf(s.db, keys).Sweep(ctx)
	want(t, "one that is denied", err, store.ErrDenied)
	if got != (custody.Swept{Left: 1, Written: 2}) {
		t.Errorf("swept %+v", got)
	}
	s.pass(2 * time.Minute)
	cancel()
	_, err = s.custody().Sweep(ctx)
	want(t, "who has no time", err, catalog.ErrUnavailable)
	nowhere := custody.New(custody.Config{Catalog: s.db, Now: s.clock, Place: func(string, string) (store.Store, store.Address, string, error) {
		return nil, store.Address{}, "", store.ErrMisconfigured
	}})
	got, err = nowhere.Sweep(t.Context())
	want(t, "who has no place", err, store.ErrMisconfigured)
	if got != (custody.Swept{Left: 1}) {
		t.Errorf("swept %+v", got)
	}
	s.sweep(custody.Swept{Written: 1})
}

func TestACatalogThatIsAwayIsAskedOnce(t *testing.T) {
	s := sealed(t)
	gone := make([]catalog.Connection, 3)
	for i := range gone {
		gone[i] = *aConnection(fmt.Sprintf("cust-%d", i))
		s.cutOff(gone[i].ID, true)
	}
	s.pass(2 * time.Minute)
	db := &absent{DB: s.db}
	got, err := s.custodyOf(db, s.keys).Sweep(t.Context())
	want(t, "sweeping", err, catalog.ErrUnavailable)
	if got != (custody.Swept{Left: 3}) || db.asked != 1 {
		t.Errorf("swept %+v, asked %d times", got, db.asked)
	}
	db = &absent{DB: s.db}
	want(t, "destroying", s.custodyOf(db, s.keys).Destroy(t.Context(), gone), catalog.ErrUnavailable)
	if db.asked != 1 {
		t.Errorf("asked %d times", db.asked)
	}
	s.sweep(custody.Swept{Written: 3})
}

func TestSeveralNodesSweepAtOnce(t *testing.T) {
	s := vaulted(t) // sqlite has one node
	const n = 20
	for i := range n {
		s.cutOff(fmt.Sprint("stored-", i), true)
		s.cutOff(fmt.Sprint("missed-", i), false)
		mustEnter(t, s.custody(), fmt.Sprint("removed-", i), "k")
		keys := &scripted{keyStore: s.keys, deletes: []error{errAway}}
		want(t, "removing", s.custodyOf(s.db, keys).Remove(t.Context(), "acme", fmt.Sprint("removed-", i)), store.ErrUnavailable)
	}
	s.pass(2 * time.Minute)
	var (
		wg  sync.WaitGroup
		mu  sync.Mutex
		sum custody.Swept
	)
	for range 4 {
		wg.Go(func() {
			got, err := s.custody().Sweep(t.Context())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			sum.Written += got.Written
			sum.Abandoned += got.Abandoned
			sum.Destroyed += got.Destroyed
		})
	}
	wg.Wait()
	if sum != (custody.Swept{Written: n, Abandoned: n, Destroyed: n}) {
		t.Errorf("together they swept %+v", sum)
	}
	s.wantPending(0)
	for i := range n {
		s.wantKey(fmt.Sprint("stored-", i), "new")
		s.wantNothing(fmt.Sprint("missed-", i))
		s.wantNothing(fmt.Sprint("removed-", i))
	}
}

// slow is a catalog whose list of what is unfinished takes its time.
type slow struct {
	*catalog.DB
	meanwhile func()
}

func (s slow) PendingKeys(ctx context.Context, olderThan time.Duration) ([]*catalog.PendingKey, error) {
	all, err := s.DB.PendingKeys(ctx, olderThan)
	s.meanwhile()
	return all, err
}

func TestASlowSweepDoesNotDestroyWhatWasEnteredSince(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		mustEnter(t, s.custody(), "removed", "old")
		keys := &scripted{keyStore: s.keys, deletes: []error{errAway}}
		want(t, "removing", s.custodyOf(s.db, keys).Remove(t.Context(), "acme", "removed"), store.ErrUnavailable)
		s.cutOff("made", true)
		s.pass(2 * time.Minute)
		db := slow{s.db, func() {
			s.sweep(custody.Swept{Written: 1, Destroyed: 1})
			mustEnter(t, s.custody(), "removed", "new")
			must(t, s.custody().Remove(t.Context(), "acme", "made"))
		}}
		if got, err := s.custodyOf(db, s.keys).Sweep(t.Context()); got != (custody.Swept{}) || err != nil {
			t.Errorf("swept %+v, %v", got, err)
		}
		s.wantKey("removed", "new")
		s.wantNothing("made")
	})
}
