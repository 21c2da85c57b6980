package keyring

import (
	"context"
	"slices"
	"testing"
	"time"
)

func TestVerdicts(t *testing.T) {
	var told []string
	r := New(newFake(), RingOptions{})
	v := r.View(Options{Observe: func(e Event) { told = append(told, string(e.Kind)) }})
	r.views.add(v)
	e := v.Entry(addr(1))
	old, newest := &Key{Version: 1}, &Key{Version: 2}

	e.Accepted(newest)
	if len(told) != 0 {
		t.Fatalf("an accepted key that was never rejected was told: %v", told)
	}
	e.Rejected(newest, 1)
	e.Rejected(newest, 1)
	if !slices.Equal(told, []string{"key_rejected"}) || !e.Status().Rejected {
		t.Fatalf("told %v, status %+v", told, e.Status())
	}
	e.Accepted(old)
	if len(told) != 1 || !e.Status().Rejected {
		t.Fatalf("a former version spoke for the newest: %v", told)
	}
	e.Accepted(newest)
	e.Accepted(newest)
	if !slices.Equal(told, []string{"key_rejected", "key_accepted"}) || e.Status().Rejected {
		t.Fatalf("told %v, status %+v", told, e.Status())
	}
}

func TestAKeyIsRejectedAfterSomeRefusalsInARow(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		e := r.view(Options{}).Pin(one)
		k := r.want(e, "k1")
		refuse := func(want bool) {
			t.Helper()
			if got := e.Rejected(k, 3); got != want || e.Status().Rejected != want {
				t.Errorf("counts as refused: %v, %+v", got, e.Status())
			}
		}
		refuse(false)
		refuse(false)
		e.Accepted(k) // so they are not in a row
		refuse(false)
		refuse(false)
		r.pass(time.Minute)
		refuse(true)
		refuse(true)
		if at := e.Status().RejectedAt; !at.Equal(time.Now()) {
			t.Errorf("refused last at %v", at)
		}
		r.set(func() { r.docs[one] = doc(2, "k2") })
		if _, ok := e.Refused(context.Background(), "", k); !ok || e.Status().Rejected {
			t.Errorf("a new key is refused, too: %+v", e.Status())
		}
		if r.count(KeyRejected) != 1 || r.count(KeyAccepted) != 0 {
			t.Errorf("told %v", r.events)
		}
		k = r.want(e, "k2") // of which refusals are counted from one
		refuse(false)
		refuse(false)
		refuse(true)
	})
}
