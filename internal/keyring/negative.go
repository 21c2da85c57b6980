// Addresses at which nothing was found, bounded apart from the keys.

package keyring

import (
	"sync"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// cold holds the slots that hold no document: being read for the first time, or
// known to be absent, denied, or unreadable. Whoever asks for made-up customers
// fills this and pushes out its oldest, never a key.
type cold struct {
	mu    sync.Mutex
	slots map[store.Address]*slot
	order []*slot // as they came; also such as left the map since
}

// ensure returns the slot of a. The lock is held.
func (c *cold) ensure(a store.Address, r *Ring) *slot {
	s := c.slots[a]
	if s == nil {
		s = newSlot(a)
		s.touch(r.now())
		c.add(s, r)
	}
	return s
}

// add takes s in and lets the oldest go beyond the bound. The lock is held.
func (c *cold) add(s *slot, r *Ring) {
	c.slots[s.address()] = s
	c.order = append(c.order, s)
	// Slots being read are passed over, so each is looked at once at most.
	for n := len(c.order); n > 0 && len(c.slots) > r.opts.MaxNegative; n-- {
		old := c.order[0]
		c.order = c.order[1:]
		if c.slots[old.address()] != old {
			continue
		}
		if old == s || !old.idle() {
			c.order = append(c.order, old)
			continue
		}
		delete(c.slots, old.address())
		old.gone.Store(true)
		r.queue.remove(old)
	}
	if len(c.order) > 2*len(c.slots)+64 { // mostly such as left: promoted, pinned
		kept := make([]*slot, 0, len(c.slots))
		for _, old := range c.order {
			if c.slots[old.address()] == old {
				kept = append(kept, old)
			}
		}
		c.order = kept
	}
}

// idle reports whether nobody reads s and nothing is held.
func (s *slot) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flight == nil && s.snap.Load() == nil
}
