// Letting go of customer keys: unused ones, and the least used when too many.

package keyring

import (
	"math/rand/v2"
	"time"
)

const (
	sweepEvery = time.Minute
	sampleSize = 16
)

// sweep drops customer keys that were not used for long, and counts those in
// use: the ttl of customer keys is stretched so that the reads which keep them
// fresh fit in the rate. While the store is away nothing is dropped: it could
// not be read again. Keys that run out are told on the way.
func (r *Ring) sweep(now int64) {
	keep := r.breaker.isOpen()
	var events []Event
	wall := time.Now()
	window := max(r.views.strictestTTL(), time.Duration(r.stretch.Load()))
	active := 0
	r.table.each(func(s *slot) bool {
		if snap := s.snap.Load(); snap != nil {
			if e, told := snap.running(s.address(), wall); told {
				events = append(events, e)
			}
		}
		unused := s.unused(now)
		if s.pins.Load() == 0 {
			if !keep && unused >= r.opts.Idle {
				if r.table.evict(s) {
					r.counts.idle.Add(1)
				}
				return true
			}
			if unused <= window {
				active++
			}
		}
		return true
	})
	r.stretch.Store(int64(active) * int64(time.Second) / int64(r.opts.Rate))
	r.queue.faster(r.opts.Rate)
	r.views.tell(events...)
}

// evict lets go of a customer's slot unless it is being read. Entries that hold
// it look their address up again.
func (t *table) evict(s *slot) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.warm(s.address()) != s || s.pins.Load() > 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight != nil {
		return false
	}
	t.remove(s)
	s.gone.Store(true)
	s.hold(nil, nil)
	t.ring.queue.remove(s)
	return true
}

// evictOne makes room after a slot came, by dropping the one of a sample that
// was unused for longest. The index is in no order but that of random hashes, so
// neighbours anywhere in it are a random sample, and no order has to be kept on
// the request path.
func (t *table) evictOne(came *slot) {
	if t.ring.breaker.isOpen() {
		return
	}
	var oldest *slot
	n := 0
	for s := range t.index.from(rand.Uint64()) { //nolint:gosec // any place will do
		if s == came || s.gone.Load() || s.pins.Load() > 0 {
			continue
		}
		if oldest == nil || s.used.Load() < oldest.used.Load() {
			oldest = s
		}
		if n++; n == sampleSize {
			break
		}
	}
	if oldest != nil && t.evict(oldest) {
		t.ring.counts.full.Add(1)
	}
}
