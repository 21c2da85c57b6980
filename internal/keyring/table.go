// Where slots are found: customers and pins in the index, and what holds nothing
// apart from them.

package keyring

import (
	"sync"
	"sync/atomic"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// table finds slots by address. Locks are taken in the order cold, table, slot,
// queue; finding a slot that holds something takes none.
type table struct {
	ring   *Ring
	index  index
	mu     sync.Mutex // of who changes the index
	cold   cold
	size   atomic.Int64 // slots in the index
	pinned atomic.Int64 // of these, pinned ones
}

func (t *table) init(r *Ring) {
	t.ring = r
	t.index.init()
	t.cold.slots = make(map[store.Address]*slot)
}

// get returns the slot of a, nil when there is none.
func (t *table) get(a store.Address) *slot {
	if s := t.warm(a); s != nil {
		return s
	}
	t.cold.mu.Lock()
	defer t.cold.mu.Unlock()
	return t.cold.slots[a]
}

// warm returns the slot of a if it is in the index.
func (t *table) warm(a store.Address) *slot { return t.index.find(t.index.hash(a), &a) }

// add puts s into the index. The lock is held.
func (t *table) add(s *slot) {
	t.index.add(t.index.hash(s.address()), s)
	t.size.Add(1)
}

// remove takes s out of the index. The lock is held.
func (t *table) remove(s *slot) {
	t.index.remove(t.index.hash(s.address()), s)
	t.size.Add(-1)
}

// ensure returns the slot of a, which begins as one that holds nothing.
func (t *table) ensure(a store.Address) *slot {
	if s := t.warm(a); s != nil {
		return s
	}
	t.cold.mu.Lock()
	defer t.cold.mu.Unlock()
	// It may have been promoted between the two locks.
	if s := t.warm(a); s != nil {
		return s
	}
	return t.cold.ensure(a, t.ring)
}

// pin returns the slot of a, which from now on is neither evicted nor moved.
func (t *table) pin(a store.Address) *slot {
	t.cold.mu.Lock()
	defer t.cold.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.warm(a)
	if s == nil {
		s = t.cold.ensure(a, t.ring)
		delete(t.cold.slots, a)
		t.add(s)
	}
	if s.pins.Add(1) == 1 {
		t.pinned.Add(1)
	}
	return s
}

// unpin takes one pin back. What nobody pins any more is a customer's key like
// any other: held until it is idle.
func (t *table) unpin(s *slot) {
	t.mu.Lock()
	last := s.pins.Add(-1) == 0
	t.mu.Unlock()
	if last {
		t.pinned.Add(-1)
		t.demote(s) // if it holds nothing
	}
}

// promote moves a slot that holds something among those that do, and evicts
// another when they are too many.
func (t *table) promote(s *slot) {
	if t.warm(s.address()) == s {
		return
	}
	t.cold.mu.Lock()
	if t.cold.slots[s.address()] == s {
		delete(t.cold.slots, s.address())
	}
	t.mu.Lock()
	there := t.warm(s.address())
	if there == nil && s.snap.Load() != nil {
		t.add(s)
		there = s
		s.gone.Store(false)
	}
	if there != s {
		s.gone.Store(true)
	}
	t.mu.Unlock()
	t.cold.mu.Unlock()
	if t.customers() > t.ring.opts.MaxEntries {
		t.evictOne(s)
	}
}

// demote moves a slot that holds nothing any more among those that do not,
// unless it is pinned.
func (t *table) demote(s *slot) {
	t.cold.mu.Lock()
	defer t.cold.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.warm(s.address()) != s || s.pins.Load() > 0 || s.snap.Load() != nil {
		return
	}
	t.remove(s)
	t.cold.add(s, t.ring)
}

// customers is how many slots count for the bound.
func (t *table) customers() int { return int(t.size.Load() - t.pinned.Load()) }

// othersHeld reports whether another document than that of s is known.
func (t *table) othersHeld(s *slot) bool {
	n := t.size.Load()
	if t.warm(s.address()) == s {
		n--
	}
	return n > 0
}

// each calls f for every slot in the index, until it returns false. Slots that
// come or go meanwhile may be missed.
func (t *table) each(f func(*slot) bool) {
	for s := range t.index.from(0) {
		if !s.gone.Load() && !f(s) {
			return
		}
	}
}
