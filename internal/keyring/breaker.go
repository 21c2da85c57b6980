// The circuit breaker of a store, and the pause a store asks for.

package keyring

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	breakerLimit = 5 // transport failures in a row that open it
	probeFirst   = time.Second
	probeMax     = 4 * time.Second // a second is left for the login and the read: served within five
)

var (
	errOpen   = errors.New("the store is away")
	errPaused = errors.New("the store asked to be left alone")
)

// breaker keeps a store that is away from being asked. While it is open no
// document is read and [store.Store.Healthy] is asked instead.
//
// After a good probe reads go on, but two failures open it again until the first
// good answer: Healthy needs no credentials, and a store that is healthy and
// refuses ours is as good as away.
type breaker struct {
	open  atomic.Bool
	gen   atomic.Uint64 // counts recoveries; a back-off of an earlier one is void
	until atomic.Int64  // of a pause

	turned atomic.Int64 // when it last opened or closed, 0: never
	answer atomic.Int64 // when the store last gave a good answer, 0: never

	mu      sync.Mutex
	fails   int
	only    *slot // whose failures they all are; nil: of several
	doubt   bool  // one document fails, others are held: Healthy decides
	told    bool  // a failure was told and the return not yet
	muted   bool  // a pause was told, and the store has answered nothing since
	wait    time.Duration
	next    int64 // probe, when open or in doubt
	probing bool
	back    chan struct{} // closed when the store is back
}

func (b *breaker) init() {
	b.wait = probeFirst
	b.back = make(chan struct{})
}

func (b *breaker) isOpen() bool       { return b.open.Load() }
func (b *breaker) generation() uint64 { return b.gen.Load() }
func (b *breaker) pausedUntil() int64 { return b.until.Load() }

// since returns when it last opened or closed, by the clock of people.
func (b *breaker) since(now int64) time.Time {
	turned := b.turned.Load()
	if turned == 0 {
		return time.Time{}
	}
	return time.Now().Add(-time.Duration(now - turned))
}

// aliveSince reports whether the store gave a good answer after since.
func (b *breaker) aliveSince(since int64) bool { return b.answer.Load() > since }

// returned is closed at the next return of the store.
func (b *breaker) returned() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.back
}

// good notes an answer of the store. It reports whether this is the first one
// after the breaker had opened.
func (b *breaker) good(now int64) (up bool) {
	b.answer.Store(now)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails, b.only, b.doubt, b.wait = 0, nil, false, probeFirst
	if now >= b.until.Load() { // what is answered in a pause was asked before it
		b.muted = false
	}
	b.closeLocked(now)
	up, b.told = b.told, false
	return up
}

// bad notes a transport failure of s. It reports whether the store is now to be
// told away. Others says that other documents than s are held: then failures of
// s alone do not open the breaker before Healthy failed too.
func (b *breaker) bad(s *slot, now int64, others bool) (down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fails == 0 {
		b.only = s
	}
	if b.only != s {
		b.only = nil
	}
	b.fails++
	if b.open.Load() || b.fails < breakerLimit {
		return false
	}
	if b.only != nil && others {
		if !b.doubt {
			b.doubt, b.next = true, now
		}
		return false
	}
	return b.openLocked(now)
}

func (b *breaker) openLocked(now int64) (down bool) {
	if !b.open.Swap(true) {
		b.turned.Store(max(now, 1))
	}
	b.doubt = false
	b.next = now + b.step()
	down, b.told = !b.told, true
	return down
}

// step is the time to the next probe, which doubles. It is only ever shortened
// by its jitter: a store's return is to be seen within five seconds.
func (b *breaker) step() int64 {
	d := b.wait - time.Duration(rand.Int64N(int64(b.wait/4))) //nolint:gosec // jitter, not a secret
	b.wait = min(2*b.wait, probeMax)
	return int64(d)
}

// closeLocked lets reads go on, voids every back-off, and wakes who waits.
func (b *breaker) closeLocked(now int64) {
	if !b.open.Load() {
		return
	}
	b.open.Store(false)
	b.turned.Store(now)
	b.gen.Add(1)
	close(b.back)
	b.back = make(chan struct{})
}

// probeDue reports whether Healthy is to be asked now, and if so, notes that it
// is being asked. Otherwise next is when, 0 for not at all.
func (b *breaker) probeDue(now int64) (due bool, next int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.probing || !b.open.Load() && !b.doubt {
		return false, 0
	}
	if now < b.next {
		return false, b.next
	}
	b.probing = true
	b.next = now + b.step() // from its beginning: one that hangs delays none
	return true, 0
}

// probed notes what Healthy said. Back says that reads may go on, down that the
// store is now to be told away.
func (b *breaker) probed(err error, now int64) (back, down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	if err == nil {
		back = b.open.Load()
		if b.doubt {
			b.answer.Store(now) // the document is at fault, its pauses grow
			b.fails, b.only, b.doubt, b.wait = 0, nil, false, probeFirst
		}
		if back {
			b.fails, b.only = breakerLimit-2, nil
		}
		b.closeLocked(now)
		return back, false
	}
	if b.doubt {
		return false, b.openLocked(now)
	}
	return false, false
}

// pause holds every read until the given time. It reports whether none was held
// before.
func (b *breaker) pause(now, until int64) (began bool) {
	for {
		was := b.until.Load()
		if until <= was {
			return false
		}
		if b.until.CompareAndSwap(was, until) {
			return was <= now
		}
	}
}

// mute reports whether a pause is to be told: the first one since an answer.
func (b *breaker) mute() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.muted
	b.muted = true
	return !was
}

// away is the error of a request that would have to read a store that cannot be
// read now: it is closed, away, or asked to be left alone. Nil: it can be read.
func (r *Ring) away(now int64) error {
	if until := r.breaker.pausedUntil(); now < until {
		return &UnavailableError{RetryAfter: seconds(until - now), Err: errPaused}
	}
	if r.breaker.isOpen() {
		r.breaker.mu.Lock()
		next := r.breaker.next
		r.breaker.mu.Unlock()
		return &UnavailableError{RetryAfter: seconds(next - now), Err: errOpen}
	}
	return nil
}

// seconds rounds up to whole seconds, at least one: Retry-After knows no less.
func seconds(ns int64) time.Duration {
	return max(time.Duration(ns+int64(time.Second)-1).Truncate(time.Second), time.Second)
}
