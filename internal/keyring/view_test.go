package keyring

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func TestAReloadKeepsKeysAndItsOldRequests(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one], r.docs[addr(1)] = doc(1, "k1"), doc(1, "c1")
		v1 := r.view(Options{})
		e1 := v1.Pin(one)
		r.want(e1, "k1")
		held := v1.Entry(addr(1))
		r.set(func() { r.delay = time.Second })
		waiting := make(chan error, 1)
		go func() { _, err := held.Key(context.Background(), ""); waiting <- err }()
		synctest.Wait()

		v2 := r.ring.View(Options{TTL: time.Minute})
		e2 := v2.Pin(one)
		v2.Start()
		v1.Close()
		v1.Close()
		n := r.reads()
		r.want(e2, "k1")
		r.want(e1, "k1")
		if err := <-waiting; err != nil || r.reads() != n {
			t.Errorf("the waiting request got %v, and %d reads came of the reload", err, r.reads()-n)
		}
		r.want(v1.Entry(addr(1)), "c1")
		r.want(v1.Pin(one), "k1")
	})
}

func TestTheStrictestLivingViewDecidesTheSchedule(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		lax := r.view(Options{TTL: time.Hour, SyncAfter: time.Hour})
		lax.Pin(one)
		r.pass(30 * time.Minute)
		if r.reads() != 1 {
			t.Fatalf("got %d reads, want 1", r.reads())
		}
		unstarted := r.ring.View(Options{TTL: time.Second}) // of a config that fails
		unstarted.Pin(one)
		r.pass(time.Minute)
		unstarted.Close()
		if r.reads() != 1 {
			t.Fatalf("a view that was not started caused %d reads", r.reads()-1)
		}
		strict := r.view(Options{TTL: time.Minute})
		strict.Pin(one)
		r.pass(10 * time.Minute)
		n := r.reads()
		if n < 10 || n > 15 {
			t.Errorf("got %d reads in ten minutes, want one a minute", n)
		}
		strict.Close()
		r.pass(40 * time.Minute)
		if got := r.reads() - n; got > 1 {
			t.Errorf("got %d reads after the strict view was closed", got)
		}
		lax.Close()
		n = r.reads()
		r.pass(5 * time.Hour)
		if r.reads() != n {
			t.Errorf("got %d reads without a view", r.reads()-n)
		}
	})
}

func TestAClosedViewLeavesNoEmptyPinBehind(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		v := r.view(Options{})
		v.Pin(one)
		v.Pin(one)
		synctest.Wait()
		if h := v.Health(); h.Held != 1 || h.Pinned != 1 {
			t.Errorf("got %d held, %d pinned, want 1 and 1", h.Held, h.Pinned)
		}
		v.Close()
		if h := v.Health(); h.Held != 0 || h.Pinned != 0 {
			t.Errorf("after it was closed %d are held, %d pinned", h.Held, h.Pinned)
		}
	})
}

func TestARefreshThatCameTooLateIsNotDone(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		e := r.view(Options{}).Entry(one)
		asked := r.ring.now()
		r.pass(time.Second)
		r.want(e, "k1") // by another flight meanwhile
		r.ring.refresh(e.live(), asked)
		if r.reads() != 1 {
			t.Errorf("got %d reads, want 1", r.reads())
		}
	})
}

func TestARequestThatLookedBeforeAReadEndedDoesNotReadAgain(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		e := r.view(Options{}).Entry(one)
		r.want(e, "k1") // between its look and its wait
		snap, err := e.fetch(context.Background(), e.live(), nil)
		if err != nil || snap.key.Value.Reveal() != "k1" || r.reads() != 1 {
			t.Errorf("got %v after %d reads, want 1", err, r.reads())
		}
	})
}

