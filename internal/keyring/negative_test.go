package keyring

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func TestAnAbsentDocumentIsReadAgainAfterAGrowingWhile(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		v := r.view(Options{})
		began := time.Now()
		for time.Since(began) < 20*time.Minute {
			if err := r.fails(v.Entry(one)); !errors.Is(err, store.ErrNotFound) {
				t.Fatalf("got %v, want ErrNotFound", err)
			}
			r.pass(time.Second)
		}
		got := make([]time.Duration, 0, len(r.log))
		for _, x := range r.log {
			got = append(got, x.at.Sub(began).Truncate(10*time.Second))
		}
		want := "[0s 30s 1m30s 3m30s 7m30s 12m30s 17m30s]"
		if fmt.Sprint(got) != want {
			t.Errorf("read at %v, want %s", got, want)
		}
	})
}

func TestMadeUpCustomersPushNoKeyOut(t *testing.T) {
	inTime(t, RingOptions{MaxNegative: 100, MaxEntries: 10}, func(r *rig) {
		v := r.view(Options{})
		for i := range 10 {
			r.set(func() { r.docs[addr(i)] = doc(1, "c") })
			r.want(v.Entry(addr(i)), "c")
		}
		for i := 1000; i < 3000; i++ {
			r.fails(v.Entry(addr(i)))
		}
		n := r.reads()
		for i := range 10 {
			r.want(v.Entry(addr(i)), "c")
		}
		r.fails(v.Entry(addr(2999))) // still remembered
		if r.reads() != n {
			t.Errorf("%d keys were pushed out", r.reads()-n)
		}
		if got := len(r.ring.table.cold.slots); got > 100 {
			t.Errorf("remembers %d, want at most 100", got)
		}
		if got := len(r.ring.table.cold.order); got > 264 {
			t.Errorf("their order holds %d", got)
		}
	})
}

func TestWhatWasFoundIsNotRememberedAsAbsent(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		v := r.view(Options{})
		for i := range 1000 {
			r.set(func() { r.docs[addr(i)] = doc(1, "c") })
			r.want(v.Entry(addr(i)), "c")
		}
		if c := &r.ring.table.cold; len(c.slots) != 0 || len(c.order) > 65 {
			t.Errorf("remembers %d, their order holds %d", len(c.slots), len(c.order))
		}
	})
}

func TestAPolicysDenialIsRememberedForAMinute(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.errs[one] = fmt.Errorf("reading: %w", store.ErrDenied)
		v := r.view(Options{})
		for range 59 {
			un := r.unavailable(r.fails(v.Entry(one)))
			if !errors.Is(un, store.ErrDenied) || un.RetryAfter > time.Minute {
				t.Fatalf("got %v after %s", un, un.RetryAfter)
			}
			r.pass(time.Second)
		}
		if r.reads() != 1 {
			t.Errorf("got %d reads, want 1", r.reads())
		}
		r.pass(2 * time.Second)
		r.fails(v.Entry(one))
		if r.reads() != 2 {
			t.Errorf("got %d reads, want 2", r.reads())
		}
	})
}

func TestADeniedKeyIsServedForItsGraceOnly(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		e := r.view(Options{TTL: time.Minute}).Pin(one)
		r.want(e, "k1")
		r.set(func() { r.errs[one] = fmt.Errorf("reading: %w", store.ErrDenied) })
		r.pass(5 * time.Minute)
		r.want(e, "k1")
		r.pass(2 * time.Minute)
		r.unavailable(r.fails(e))
		if r.count(KeyDenied) != 2 {
			t.Errorf("told %d times, want at its beginning and its end", r.count(KeyDenied))
		}
		r.set(func() { r.errs[one] = nil })
		r.pass(time.Minute)
		r.want(e, "k1")
	})
}

func TestAMisconfiguredAddressKeepsTheKey(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		e := r.view(Options{TTL: time.Minute}).Pin(one)
		r.want(e, "k1")
		r.set(func() { r.errs[one] = fmt.Errorf("reading: %w", store.ErrMisconfigured) })
		r.pass(time.Hour)
		r.want(e, "k1")
		if n := r.reads(); n < 55 || n > 65 || r.count(KeyFailing) != 1 {
			t.Errorf("got %d reads in an hour and %d events, want one a minute and one", n, r.count(KeyFailing))
		}
	})
}

