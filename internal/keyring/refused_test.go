package keyring

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func TestARefusedKeyIsReadAnew(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		e := r.view(Options{}).Pin(one)
		k := r.want(e, "k1")
		r.set(func() { r.docs[one] = doc(2, "k2"); r.delay = 100 * time.Millisecond })
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				if n, ok := e.Refused(context.Background(), "", k); !ok || n.Version != 2 {
					t.Errorf("got %v, %v", n, ok)
				}
			})
		}
		wg.Wait()
		if r.reads() != 2 {
			t.Errorf("got %d reads for 200 refusals, want 1", r.reads()-1)
		}
		r.pass(time.Second)
		// A late refusal of the old key reads nothing.
		if n, ok := e.Refused(context.Background(), "", k); !ok || n.Version != 2 || r.reads() != 2 {
			t.Errorf("got %v, %v after %d reads", n, ok, r.reads())
		}
	})
}

func TestAKeyRefusedInVainIsReadOnceInTenSeconds(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		e := r.view(Options{}).Pin(one)
		k := r.want(e, "k1")
		for range 100 {
			if _, ok := e.Refused(context.Background(), "", k); ok {
				t.Fatal("got a newer key")
			}
			r.pass(95 * time.Millisecond)
		}
		if r.reads() != 2 {
			t.Errorf("got %d reads in 9.5 s, want 1", r.reads()-1)
		}
		r.pass(time.Second)
		r.set(func() { r.docs[one] = doc(2, "k2") })
		if _, ok := e.Refused(context.Background(), "", k); !ok {
			t.Error("after ten seconds it is not read again")
		}
	})
}

func TestEveryRotationIsSeenAtItsFirstRefusal(t *testing.T) {
	for _, gap := range []time.Duration{300 * time.Millisecond, 10 * time.Millisecond} {
		t.Run(gap.String(), func(t *testing.T) {
			inTime(t, RingOptions{}, func(r *rig) {
				r.set(func() { r.docs[one] = doc(1, "k1") })
				e := r.view(Options{}).Pin(one)
				k := r.want(e, "k1")
				began := time.Now()
				for n := 2; n < 102; n++ {
					r.set(func() { r.docs[one] = doc(n, fmt.Sprint("k", n)) })
					next, ok := e.Refused(context.Background(), "", k)
					if !ok || next.Version != n {
						t.Fatalf("rotation %d was not seen", n)
					}
					k = next
					r.pass(gap)
				}
				if reads, most := r.reads()-1, int(time.Since(began)/refusedSpace)+1; reads > most {
					t.Errorf("got %d reads in %s, want them 250 ms apart", reads, time.Since(began))
				}
			})
		})
	}
}

// Whoever looked before the read ended, and asks for one after it, is not left
// with the refused key.
func TestARefusalThatCrossesTheEndOfTheReadSeesWhatItBrought(t *testing.T) {
	const rotations, callers = 2000, 16
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		e := r.view(Options{}).Pin(one)
		k := r.want(e, "k1")
		var wg sync.WaitGroup
		refused := func(n int) {
			if next, ok := e.Refused(context.Background(), "", k); !ok || next.Version != n {
				t.Errorf("rotation %d was not seen: %v", n, next)
			}
		}
		for n := 2; n < 2+rotations && !t.Failed(); n++ {
			r.set(func() {
				r.docs[one] = doc(n, fmt.Sprint("k", n))
				r.answering = func() {
					for range callers {
						wg.Go(func() { refused(n) })
					}
				}
			})
			refused(n)
			wg.Wait()
			k = r.want(e, fmt.Sprint("k", n))
		}
	})
}

func TestARefusalWithTheStoreAwayWaitsForNothing(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		v := r.view(Options{})
		e := v.Pin(one)
		k := r.want(e, "k1")
		r.set(func() { r.err = &store.ThrottledError{After: time.Minute} })
		r.fails(v.Entry(addr(1)))
		n, began := r.reads(), time.Now()
		if _, ok := e.Refused(context.Background(), "", k); ok || time.Since(began) != 0 || r.reads() != n {
			t.Error("it waited, read, or found a key")
		}
	})
}
