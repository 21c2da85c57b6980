package keyring

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func TestALazyViewReadsWhatIsAskedFor(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		v := r.ring.View(Options{Lazy: true, Observe: r.observe})
		e := v.Pin(one)
		v.Start()
		v.Pin(addr(1))
		r.pass(time.Hour)
		if n := r.reads(); n != 0 {
			t.Fatalf("%d reads before the first request", n)
		}
		r.want(e, "k1")
		r.pass(time.Hour)
		if n := r.reads(); n != 1 {
			t.Errorf("%d reads of a key that is not used, want the first alone", n)
		}
		warm := r.ring.View(Options{})
		warm.Pin(one)
		warm.Start()
		v.Close() // takes nothing off that it did not put there
		before := r.reads()
		r.pass(time.Hour)
		if r.reads() == before {
			t.Error("the lazy view's end stopped the refreshes of another")
		}
		warm.Close()
	})
}

func TestAwaitOutlastsAnOutage(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.err = fmt.Errorf("dialling: %w", store.ErrUnavailable)
		e := r.view(Options{}).Pin(one)
		time.AfterFunc(12*time.Second, func() {
			r.set(func() { r.err, r.docs[one] = nil, doc(1, "k1") })
		})
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		began := time.Now()
		k, err := e.Await(ctx, "")
		if err != nil || k.Value.Reveal() != "k1" {
			t.Fatalf("got %v", err)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("took %s for a store that was away for 12s", took)
		}
	})
}

func TestAwaitEndsWithTheReason(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.err = fmt.Errorf("dialling: %w", store.ErrUnavailable)
		e := r.view(Options{}).Pin(one)
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		began := time.Now()
		_, err := e.Await(ctx, "")
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("got %v, want the store's own error", err)
		}
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("took %s, want all of the 30s", took)
		}
	})
}

func TestAwaitDoesNotWaitForWhatStays(t *testing.T) {
	for name, cause := range map[string]error{
		"no such document":    store.ErrNotFound,
		"denied":              store.ErrDenied,
		"no such mount":       store.ErrMisconfigured,
		"refused credentials": fmt.Errorf("%w: %w", store.ErrRefused, store.ErrUnavailable),
		"no usable field":     &store.InvalidError{Reason: "is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, RingOptions{}, func(r *rig) {
				r.errs[one] = cause
				e := r.view(Options{}).Pin(one)
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
				defer cancel()
				began := time.Now()
				_, err := e.Await(ctx, "")
				if err == nil || time.Since(began) > 6*time.Second {
					t.Errorf("got %v after %s", err, time.Since(began))
				}
			})
		})
	}
}
