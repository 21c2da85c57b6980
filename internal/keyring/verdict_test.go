package keyring

import (
	"slices"
	"testing"
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
	e.Rejected(newest)
	e.Rejected(newest)
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
