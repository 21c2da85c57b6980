// The one goroutine that decides when what is read in the background.

package keyring

import (
	"context"
	"fmt"
	"time"
)

// plan decides when s is next read without anybody asking: a pinned slot always
// is, a customer's only to confirm that it is gone. It goes by what stands while
// nothing is settled: a time that is later than a read's, or takes the place of
// a later one, would be read again, or not any more.
func (r *Ring) plan(s *slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
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
		due = snap.checked + int64(snap.terms.age(r.views.strictestTTL()))
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
