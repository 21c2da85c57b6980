// Reading a document: one flight at a time, whoever asks.
//
// golang.org/x/sync/singleflight does the same by a string key. A slot is
// already the one place of its document, so a pointer in it is enough, costs no
// string per read, and lets Invalidate and Refused tell flights apart.

package keyring

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/apikeyinject/caddy-apikey-inject/internal/span"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

const (
	laneWait    = time.Second // for a place among the foreground reads
	coldTries   = 3           // reads of one flight when nothing is held
	probeLimit  = 2 * time.Second
	throttleMin = time.Second
	throttleMax = 5 * time.Minute
)

var (
	errBusy   = errors.New("too many reads are waited for")
	errClosed = errors.New("the keyring is closed")
	errNoDoc  = errors.New("the store gave neither a document nor an error")
)

// flight is one read. Snap and err are set before done is closed.
type flight struct {
	done chan struct{}
	snap *snapshot
	err  error

	began trace.SpanContext // of who began it; zero: that one is not traced
}

// watch begins the span of who waits for f. One who has not begun it finds in
// there whose trace has the reading.
func (f *flight) watch(ctx context.Context, began bool) trace.Span {
	_, s := span.Wait(ctx)
	if !began && f.began.IsValid() && s.IsRecording() {
		s.AddLink(trace.Link{SpanContext: f.began})
	}
	return s
}

// join returns the read of s under way, or one that has brought something since
// its caller looked and saw seen, or begins one that its waiters may all leave:
// it ends by its own deadline. Began tells whether it did; f is nil when the ring
// is closed.
//
// Of ctx only the span counts: the reading is part of that trace.
func (r *Ring) join(ctx context.Context, s *slot, seen *snapshot) (f *flight, began bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight != nil {
		return s.flight, false
	}
	if snap := s.snap.Load(); snap != nil && snap != seen {
		f = &flight{done: make(chan struct{}), snap: snap}
		close(f.done)
		return f, false
	}
	if !r.life.enter() {
		return nil, false
	}
	r.start()
	f = &flight{done: make(chan struct{}), began: trace.SpanContextFromContext(ctx)}
	s.flight = f
	go r.fly(span.Carry(r.ctx, ctx), s, f, true)
	return f, true
}

// refresh reads s in the background for who asked at the time due, unless
// somebody reads it already or has done so since.
func (r *Ring) refresh(s *slot, due int64) {
	s.mu.Lock()
	s.queued.Store(false)
	if s.flight != nil || !r.needed(s, due) || !r.life.enter() {
		s.mu.Unlock()
		return
	}
	f := &flight{done: make(chan struct{})}
	s.flight = f
	s.mu.Unlock()
	r.fly(r.ctx, s, f, false)
}

// needed reports whether s, asked for at the time due, is still to be read.
func (r *Ring) needed(s *slot, due int64) bool {
	snap := s.snap.Load()
	return !s.gone.Load() && (snap == nil || snap.checked < due) && r.blocked(s, r.now()) == 0
}