// TestAStartAndRequestsAtOnceReadOnce tries what is between two statements often
// enough to meet it: of this many rounds about one in a thousand did.
func TestAStartAndRequestsAtOnceReadOnce(t *testing.T) {
	for i := range 10_000 {
		f := newFake()
		f.docs[one] = doc(1, "k1")
		r := New(f, RingOptions{})
		v := r.View(Options{})
		e := v.Pin(one)
		var wg sync.WaitGroup
		wg.Go(v.Start)
		for range 2 {
			wg.Go(func() {
				for range i % 7 {
					runtime.Gosched()
				}
				if _, err := e.Key(t.Context(), ""); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for range 20 {
			runtime.Gosched()
		}
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if n := f.reads(); n != 1 {
			t.Fatalf("round %d: got %d reads, want 1", i, n)
		}
	}
}

func TestIdleCustomersAreLetGoPinsAreNot(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		for i := range 3 {
			r.set(func() { r.docs[addr(i)] = doc(1, "c") })
		}
		v := r.view(Options{MaxStale: 100 * time.Hour})
		v.Pin(addr(0))
		idle, used := v.Entry(addr(1)), v.Entry(addr(2))
		r.want(idle, "c")
		for range 25 {
			r.want(used, "c")
			r.pass(time.Hour)
		}
		if h := v.Health(); h.Held != 2 || h.Pinned != 1 {
			t.Errorf("got %d held, %d pinned, want 2 and 1", h.Held, h.Pinned)
		}
		n := r.readsOf(addr(1))
		r.want(idle, "c") // its entry finds it again
		if r.readsOf(addr(1)) != n+1 {
			t.Error("the idle key was still held")
		}
	})
}

func TestNothingIsLetGoWhileTheStoreIsAway(t *testing.T) {
	inTime(t, RingOptions{MaxEntries: 5}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		v := r.view(Options{MaxStale: 100 * time.Hour, TTL: time.Minute})
		v.Pin(addr(99)) // keeps the scheduler trying
		e := v.Entry(one)
		r.want(e, "k1")
		r.set(func() { r.err = errDown })
		for range 3 {
			r.pass(time.Minute)
			_, _ = e.Key(context.Background(), "")
		}
		if !v.Health().Down {
			t.Fatal("the breaker is not open")
		}
		r.pass(30 * time.Hour)
		for i := range 10 {
			r.ring.Learn(addr(i), doc(1, "c"))
		}
		r.want(e, "k1")
		if got := v.Health().Held; got != 12 {
			t.Errorf("got %d held, want all 12", got)
		}
	})
}

func TestTooManyCustomersLetTheLeastUsedGo(t *testing.T) {
	inTime(t, RingOptions{MaxEntries: 8}, func(r *rig) {
		v := r.view(Options{})
		r.docs[one] = doc(1, "k1")
		v.Pin(one)
		for i := range 12 {
			r.set(func() { r.docs[addr(i)] = doc(1, "c") })
			r.want(v.Entry(addr(i)), "c")
			r.pass(2 * time.Second)
			r.want(v.Entry(addr(0)), "c")
		}
		if h := v.Health(); h.Held != 9 || h.Pinned != 1 {
			t.Errorf("got %d held, %d pinned, want 9 and 1", h.Held, h.Pinned)
		}
		if r.readsOf(addr(0)) != 1 || r.ring.table.warm(addr(1)) != nil {
			t.Error("not the least used went")
		}
	})
}

func TestManyCustomersStretchTheTTLAndTheRateHolds(t *testing.T) {
	inTime(t, RingOptions{Rate: 10}, func(r *rig) {
		v := r.view(Options{TTL: time.Minute})
		r.docs[one] = doc(1, "k1")
		pin := v.Pin(one)
		for i := range 3000 { // a minute's ttl would need 50 reads a second
			r.set(func() { r.docs[addr(i)] = doc(1, "c") })
			r.want(v.Entry(addr(i)), "c")
		}
		r.pass(2 * time.Minute)
		n, began := r.reads(), time.Now()
		for range 20 {
			for i := range 3000 {
				r.want(v.Entry(addr(i)), "c")
			}
			r.pass(30 * time.Second)
		}
		if got, most := r.reads()-n, 10*int(time.Since(began).Seconds())+1; got > most || got < most/2 {
			t.Errorf("got %d reads in ten minutes, want at most %d and not far from it", got, most)
		}
		if got := v.Health().TTL; got != 300*time.Second {
			t.Errorf("got a ttl of %s, want 5m", got)
		}
		r.pass(20 * time.Minute)
		for i := range 3000 { // five minutes of reads
			r.want(v.Entry(addr(i)), "c")
		}
		r.set(func() { r.docs[one] = doc(2, "k2") })
		r.pass(time.Minute)
		r.want(pin, "k2") // their queue does not delay it
	})
}

