// The one goroutine that decides when what is read in the background.

package keyring

import (
	"container/heap"
	"context"
	"fmt"
	"sync"
	"time"
)

// queue holds the slots that are to be read in the background: urgent ones
// (pinned, or a deletion to be confirmed) and those that requests found stale.
// Urgent ones go first, so that a hundred thousand customers who come back after
// an outage do not delay the keys of the configuration. A slot is in it once at
// most, so its length is bounded by the table's.
type queue struct {
	mu     sync.Mutex
	urgent slotHeap
	casual slotHeap
	busy   int   // reads under way
	next   int64 // when the rate allows the next one
	rate   int   // reads per second
}

// set puts s into the urgent lane, due at the given time and no other.
func (q *queue) set(s *slot, due int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.removeLocked(s)
	s.urgent, s.due = true, due
	heap.Push(&q.urgent, s)
}

// push asks for s to be read at the given time, or earlier if it is so already.
func (q *queue) push(s *slot, due int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if s.index > 0 {
		if due < s.due {
			s.due = due
			heap.Fix(q.lane(s), int(s.index)-1)
		}
		return
	}
	s.urgent, s.due = s.kept.Load() > 0, due
	heap.Push(q.lane(s), s)
}

// remove takes s out. It is no longer queued, if it was.
func (q *queue) remove(s *slot) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.removeLocked(s)
	s.queued.Store(false)
}

func (q *queue) removeLocked(s *slot) {
	if s.index > 0 {
		heap.Remove(q.lane(s), int(s.index)-1)
	}
}

func (q *queue) lane(s *slot) *slotHeap {
	if s.urgent {
		return &q.urgent
	}
	return &q.casual
}

// take returns the next slot that is due, and when it became so. Without one, at
// is when to look again, 0 for not before something changes.
func (q *queue) take(now int64, workers int) (s *slot, at int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy >= workers {
		return nil, 0 // done looks again
	}
	for _, h := range []*slotHeap{&q.urgent, &q.casual} {
		if len(*h) == 0 {
			continue
		}
		if due := (*h)[0].due; due > now {
			if at == 0 || due < at {
				at = due
			}
			continue
		}
		if now < q.next {
			return nil, q.next
		}
		s = heap.Pop(h).(*slot)
		q.busy++
		q.next = now + int64(time.Second)/int64(q.rate)
		return s, s.due
	}
	return nil, at
}

// done notes that a read has ended, or was not needed.
func (q *queue) done(needed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy--
	if !needed {
		q.next = 0
	}
}

// slower halves the rate: the store asked for fewer reads.
func (q *queue) slower() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rate = max(q.rate/2, 1)
}

// faster takes half of that back, to the given rate at most.
func (q *queue) faster(limit int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rate = min(q.rate*2, limit)
}

// plan decides when s is next read without anybody asking: a pinned slot always
// is, a customer's only to confirm that it is gone.
func (r *Ring) plan(s *slot) {
	snap, t := s.snap.Load(), s.trouble.Load()
	kept := s.kept.Load() > 0
	due := r.now()
	switch {
	case t != nil && (kept || t.gone != 0 && snap != nil):
		if t.gen == r.breaker.generation() || !transport(t.class) {
			due = t.until
		}
	case !kept:
		return
	case snap != nil:
		ttl := r.views.strictestTTL()
		if snap.ttl > 0 {
			ttl = min(ttl, snap.ttl)
		}
		due = snap.checked + int64(float32(ttl)*snap.soft)
	}
	r.queue.set(s, due)
	r.poke()
}

// refreshSoon asks for a background read of s, for a request that found it
// stale and does not wait.
func (r *Ring) refreshSoon(s *slot, now int64) {
	if s.queued.Load() || r.blocked(s, now) > 0 || !s.queued.CompareAndSwap(false, true) {
		return
	}
	r.start()
	r.queue.push(s, now)
	r.poke()
}

// blocked is how long s is not to be read after the last trouble. Back-offs end
// when the store returns.
func (r *Ring) blocked(s *slot, now int64) time.Duration {
	t := s.trouble.Load()
	if t == nil || now >= t.until || transport(t.class) && t.gen != r.breaker.generation() {
		return 0
	}
	return time.Duration(t.until - now)
}

// start begins the scheduler, once. It is not begun in a ring that is closed.
func (r *Ring) start() {
	r.started.Do(func() {
		if r.life.enter() {
			r.running.Add(1)
			r.life.leave()
			go r.run()
		}
	})
}

// poke lets the scheduler look again.
func (r *Ring) poke() {
	select {
	case r.wake <- struct{}{}:
	default: // it will
	}
}

func (r *Ring) run() {
	defer r.running.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	sweep := r.now() + int64(sweepEvery)
	for {
		now := r.now()
		if now >= sweep {
			r.sweep(now)
			sweep = now + int64(sweepEvery)
		}
		timer.Reset(time.Duration(r.step(now, sweep) - now))
		select {
		case <-timer.C:
		case <-r.wake:
		case <-r.ctx.Done():
			return
		}
	}
}

// step begins whatever is due and returns when to look again, limit at the latest.
func (r *Ring) step(now, limit int64) int64 {
	sooner := func(at int64) {
		if at > 0 && at < limit {
			limit = at
		}
	}
	if r.life.isClosed() {
		return limit
	}
	due, at := r.breaker.probeDue(now)
	if due && r.life.enter() {
		go r.probe()
	}
	sooner(at)
	if until := r.breaker.pausedUntil(); now < until {
		sooner(until)
		return limit
	}
	for !r.breaker.isOpen() {
		s, at := r.queue.take(now, r.opts.Workers)
		if s == nil {
			sooner(at)
			break
		}
		if !r.needed(s, at) { // costs no place and no time of the rate
			s.queued.Store(false)
			r.queue.done(false)
			continue
		}
		go func() {
			r.refresh(s, at)
			r.queue.done(true)
			r.poke()
		}()
	}
	return limit
}

// probe asks whether the store is back.
func (r *Ring) probe() {
	defer r.life.leave()
	ctx, cancel := context.WithTimeout(r.ctx, probeLimit)
	defer cancel()
	err := r.healthy(ctx)
	back, down := r.breaker.probed(err, r.now())
	if back {
		r.recovered()
	}
	if down {
		r.views.tell(Event{Kind: StoreDown, Class: ClassUnavailable, Err: err})
	}
	r.poke()
}

func (r *Ring) healthy(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %T", errPanic, v)
		}
	}()
	return r.store.Healthy(ctx)
}

// recovered plans anew what had failed while the store was away.
func (r *Ring) recovered() {
	r.table.each(func(s *slot) bool {
		if t := s.trouble.Load(); t != nil && transport(t.class) {
			r.plan(s)
		}
		return true
	})
	r.poke()
}

// slotHeap is a min-heap by due time.
type slotHeap []*slot

func (h slotHeap) Len() int           { return len(h) }
func (h slotHeap) Less(i, j int) bool { return h[i].due < h[j].due }
func (h slotHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = int32(i)+1, int32(j)+1
}

func (h *slotHeap) Push(x any) {
	s := x.(*slot)
	*h = append(*h, s)
	s.index = int32(len(*h))
}

func (h *slotHeap) Pop() any {
	old := *h
	s := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	s.index = 0
	return s
}
