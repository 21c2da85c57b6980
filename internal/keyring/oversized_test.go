package keyring

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// errHuge is what a store makes of an answer that it gave up.
var errHuge = fmt.Errorf("reading: %w: %w", store.ErrOversized, store.ErrUnavailable)

func TestADocumentThatBecomesTooLargeIsReadEveryFiveMinutes(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.set(func() { r.docs[one], r.docs[addr(1)] = doc(1, "k1"), doc(1, "c1") })
		v := r.view(Options{TTL: time.Minute})
		e, other := v.Pin(one), v.Pin(addr(1))
		r.want(e, "k1")
		r.want(other, "c1")
		before := r.readsOf(one)
		r.set(func() { r.errs[one] = errHuge })
		for range 19 * 60 {
			r.pass(time.Second)
			r.want(e, "k1") // also by requests that find it stale
			if v.Health().Down {
				t.Fatal("the store is taken for away")
			}
		}
		if n := r.readsOf(one) - before; n != 4 {
			t.Errorf("read %d times in nineteen minutes, want 4", n)
		}
		if st := e.Status(); st.Class != ClassOversized || r.count(KeyFailing) != 1 || r.count(StoreDown) != 0 {
			t.Errorf("got class %s and events %v", st.Class, r.events)
		}
		r.set(func() { delete(r.errs, one); r.docs[one] = doc(2, "k2") })
		r.pass(5 * time.Minute)
		r.want(e, "k2")
		if r.count(KeyRecovered) != 1 {
			t.Errorf("got %v", r.events)
		}
	})
}

func TestWhoAsksForATooLargeDocumentByNameHasItReadAtOnce(t *testing.T) {
	for name, ask := range map[string]func(r *rig, e *Entry, k *Key){
		"invalidate": func(r *rig, e *Entry, _ *Key) {
			r.ring.Invalidate(one)
			r.want(e, "k2")
		},
		"refresh": func(r *rig, _ *Entry, _ *Key) {
			if err := r.ring.Refresh(context.Background(), one); err != nil {
				r.Error(err)
			}
		},
		"refused": func(r *rig, e *Entry, k *Key) {
			if _, ok := e.Refused(context.Background(), "", k); !ok {
				r.Error("no newer key")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, RingOptions{}, func(r *rig) {
				r.set(func() { r.docs[one] = doc(1, "k1") })
				e := r.view(Options{}).Pin(one)
				k := r.want(e, "k1")
				r.set(func() { r.errs[one] = errHuge })
				_ = r.ring.Refresh(context.Background(), one)
				r.set(func() { delete(r.errs, one); r.docs[one] = doc(2, "k2") })
				ask(r, e, k)
				r.want(e, "k2")
			})
		})
	}
}

func TestATooLargeDocumentOfWhichNothingIsHeld(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.set(func() { r.errs[one] = errHuge })
		e := r.view(Options{}).Entry(one)
		for range 100 {
			if un := r.unavailable(r.fails(e)); un.RetryAfter < time.Minute || un.RetryAfter > 5*time.Minute {
				t.Fatalf("to be asked again after %s", un.RetryAfter)
			}
			r.pass(2 * time.Second)
		}
		if n := r.reads(); n != 1 {
			t.Errorf("read %d times", n)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := e.Await(ctx, ""); ctx.Err() != nil || err == nil {
			t.Errorf("it was waited for: %v", err)
		}
	})
}

// What sits before a store can answer everything with something huge.
func TestAStoreOfWhichEveryAnswerIsTooLargeIsAway(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		v := r.view(Options{TTL: 10 * time.Second})
		es := make([]*Entry, 0, 6)
		r.set(func() {
			for i := range 6 {
				r.docs[addr(i)] = doc(1, "k1")
			}
		})
		for i := range 6 {
			es = append(es, v.Pin(addr(i)))
			r.want(es[i], "k1")
		}
		r.set(func() {
			r.ill = store.ErrUnavailable
			for i := range 6 {
				r.errs[addr(i)] = errHuge
			}
		})
		r.pass(time.Minute)
		if !v.Health().Down || r.count(StoreDown) != 1 || r.count(KeyFailing) != 0 {
			t.Errorf("down: %v, events %v", v.Health().Down, r.events)
		}
		r.set(func() {
			r.ill = nil
			clear(r.errs)
			for i := range 6 {
				r.docs[addr(i)] = doc(2, "k2")
			}
		})
		r.pass(5 * time.Second)
		for _, e := range es {
			r.want(e, "k2")
		}
	})
}
