// Package keyring is the cache between requests and a store of keys.
//
// A request reads a snapshot and does no I/O; the store is read in the
// background, or by the one request that finds nothing held. A key that is held
// outlives every outage up to its view's max stale, and nothing outlives an
// authoritative, confirmed deletion.
//
// A [Ring] belongs to a store and survives reloads; each configuration looks at
// it through a [View] of its own.
package keyring

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// RingOptions are the limits of a whole ring. A zero field takes its default.
type RingOptions struct {
	// MaxEntries bounds the customer keys held at once. Pinned keys come on
	// top. Default: 200000, about 100 MB.
	MaxEntries int

	// MaxNegative bounds the addresses remembered as holding nothing. They
	// live apart, so that made-up ids cannot push real keys out. Default: 10000.
	MaxNegative int

	// Idle is how long a customer key is held after its last use. Default: 24h.
	Idle time.Duration

	// Foreground bounds the reads that requests wait for. Default: 64.
	Foreground int

	// Workers bounds the reads in the background. Default: 8.
	Workers int

	// Rate bounds the reads in the background, per second. It also stretches
	// the ttl of customer keys, so that their number divided by the rate fits
	// in it. Default: 50.
	Rate int

	// ReadTimeout ends a read, whoever waits for it. Default: 5s.
	ReadTimeout time.Duration

	// Rotation is how long after a change [Entry.Previous] gives the key before.
	// The change is when a version is read that replaces a held one; for the
	// first one that is read, when the store says it was written. Default: 10m.
	Rotation time.Duration
}

func (o RingOptions) withDefaults() RingOptions {
	setDefault(&o.MaxEntries, 200_000)
	setDefault(&o.MaxNegative, 10_000)
	setDefault(&o.Idle, 24*time.Hour)
	setDefault(&o.Foreground, 64)
	setDefault(&o.Workers, 8)
	setDefault(&o.Rate, 50)
	setDefault(&o.ReadTimeout, 5*time.Second)
	setDefault(&o.Rotation, 10*time.Minute)
	return o
}

func setDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Ring holds what was read from one store: snapshots, flights, and what is known
// of the store's health. It knows no configuration; those are its views.
type Ring struct {
	store store.Store
	opts  RingOptions

	// epoch is where now counts from. Only its monotonic reading is used, so
	// that a clock that jumps makes no key old.
	epoch time.Time

	table   table
	names   fieldNames
	queue   queue
	breaker breaker
	views   views
	life    life
	counts  counts

	foreground chan struct{} // one token per read that requests wait for
	stretch    atomic.Int64  // nanoseconds; see Ring.sweep

	ctx       context.Context // of reads and of the scheduler; ends in Close
	cancel    context.CancelFunc
	started   sync.Once
	running   sync.WaitGroup // the scheduler
	wake      chan struct{}
	closing   sync.Once
	closedErr error
}

// New makes a ring over s. It starts nothing and reads nothing before a view is
// started or a key is asked for.
func New(s store.Store, o RingOptions) *Ring {
	o = o.withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	r := &Ring{
		store: s,
		opts:  o,
		// One second in the past: 0 then never is a time, and can mean "unset".
		epoch:      time.Now().Add(-time.Second),
		foreground: make(chan struct{}, o.Foreground),
		ctx:        ctx,
		cancel:     cancel,
		wake:       make(chan struct{}, 1),
	}
	r.table.init(r)
	r.breaker.init()
	r.queue.rate = o.Rate
	return r
}

// now is the ring's monotonic time in nanoseconds, never 0.
func (r *Ring) now() int64 { return int64(time.Since(r.epoch)) }

// Learn takes over a document that we ourselves wrote, so that this process
// need not wait for a refresh to use it. An older version than the one held is
// left aside.
func (r *Ring) Learn(a store.Address, d *store.Document) {
	s := r.table.ensure(a)
	s.mu.Lock()
	events, ok := r.accept(s, d)
	if ok {
		s.trouble.Store(nil)
	}
	s.mu.Unlock()
	r.table.promote(s)
	r.plan(s)
	r.views.tell(events...)
}

// Invalidate forgets whatever is held or known of a: the value, a former one,
// and that nothing was found. A read that is under way does not bring it back.
// The next request reads the store.
func (r *Ring) Invalidate(a store.Address) {
	s := r.table.get(a)
	if s == nil {
		return
	}
	s.mu.Lock()
	s.flight = nil // its result goes to who waits for it, not into the slot
	s.hold(nil, nil)
	s.trouble.Store(nil)
	s.refusal, s.former = nil, nil
	s.mu.Unlock()
	r.table.demote(s)
	r.plan(s)
}

// Refresh reads a now, by a read that begins after the call, and returns its
// error. A value that is held stays held when the read fails.
func (r *Ring) Refresh(ctx context.Context, a store.Address) error {
	s := r.table.ensure(a)
	if err := r.away(r.now()); err != nil {
		return err
	}
	if _, err := r.reread(ctx, s); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return failure(a, err, r.blocked(s, r.now()))
	}
	return nil
}

// Close ends the background work, waits for reads under way as long as ctx
// allows, and closes the store. What is held is still served afterwards; what
// is not is unavailable. Calling it again returns the same error.
func (r *Ring) Close(ctx context.Context) error {
	r.closing.Do(func() {
		idle := r.life.close()
		r.poke() // the scheduler stops handing out work
		select {
		case <-idle:
		case <-ctx.Done():
		}
		r.cancel()
		<-idle // reads obey the context that just ended
		r.running.Wait()
		r.closedErr = r.store.Close(ctx)
	})
	return r.closedErr
}

// life counts what Close has to wait for.
type life struct {
	mu     sync.Mutex
	n      int
	closed bool
	idle   chan struct{}
}

// enter reports whether work may begin. Each true is paired with a leave.
func (l *life) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.n++
	return true
}

func (l *life) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n--; l.n == 0 && l.closed {
		close(l.idle)
	}
}

// close lets nobody enter any more. The channel it returns is closed when all
// have left.
func (l *life) close() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.idle = make(chan struct{})
	if l.n == 0 {
		close(l.idle)
	}
	return l.idle
}

func (l *life) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}