func TestADeletedKeyIsObeyedAfterASecondRead(t *testing.T) {
	for name, pinned := range map[string]bool{"pinned": true, "customer": false} {
		t.Run(name, func(t *testing.T) {
			inTime(t, RingOptions{}, func(r *rig) {
				r.set(func() { r.docs[one] = doc(1, "k1") })
				v := r.view(Options{TTL: time.Minute})
				e := v.Entry(one)
				if pinned {
					e = v.Pin(one)
				}
				r.want(e, "k1")
				r.set(func() { delete(r.docs, one) })
				for r.reads() == 1 {
					r.want(e, "k1")
					r.pass(100 * time.Millisecond)
				}
				r.pass(4500 * time.Millisecond)
				r.want(e, "k1")
				r.pass(time.Second)
				if err := r.fails(e); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("got %v, want ErrNotFound", err)
				}
				if r.reads() != 3 || r.count(KeyDeleted) != 1 {
					t.Errorf("got %d reads and %d events, want 3 and 1", r.reads(), r.count(KeyDeleted))
				}
				r.set(func() { r.docs[one] = doc(1, "again") })
				r.pass(31 * time.Second)
				r.want(e, "again")
			})
		})
	}
}

func TestAKeyThatIsBackAtTheSecondReadStays(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		e := r.view(Options{TTL: time.Minute}).Pin(one)
		k := r.want(e, "k1")
		r.set(func() { delete(r.docs, one) })
		for r.reads() == 1 {
			r.pass(100 * time.Millisecond)
		}
		r.set(func() { r.docs[one] = doc(1, "k1") })
		r.pass(time.Minute)
		if r.want(e, "k1") != k {
			t.Error("the key was dropped")
		}
		if got := e.Status().Class; got != "" {
			t.Errorf("the trouble that is over is still told: %s", got)
		}
		r.set(func() { delete(r.docs, one) })
		n := r.reads()
		for r.reads() == n {
			r.pass(100 * time.Millisecond)
		}
		r.want(e, "k1") // once more it takes two reads
	})
}

func TestAnOutageBetweenTheTwoReadsDropsNothing(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		e := r.view(Options{TTL: time.Minute}).Pin(one)
		r.want(e, "k1")
		r.set(func() { delete(r.docs, one) })
		for r.reads() == 1 {
			r.pass(100 * time.Millisecond)
		}
		r.set(func() { r.err = errDown })
		r.pass(time.Hour)
		r.want(e, "k1")
		r.set(func() { r.err = nil })
		r.pass(10 * time.Second)
		r.fails(e)
	})
}

func TestLearnIsUsedAtOnceAndNotByAnOlderRead(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		v := r.view(Options{})
		e := v.Entry(one)
		r.fails(e) // absent is remembered
		r.ring.Learn(one, doc(1, "k1"))
		r.want(e, "k1")
		r.docs[one] = doc(1, "k1")
		r.set(func() { r.delay = time.Second })
		go func() { _ = r.ring.Refresh(context.Background(), one) }()
		synctest.Wait()
		r.ring.Learn(one, doc(2, "k2"))
		r.pass(2 * time.Second)
		r.want(e, "k2")
		r.ring.Learn(one, doc(1, "k1"))
		r.want(e, "k2")
		if r.count(KeyChanged) != 1 {
			t.Errorf("told %d changes, want 1", r.count(KeyChanged))
		}
	})
}

func TestInvalidateForgetsAndAReadUnderWayDoesNotBringItBack(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		v := r.view(Options{})
		e := v.Entry(one)
		r.want(e, "k1")
		r.set(func() { r.delay = time.Second })
		go func() { _ = r.ring.Refresh(context.Background(), one) }()
		synctest.Wait()
		r.ring.Invalidate(one)
		r.pass(2 * time.Second)
		if got := e.Status().State; got != "missing" {
			t.Errorf("got state %s, want missing", got)
		}
		r.want(e, "k1")
	})
}

func TestRefreshReadsAnewAndTellsTheError(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		e := r.view(Options{}).Entry(one)
		r.want(e, "k1")
		r.set(func() { r.delay = time.Second })
		go func() { _ = r.ring.Refresh(context.Background(), one) }()
		r.pass(500 * time.Millisecond)
		// A read that began before the change does not do for this one.
		if err := r.ring.Refresh(context.Background(), one); err != nil || r.reads() != 3 {
			t.Errorf("got %v after %d reads, want none after 3", err, r.reads())
		}
		r.set(func() { r.errs[one] = errDown })
		r.unavailable(r.ring.Refresh(context.Background(), one))
		r.want(e, "k1")
	})
}
