package keyring

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

var errDown = fmt.Errorf("dialling: %w", store.ErrUnavailable)

func TestAnOutageDropsNoKeyBeforeMaxStale(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one], r.docs[addr(1)] = doc(1, "k1"), doc(1, "c1")
		v := r.view(Options{})
		e, c := v.Pin(one), v.Entry(addr(1))
		r.want(e, "k1")
		r.want(c, "c1")
		r.set(func() { r.err = errDown })
		n, away := 0, time.Now()
		for i := range 23 {
			r.pass(time.Hour)
			if i == 0 {
				n = r.reads()
			}
			began := time.Now()
			r.want(e, "k1")
			r.want(c, "c1")
			if d := time.Since(began); d != 0 { // the breaker is open
				t.Fatalf("waited %s", d)
			}
		}
		r.pass(time.Hour)
		r.unavailable(r.fails(e))
		if r.reads() != n {
			t.Errorf("requests caused %d reads of a store that is away", r.reads()-n)
		}
		if r.count(StoreDown) != 1 {
			t.Errorf("told %d times that the store is away, want once", r.count(StoreDown))
		}
		if h := v.Health(); !h.Down || h.Since.Before(away) || h.Since.After(away.Add(10*time.Minute)) {
			t.Errorf("at %s it was told away since %s", away, h.Since)
		}
		back := time.Now()
		r.set(func() { r.err = nil })
		r.pass(5 * time.Second)
		r.want(e, "k1")
		if h := v.Health(); h.Down || h.Since.Before(back) {
			t.Errorf("at %s it was told back since %s", back, h.Since)
		}
		if st := e.Status(); st.RefreshAt.Before(st.CheckedAt.Add(4*time.Minute)) || st.RefreshAt.After(st.CheckedAt.Add(5*time.Minute)) {
			t.Errorf("read at %s, it is read again at %s", st.CheckedAt, st.RefreshAt)
		}
		if r.count(StoreUp) != 1 {
			t.Errorf("told %d times that it is back, want once", r.count(StoreUp))
		}
	})
}

func TestServesWithinFiveSecondsOfTheStoresReturn(t *testing.T) {
	for _, away := range []time.Duration{100 * time.Millisecond, time.Second, 3 * time.Second, time.Minute, 10 * time.Minute} {
		for name, pinned := range map[string]bool{"pinned": true, "customer": false} {
			t.Run(fmt.Sprint(name, " after ", away), func(t *testing.T) {
				inTime(t, RingOptions{}, func(r *rig) {
					r.set(func() { r.docs[one] = doc(1, "k1") })
					r.err = errDown
					v := r.view(Options{})
					e := v.Entry(one)
					if pinned {
						e = v.Pin(one)
					}
					stop := time.Now().Add(away)
					for time.Now().Before(stop) { // a request now and then, each takes what it takes
						ctx, cancel := context.WithDeadline(context.Background(), stop)
						_, _ = e.Key(ctx, "")
						cancel()
						r.pass(20 * time.Millisecond)
					}
					r.set(func() { r.err = nil })
					back := time.Now()
					for {
						if _, err := e.Key(context.Background(), ""); err == nil {
							break
						}
						r.pass(50 * time.Millisecond)
					}
					if d := time.Since(back); d > 5*time.Second {
						t.Errorf("served after %s", d)
					}
				})
			})
		}
	}
}

func TestTheBreakerOpensAndThenOnlyProbes(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.err = errDown
		v := r.view(Options{TTL: time.Minute})
		r.ring.Learn(one, doc(1, "k1"))
		for i := range 5 {
			go func() { _, _ = v.Entry(addr(i)).Key(context.Background(), "") }()
		}
		synctest.Wait()
		if !v.Health().Down {
			t.Fatal("five failures did not open it")
		}
		n := r.reads()
		began := time.Now()
		un := r.unavailable(r.fails(v.Entry(addr(9))))
		if time.Since(began) != 0 || un.RetryAfter > 5*time.Second {
			t.Errorf("waited %s and was told to come back after %s", time.Since(began), un.RetryAfter)
		}
		r.pass(2 * time.Minute)
		r.want(v.Entry(one), "k1") // stale, and asks for a refresh
		r.pass(2 * time.Minute)
		if r.reads() != n {
			t.Errorf("got %d reads while away, want none", r.reads()-n)
		}
		var gaps []time.Duration
		for i := 1; i < len(r.probes); i++ {
			gaps = append(gaps, r.probes[i].Sub(r.probes[i-1]))
		}
		if len(gaps) < 40 || gaps[0] > 2*time.Second {
			t.Fatalf("got gaps of probes %v", gaps)
		}
		for _, g := range gaps[3:] {
			if g < 3*time.Second || g > 5*time.Second {
				t.Errorf("got a gap of %s, want it to have grown to 5 s", g)
			}
		}
	})
}

func TestTheStoresReturnEndsEveryBackOff(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		r.err = errDown
		e := r.view(Options{}).Entry(one)
		r.fails(e)
		r.set(func() { r.err = nil })
		r.unavailable(r.fails(e)) // still backing off
		b := &r.ring.breaker
		b.mu.Lock()
		b.openLocked(r.ring.now())
		b.mu.Unlock()
		b.probed(nil, r.ring.now())
		r.want(e, "k1")
	})
}