func TestBackgroundReadsAreEightAtOnce(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.set(func() { r.delay = 2 * time.Second })
		v := r.view(Options{})
		for i := range 40 {
			r.set(func() { r.docs[addr(i)] = doc(1, "c") })
			v.Pin(addr(i))
		}
		r.pass(11 * time.Second)
		if r.most != 8 || r.reads() != 40 {
			t.Errorf("got %d at once and %d in all, want 8 and 40", r.most, r.reads())
		}
	})
}

func TestCloseWaitsForReadsAndIsIdempotent(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one], r.docs[addr(1)] = doc(1, "k1"), doc(1, "c1")
		v := r.view(Options{})
		e := v.Pin(one)
		r.want(e, "k1")
		r.set(func() { r.delay = 2 * time.Second })
		got := make(chan error, 1)
		go func() { _, err := v.Entry(addr(1)).Key(context.Background(), ""); got <- err }()
		synctest.Wait()
		for range 2 {
			if err := r.ring.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-got; err != nil || r.closed != 1 {
			t.Errorf("the read under way gave %v, the store was closed %d times", err, r.closed)
		}
		r.want(e, "k1")
		r.unavailable(r.fails(v.Entry(addr(2))))
	})
}

func TestCloseCutsReadsWhenItsTimeIsOver(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.set(func() { r.delay = time.Hour })
		v := r.view(Options{})
		got := make(chan error, 1)
		go func() { _, err := v.Entry(one).Key(context.Background(), ""); got <- err }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		began := time.Now()
		_ = r.ring.Close(ctx)
		r.unavailable(<-got)
		if d := time.Since(began); d != time.Second {
			t.Errorf("closing took %s, want 1s", d)
		}
	})
}

func TestNothingThatIsToldHoldsAKey(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "canary")
		v := r.view(Options{TTL: time.Minute})
		e := v.Pin(one)
		k := r.want(e, "canary")
		d := doc(2, "canary\x01")
		r.set(func() { r.docs[one] = d })
		r.pass(time.Minute)
		for s := range v.Status() {
			if out := fmt.Sprintf("%v %+v %#v", s, s, s); strings.Contains(out, "canary") {
				t.Errorf("a status shows the key: %s", out)
			}
		}
		for _, ev := range r.events {
			if out := fmt.Sprintf("%v %+v %#v", ev, ev, ev.Err); strings.Contains(out, "canary") {
				t.Errorf("an event shows the key: %s", out)
			}
		}
		if out := fmt.Sprintf("%v %+v %#v %v", k, k, k, e); strings.Contains(out, "canary") {
			t.Errorf("a key shows its value: %s", out)
		}
		if len(r.events) == 0 {
			t.Error("nothing was told")
		}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		o  Options
		ok bool
	}{
		"defaults":                   {Options{}, true},
		"a long ttl":                 {Options{TTL: 48 * time.Hour}, true},
		"a short max_stale":          {Options{MaxStale: 10 * time.Minute}, true},
		"a negative ttl":             {Options{TTL: -1}, false},
		"max_stale below the ttl":    {Options{MaxStale: time.Minute}, false},
		"sync_after below the ttl":   {Options{SyncAfter: time.Minute}, false},
		"sync_after above max_stale": {Options{SyncAfter: 25 * time.Hour}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := c.o.WithDefaults(); (err == nil) != c.ok {
				t.Errorf("got %v", err)
			}
		})
	}
}

var _ store.Store = (*fake)(nil)
