package keyring

import (
	"errors"
	"maps"
	"testing"
	"time"
)

// wantCounts fails unless the counts that are not 0 are these.
func (r *rig) wantCounts(what string, got, want map[string]uint64) {
	r.Helper()
	got = maps.Clone(got)
	maps.DeleteFunc(got, func(_ string, n uint64) bool { return n == 0 })
	if !maps.Equal(got, want) {
		r.Errorf("%s are %v, want %v", what, got, want)
	}
}

func TestLookupsAndReadsAreCounted(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[addr(1)] = doc(1, "k1")
		v := r.view(Options{TTL: time.Minute, SyncAfter: 10 * time.Minute})
		e := v.Entry(addr(1))
		r.want(e, "k1") // missing
		r.want(e, "k1")
		r.want(e, "k1")
		r.pass(2 * time.Minute)
		r.want(e, "k1") // stale
		r.pass(time.Second)
		r.want(e, "k1")
		r.set(func() { r.docs[addr(1)] = doc(2, "k2") })
		r.pass(time.Hour)
		r.want(e, "k2") // old
		r.fails(v.Entry(addr(2)))
		r.fails(v.Entry(addr(2)))
		c := v.Counts()
		r.wantCounts("lookups", c.Lookups, map[string]uint64{"missing": 3, "fresh": 3, "stale": 1, "old": 1})
		r.wantCounts("reads", c.Reads, map[string]uint64{"first": 1, "unchanged": 1, "changed": 1, ClassNotFound: 1})

		r.set(func() { r.err = errors.New("away") })
		r.pass(10 * time.Minute)
		r.want(e, "k2")
		r.pass(10 * time.Second)
		if n := v.Counts().Reads[ClassUnavailable]; n == 0 {
			t.Error("a read that failed is not counted")
		}
	})
}

func TestEvictionsAreCounted(t *testing.T) {
	inTime(t, RingOptions{MaxEntries: 3, Idle: time.Hour}, func(r *rig) {
		v := r.view(Options{})
		for i := range 5 {
			r.ring.Learn(addr(i), doc(1, "k"))
		}
		r.wantCounts("evictions", v.Counts().Evicted, map[string]uint64{"full": 2})
		r.pass(2 * time.Hour)
		r.wantCounts("evictions", v.Counts().Evicted, map[string]uint64{"full": 2, "idle": 3})
	})
}

func TestAgesAreThoseOfKeysInUse(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one], r.docs[addr(1)] = doc(1, "k"), doc(1, "k")
		v := r.view(Options{TTL: time.Minute})
		pinned := v.Pin(one)
		v.Pin(addr(9)) // is not there
		r.want(pinned, "k")
		r.want(v.Entry(addr(1)), "k")
		r.pass(time.Second)
		if a := v.Ages(); a.Stale != 0 || a.States["fresh"] != 2 || a.States["missing"] != 1 {
			t.Errorf("fresh ones are %+v", a)
		}
		r.pass(30 * time.Minute) // the customer's key is not used and grows old
		if a := v.Ages(); a.Stale != 0 || a.States["fresh"] != 1 || a.States["old"] != 1 {
			t.Errorf("with an idle one they are %+v", a)
		}
		r.set(func() { r.err = errors.New("away") })
		r.pass(20 * time.Minute)
		if got := v.Ages().Stale; got < 18*time.Minute || got > 20*time.Minute {
			t.Errorf("the pinned key is stale for %s", got)
		}
		if got := pinned.Stale(); got != v.Ages().Stale {
			t.Errorf("its own entry says %s", got)
		}
		r.want(v.Entry(addr(1)), "k")
		if got := v.Ages().Stale; got < 48*time.Minute || got > 51*time.Minute {
			t.Errorf("the customer's key, used again, is stale for %s", got)
		}
	})
}
