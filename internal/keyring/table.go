// Where slots are found: customers and pins in shards, and what holds nothing
// apart from them.

package keyring

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// shardCount keeps requests for different customers from meeting at one lock.
const shardCount = 64

// table finds slots by address. Locks are taken in the order cold, shard, slot,
// queue.
type table struct {
	ring   *Ring
	seed   maphash.Seed
	shards [shardCount]shard
	cold   cold
	size   atomic.Int64 // slots in the shards
	pinned atomic.Int64 // of these, pinned ones
}

type shard struct {
	mu    sync.RWMutex
	slots map[store.Address]*slot
}

func (t *table) init(r *Ring) {
	t.ring = r
	t.seed = maphash.MakeSeed()
	for i := range t.shards {
		t.shards[i].slots = make(map[store.Address]*slot)
	}
	t.cold.slots = make(map[store.Address]*slot)
}

// index is the shard of a. The path alone spreads well enough, and costs a third
// of the whole address.
func (t *table) index(a store.Address) int {
	return int(maphash.String(t.seed, a.Path) % shardCount)
}

func (t *table) shard(a store.Address) *shard { return &t.shards[t.index(a)] }

// get returns the slot of a, nil when there is none.
func (t *table) get(a store.Address) *slot {
	if s := t.warm(a); s != nil {
		return s
	}
	t.cold.mu.Lock()
	defer t.cold.mu.Unlock()
	return t.cold.slots[a]
}

func (t *table) warm(a store.Address) *slot {
	h := t.shard(a)
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.slots[a]
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
	h := t.shard(a)
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.slots[a]
	if s == nil {
		s = t.cold.ensure(a, t.ring)
		delete(t.cold.slots, a)
		h.slots[a] = s
		t.size.Add(1)
	}
	if s.pins.Add(1) == 1 {
		t.pinned.Add(1)
	}
	return s
}

// unpin takes one pin back. What nobody pins any more is a customer's key like
// any other: held until it is idle.
func (t *table) unpin(s *slot) {
	h := t.shard(s.addr)
	h.mu.Lock()
	last := s.pins.Add(-1) == 0
	h.mu.Unlock()
	if last {
		t.pinned.Add(-1)
		t.demote(s) // if it holds nothing
	}
}

// promote moves a slot that holds something among those that do, and evicts
// another when they are too many.
func (t *table) promote(s *slot) {
	if t.warm(s.addr) == s {
		return
	}
	t.cold.mu.Lock()
	if t.cold.slots[s.addr] == s {
		delete(t.cold.slots, s.addr)
	}
	h := t.shard(s.addr)
	h.mu.Lock()
	if h.slots[s.addr] == nil && s.snap.Load() != nil {
		h.slots[s.addr] = s
		t.size.Add(1)
		s.gone.Store(false)
	}
	if h.slots[s.addr] != s {
		s.gone.Store(true)
	}
	h.mu.Unlock()
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
	h := t.shard(s.addr)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.slots[s.addr] != s || s.pins.Load() > 0 || s.snap.Load() != nil {
		return
	}
	delete(h.slots, s.addr)
	t.size.Add(-1)
	t.cold.add(s, t.ring)
}

// customers is how many slots count for the bound.
func (t *table) customers() int { return int(t.size.Load() - t.pinned.Load()) }

// othersHeld reports whether another document than that of s is known.
func (t *table) othersHeld(s *slot) bool {
	n := t.size.Load()
	if t.warm(s.addr) == s {
		n--
	}
	return n > 0
}

// each calls f for every slot in the shards, until it returns false. Slots that
// come or go meanwhile may be missed.
func (t *table) each(f func(*slot) bool) {
	var some []*slot
	for i := range t.shards {
		h := &t.shards[i]
		h.mu.RLock()
		some = some[:0]
		for _, s := range h.slots {
			some = append(some, s)
		}
		h.mu.RUnlock()
		for _, s := range some {
			if !f(s) {
				return
			}
		}
	}
}
