// The table's index: an open hash table that is read without a lock.
//
// With many keys most of a look-up is waiting for memory, twice: for a cell, and
// then for the slot, in which lies all that is compared and taken. So cells are
// few and small: four fill a line of the processor's cache.

package keyring

import (
	"hash/maphash"
	"iter"
	"math/bits"
	"sync/atomic"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// minCells is the size of an index that holds little, a power of two.
const minCells = 64

// index finds slots by the hash of their address, and compares the address
// itself: two that share a hash stay two. Readers take no lock; writers hold the
// table's.
type index struct {
	seed  maphash.Seed
	cells atomic.Pointer[[]cell] // a power of two of them; replaced when filled
	live  int                    // slots held
	taken int                    // cells that are not free: live ones and left ones
}

// cell is one place of an index. Its hash is written before its slot and never
// after, so that who sees the slot sees the hash.
type cell struct {
	hash uint64
	slot atomic.Pointer[slot] // nil: free, the end of a search
}

// left is the slot of cells whose own was taken out: a search goes on past them.
var left = new(slot)

func (x *index) init() {
	x.seed = maphash.MakeSeed()
	cells := make([]cell, minCells)
	x.cells.Store(&cells)
}

// hash is seeded anew for each ring, so that no caller can choose ids that
// collide.
func (x *index) hash(a store.Address) uint64 {
	h := maphash.String(x.seed, a.Path)
	if a.Mount != "" {
		h ^= bits.RotateLeft64(maphash.String(x.seed, a.Mount), 21)
	}
	if a.Namespace != "" {
		h ^= bits.RotateLeft64(maphash.String(x.seed, a.Namespace), 42)
	}
	return h
}

// find returns the slot of a, whose hash is given; nil when there is none. An
// add or a remove that has not returned may or may not be seen.
func (x *index) find(hash uint64, a *store.Address) *slot {
	cells := *x.cells.Load()
	mask := uint64(len(cells) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		c := &cells[i]
		s := c.slot.Load()
		if s == nil {
			return nil
		}
		if c.hash == hash && s != left && s.named(a) {
			return s
		}
	}
}

// add takes in a slot whose address is not there yet.
func (x *index) add(hash uint64, s *slot) {
	cells := *x.cells.Load()
	if x.taken >= len(cells)/5*4 { // fuller, and searches get long
		cells = x.rebuild()
	}
	put(cells, hash, s)
	x.live++
	x.taken++
}

// put writes s into the first free cell of its search.
func put(cells []cell, hash uint64, s *slot) {
	mask := uint64(len(cells) - 1)
	i := hash & mask
	for cells[i].slot.Load() != nil {
		i = (i + 1) & mask
	}
	cells[i].hash = hash
	cells[i].slot.Store(s)
}

// remove takes s out. Its cell is not used again before the next rebuild: a
// reader may be between the cell's slot and its hash.
func (x *index) remove(hash uint64, s *slot) {
	cells := *x.cells.Load()
	mask := uint64(len(cells) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		switch cells[i].slot.Load() {
		case nil:
			return
		case s:
			cells[i].slot.Store(left)
			x.live--
			return
		}
	}
}

// rebuild moves the slots into new cells, at most half of them taken.
func (x *index) rebuild() []cell {
	size := minCells
	for size < 2*(x.live+1) {
		size *= 2
	}
	cells := make([]cell, size)
	for i, old := 0, *x.cells.Load(); i < len(old); i++ {
		if s := old[i].slot.Load(); s != nil && s != left {
			put(cells, old[i].hash, s)
		}
	}
	x.taken = x.live
	x.cells.Store(&cells)
	return cells
}

// from yields the slots in the order of their hashes, beginning at start. Slots
// that come or go meanwhile may be missed, or yielded although they are gone.
func (x *index) from(start uint64) iter.Seq[*slot] {
	return func(yield func(*slot) bool) {
		cells := *x.cells.Load()
		mask := uint64(len(cells) - 1)
		for i := range uint64(len(cells)) {
			s := cells[(start+i)&mask].slot.Load()
			if s != nil && s != left && !yield(s) {
				return
			}
		}
	}
}