// wait returns what f brought, or the error of ctx.
func (f *flight) wait(ctx context.Context) (*snapshot, error) {
	select {
	case <-f.done:
		return f.snap, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// reread reads s by a flight that begins after the call.
func (r *Ring) reread(ctx context.Context, s *slot) (*snapshot, error) {
	for {
		f, began := r.join(ctx, s, s.snap.Load())
		if f == nil {
			return nil, &UnavailableError{RetryAfter: time.Second, Err: errClosed}
		}
		snap, err := f.wait(ctx)
		if began || ctx.Err() != nil {
			return snap, err
		}
	}
}

func (r *Ring) fly(ctx context.Context, s *slot, f *flight, foreground bool) {
	defer r.life.leave()
	if foreground {
		if !r.acquire() {
			r.abandon(s, f, &UnavailableError{RetryAfter: laneWait, Err: errBusy})
			return
		}
		defer func() { <-r.foreground }()
	}
	ctx, cancel := context.WithTimeout(ctx, r.opts.ReadTimeout)
	defer cancel()
	doc, err := r.read(ctx, s, foreground)
	if r.ctx.Err() != nil && err != nil { // says nothing about the store
		r.abandon(s, f, &UnavailableError{RetryAfter: time.Second, Err: errClosed})
		return
	}
	r.settle(s, f, doc, err)
}

// acquire takes a place among the foreground reads. It waits for one no longer
// than a second: behind a slow store a longer queue would only fail later.
func (r *Ring) acquire() bool {
	select {
	case r.foreground <- struct{}{}:
		return true
	default:
	}
	t := time.NewTimer(laneWait)
	defer t.Stop()
	select {
	case r.foreground <- struct{}{}:
		return true
	case <-t.C:
	case <-r.ctx.Done():
	}
	return false
}

// abandon ends a flight that never asked the store.
func (r *Ring) abandon(s *slot, f *flight, err error) {
	s.mu.Lock()
	if s.flight == f {
		s.flight = nil
	}
	f.err = err
	s.mu.Unlock()
	close(f.done)
	r.plan(s) // a scheduled read may have been left to this flight
}

// read asks the store, and asks again when requests wait, nothing is held, and
// the failure says nothing about the document: a store that restarts or changes
// its leader is back within the flight's deadline. Once the breaker is open it
// waits for the store's return.
func (r *Ring) read(ctx context.Context, s *slot, foreground bool) (*store.Document, error) {
	for try := 1; ; try++ {
		back := r.breaker.returned()
		doc, err := r.ask(ctx, func() (*store.Document, error) { return r.store.Get(ctx, s.address()) })
		class := ""
		if err != nil {
			class = classOf(err)
		}
		if r.ctx.Err() != nil && err != nil {
			return nil, err
		}
		r.report(s, err, class)
		if !transport(class) || !foreground || s.snap.Load() != nil || ctx.Err() != nil {
			return doc, err
		}
		if !r.breaker.isOpen() {
			if try >= coldTries {
				return doc, err
			}
			t := time.NewTimer(time.Duration(try)*100*time.Millisecond + time.Duration(rand.Int64N(int64(100*time.Millisecond)))) //nolint:gosec // jitter, not a secret
			select {
			case <-t.C:
			case <-ctx.Done():
			}
			t.Stop()
		}
		if r.breaker.isOpen() { // also when others opened it during the pause
			select {
			case <-back:
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return doc, err
		}
	}
}

// ask calls get. A panic of the store is a failure like any other; its value is
// not told, it may hold anything. An answer that is too large is the document's
// own fault only if the store is well: something else may answer in its place,
// and to everything so, and then that is an outage.
func (r *Ring) ask(ctx context.Context, get func() (*store.Document, error)) (doc *store.Document, err error) {
	defer func() {
		if v := recover(); v != nil {
			doc, err = nil, fmt.Errorf("%w: %T", errPanic, v)
		}
	}()
	doc, err = get()
	switch {
	case err == nil && doc == nil:
		return nil, errNoDoc
	case errors.Is(err, store.ErrOversized):
		ctx, cancel := context.WithTimeout(ctx, probeLimit)
		defer cancel()
		if away := r.healthy(ctx); away != nil {
			return nil, away
		}
	}
	return doc, err
}

// report tells the breaker of an answer.
func (r *Ring) report(s *slot, err error, class string) {
	now := r.now()
	var throttled *store.ThrottledError
	switch {
	case class == ClassThrottled && errors.As(err, &throttled):
		after := min(max(throttled.After, throttleMin), throttleMax)
		if r.breaker.pause(now, now+int64(after)) {
			r.queue.slower()
			if r.breaker.mute() {
				r.views.tell(Event{Kind: StoreThrottled, Class: class, Err: err})
			}
		}
	case transport(class):
		if r.breaker.bad(s, now, r.table.othersHeld(s)) {
			r.views.tell(Event{Kind: StoreDown, Class: class, Err: err})
		}
		r.poke() // a probe may be due
	default: // also an answer without a key is an answer
		if r.breaker.good(now) {
			r.recovered()
			r.views.tell(Event{Kind: StoreUp})
		}
	}
}