func TestAFlightWaitsForTheStoresReturnUntilItsDeadline(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		r.err = errDown
		v := r.view(Options{})
		got := make(chan error, 1)
		go func() { _, err := v.Entry(one).Key(context.Background(), ""); got <- err }()
		for i := range 5 {
			go func() { _, _ = v.Entry(addr(i)).Key(context.Background(), "") }()
		}
		r.pass(2 * time.Second)
		r.set(func() { r.err = nil })
		if err := <-got; err != nil {
			t.Errorf("got %v, want the key", err)
		}
	})
}

func TestOneDocumentThatAlwaysFailsDoesNotOpenTheBreaker(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		for i := range 3 {
			r.set(func() { r.docs[addr(i)] = doc(1, "c") })
		}
		r.errs[one] = fmt.Errorf("reading: %w", store.ErrUnavailable)
		v := r.view(Options{})
		for i := range 3 {
			r.want(v.Pin(addr(i)), "c")
		}
		bad := v.Pin(one)
		for range 600 {
			r.pass(time.Second)
			_, _ = bad.Key(context.Background(), "")
			if v.Health().Down {
				t.Fatal("it is open")
			}
		}
		if n := r.readsOf(one); n > 60 {
			t.Errorf("the failing document was read %d times in ten minutes", n)
		}
		if r.count(StoreDown) != 0 || r.count(KeyFailing) != 1 {
			t.Errorf("got %v", r.events)
		}
	})
}

func TestAThrottlingStoreIsLeftAloneWhole(t *testing.T) {
	for after, want := range map[time.Duration]time.Duration{
		0: time.Second, 7 * time.Second: 7 * time.Second, time.Hour: 5 * time.Minute,
	} {
		t.Run(after.String(), func(t *testing.T) {
			inTime(t, RingOptions{}, func(r *rig) {
				r.set(func() { r.docs[one] = doc(1, "k1") })
				v := r.view(Options{TTL: 2 * time.Second})
				e := v.Pin(one)
				r.want(e, "k1")
				r.set(func() { r.err = &store.ThrottledError{After: after} })
				r.unavailable(r.fails(v.Entry(addr(1))))
				n, began := r.reads(), time.Now()
				r.set(func() { r.err = nil })
				r.pass(want - time.Millisecond)
				r.unavailable(r.fails(v.Entry(addr(2))))
				r.want(e, "k1")
				if r.reads() != n {
					t.Errorf("got %d reads in the pause", r.reads()-n)
				}
				for r.reads() == n {
					r.pass(time.Millisecond)
				}
				if d := time.Since(began); d > want+time.Second {
					t.Errorf("the pause took %s", d)
				}
				if v.Health().Down || r.count(StoreThrottled) != 1 {
					t.Errorf("the breaker counted it, or it was told %d times", r.count(StoreThrottled))
				}
			})
		})
	}
}

func TestThrottlingNeverOpensTheBreaker(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.err = &store.ThrottledError{}
		v := r.view(Options{})
		for i := range 20 {
			r.unavailable(r.fails(v.Entry(addr(i))))
			r.pass(2 * time.Second)
		}
		if v.Health().Down {
			t.Error("it is open")
		}
	})
}

func TestThrottlingIsToldOnceUntilAnAnswer(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		v := r.view(Options{TTL: time.Second})
		e := v.Pin(one)
		r.want(e, "k1")
		for i := 1; i <= 2; i++ {
			r.set(func() { r.err = &store.ThrottledError{After: 2 * time.Second} })
			r.pass(time.Minute)
			if n := r.count(StoreThrottled); n != i {
				t.Fatalf("told %d times, want %d", n, i)
			}
			r.set(func() { r.err = nil })
			r.pass(10 * time.Second)
		}
	})
}

// What was asked before the pause and is answered in it is not the store's return.
func TestALateAnswerDoesNotMakeThrottlingNews(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		throttled := &store.ThrottledError{After: 2 * time.Second}
		r.docs[one], r.docs[addr(2)] = doc(1, "k1"), doc(1, "k2")
		v := r.view(Options{TTL: time.Second})
		e := v.Pin(one)
		r.want(e, "k1")
		r.set(func() { r.delay = 500 * time.Millisecond })
		late := make(chan error)
		go func() { _, err := v.Entry(addr(2)).Key(context.Background(), ""); late <- err }()
		r.pass(100 * time.Millisecond)
		r.set(func() { r.delay, r.err = 0, throttled })
		r.fails(v.Entry(addr(3)))
		r.set(func() { r.err = nil })
		if err := <-late; err != nil {
			t.Fatal(err)
		}
		r.set(func() { r.err = throttled })
		r.pass(time.Minute)
		if n := r.count(StoreThrottled); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

func TestAPanicIsAFailure(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		r.panics = true
		e := r.view(Options{}).Entry(one)
		err := r.fails(e)
		r.unavailable(err)
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("the panic's value is told: %v", err)
		}
		r.set(func() { r.panics = false })
		r.pass(5 * time.Second)
		r.want(e, "k1")
	})
}

func TestColdReadsAreBoundedAndQueuedForASecond(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.set(func() { r.delay = 3 * time.Second })
		v := r.view(Options{})
		errs := make(chan error, 100)
		for i := range 100 {
			r.set(func() { r.docs[addr(i)] = doc(1, "c") })
			go func() { _, err := v.Entry(addr(i)).Key(context.Background(), ""); errs <- err }()
		}
		r.pass(10 * time.Second)
		busy := 0
		for range 100 {
			if err := <-errs; errors.Is(err, errBusy) {
				r.unavailable(err)
				busy++
			}
		}
		if busy != 36 || r.most != 64 {
			t.Errorf("%d were too many and %d were read at once, want 36 and 64", busy, r.most)
		}
	})
}
