// Letting go of customer keys: unused ones, and the least used when too many.

package keyring

import "time"

const (
	sweepEvery = time.Minute
	sampleSize = 16
)

// sweep drops customer keys that were not used for long, and counts those in
// use: the ttl of customer keys is stretched so that the reads which keep them
// fresh fit in the rate. While the store is away nothing is dropped: it could
// not be read again.
func (r *Ring) sweep(now int64) {
	keep := r.breaker.isOpen()
	window := max(int64(r.views.strictestTTL()), r.stretch.Load())
	active := 0
	r.table.each(func(s *slot) bool {
		unused := now - s.used.Load()
		if s.pins.Load() == 0 {
			if !keep && unused >= int64(r.opts.Idle) {
				r.table.evict(s)
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
}

// evict lets go of a customer's slot unless it is being read. Entries that hold
// it look their address up again.
func (t *table) evict(s *slot) bool {
	h := t.shard(s.addr)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.slots[s.addr] != s || s.pins.Load() > 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight != nil {
		return false
	}
	delete(h.slots, s.addr)
	t.size.Add(-1)
	s.gone.Store(true)
	s.snap.Store(nil)
	t.ring.queue.remove(s)
	return true
}

// evictOne makes room after a slot came, by dropping the one of a sample that
// was unused for longest. A map's iteration begins anywhere, so the sample is a
// random one, and no order has to be kept on the request path.
func (t *table) evictOne(came *slot) {
	if t.ring.breaker.isOpen() {
		return
	}
	var oldest *slot
	n := 0
	first := t.index(came.addr)
	for i := 0; i < shardCount && n < sampleSize; i++ { // mostly one shard is enough
		h := &t.shards[(first+i)%shardCount]
		h.mu.RLock()
		for _, s := range h.slots {
			if s == came || s.pins.Load() > 0 {
				continue
			}
			if oldest == nil || s.used.Load() < oldest.used.Load() {
				oldest = s
			}
			if n++; n == sampleSize {
				break
			}
		}
		h.mu.RUnlock()
	}
	if oldest != nil {
		t.evict(oldest)
	}
}
