// The request path: from an entry to a key.

package keyring

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// Entry is one document as one view sees it. It may be kept for as long as its
// holder likes and used by many requests at once.
type Entry struct {
	view   *View
	pinned bool
	slot   atomic.Pointer[slot]
}

// zone is what the age of a held document means for a request.
type zone int

const (
	fresh zone = iota // used as it is
	stale             // used, and refreshed in the background
	old               // used after a short wait for a refresh
	dead              // not used; also: nothing is held
)

// String names the zone as [Status] does.
func (z zone) String() string { return [...]string{"fresh", "stale", "old", "dead"}[z] }

// zone judges a snapshot by the view's options.
func (e *Entry) zone(snap *snapshot, now int64) zone {
	if snap == nil {
		return dead
	}
	ttl, later := e.ages()
	age := time.Duration(now - snap.checked)
	switch {
	case age >= e.view.opts.MaxStale:
		return dead
	case age < snap.terms.age(ttl):
		return fresh
	case age < later:
		return stale
	}
	return old
}

// ages returns the ttl and the age from which requests wait for a refresh: the
// view's, or longer ones when many customers are in use.
func (e *Entry) ages() (ttl, later time.Duration) {
	o := &e.view.opts
	if !e.pinned {
		if stretch := time.Duration(e.view.ring.stretch.Load()); stretch > o.TTL {
			return stretch, o.SyncAfter + stretch - o.TTL
		}
	}
	return o.TTL, o.SyncAfter
}

// fresh is zone for what slot.held returns.
func (e *Entry) fresh(checked int64, t terms, now int64) bool {
	ttl, _ := e.ages()
	age := time.Duration(now - checked)
	return checked != 0 && age < e.view.opts.MaxStale && age < t.age(ttl)
}

// Key returns the key in the named field; an empty name means the default field.
// A fresh key costs a few atomic loads and no I/O, lock, or allocation. A stale one
// is given while it is refreshed in the background, an old one after a wait of
// SyncWait at most, and one beyond MaxStale not at all.
//
// The error is [store.ErrNotFound], wrapped and authoritative; a
// [*store.InvalidError] when the document is there, the field is not usable and
// no earlier good value is held; ctx's own when it ended while waiting; and an
// [*UnavailableError] for everything that is not authoritative.
func (e *Entry) Key(ctx context.Context, field string) (*Key, error) {
	s := e.slot.Load()
	key, checked, t := s.held()
	now := e.view.ring.now()
	if !e.fresh(checked, t, now) {
		return e.slow(ctx, field)
	}
	s.touch(now)
	if key != nil && e.wants(field, t) {
		e.view.ring.counts.fresh.inc(now)
		return key, nil
	}
	if snap := s.snap.Load(); snap != nil {
		if k, err := e.pick(snap, field, now); err == nil {
			e.view.ring.counts.fresh.inc(now)
			return k, nil
		}
	}
	return e.slow(ctx, field)
}

// wants reports whether the key on these terms is that of the field.
func (e *Entry) wants(field string, t terms) bool {
	number := uint8(t)
	if field == "" {
		return number&onlyByName == 0
	}
	return e.view.ring.names.is(number&^onlyByName, field)
}

// pick takes the key out of a snapshot.
func (e *Entry) pick(snap *snapshot, name string, now int64) (*Key, error) {
	if name == "" && snap.key != nil {
		return snap.key, nil
	}
	f := snap.find(name)
	if f == nil {
		return nil, e.unusable(snap, name, snap.missing(name))
	}
	if f.bad != nil {
		// A value that the newest version no longer has is kept as long as one
		// that cannot be read.
		if f.key == nil || now-f.bad.since >= int64(e.view.opts.MaxStale) {
			return nil, e.unusable(snap, name, f.bad.err)
		}
	}
	if !f.asked.Load() {
		f.asked.Store(true)
		e.slot.Load().again(snap, &e.view.ring.names)
	}
	return f.key, nil
}

// live returns the entry's slot, found again when the ring had let go of it.
func (e *Entry) live() *slot {
	s := e.slot.Load()
	if s.gone.Load() {
		s = e.view.ring.table.ensure(s.address())
		e.slot.Store(s)
	}
	return s
}

func (e *Entry) slow(ctx context.Context, field string) (*Key, error) {
	r := e.view.ring
	s := e.live()
	now := r.now()
	s.touch(now)
	snap := s.snap.Load()
	found := e.zone(snap, now)
	r.counts.lookups[found].Add(1)
	switch found { //nolint:exhaustive // dead is what follows
	case fresh, stale:
		k, err := e.pick(snap, field, now)
		if err != nil {
			return e.mended(ctx, s, snap, field, err)
		}
		if e.zone(snap, now) == stale {
			r.refreshSoon(s, now)
		}
		return k, nil
	case old:
		e.waitShortly(ctx, s, snap)
		now = r.now()
		if snap = s.snap.Load(); e.zone(snap, now) < dead {
			return e.pick(snap, field, now)
		}
	}
	snap, err := e.fetch(ctx, s, snap)
	if err != nil {
		return nil, err
	}
	return e.pick(snap, field, r.now())
}

// waitShortly gives a refresh of a key that is old the time of SyncWait. With
// the store away, or too many waiting already, nobody waits.
func (e *Entry) waitShortly(ctx context.Context, s *slot, snap *snapshot) {
	r := e.view.ring
	now := r.now()
	if r.away(now) != nil || len(r.foreground) == cap(r.foreground) {
		r.refreshSoon(s, now)
		return
	}
	if r.blocked(s, now) > 0 {
		return
	}
	f, began := r.join(ctx, s, snap)
	if f == nil {
		return
	}
	defer f.watch(ctx, began).End()
	t := time.NewTimer(e.view.opts.SyncWait)
	defer t.Stop()
	select {
	case <-f.done:
	case <-t.C:
	case <-ctx.Done():
	}
}

// mended looks again, every half minute, whether a document without a usable
// value in the field has got one. Until then its error stands.
func (e *Entry) mended(ctx context.Context, s *slot, snap *snapshot, field string, cause error) (*Key, error) {
	r := e.view.ring
	now := r.now()
	if now-snap.checked < int64(negativeFirst) || r.blocked(s, now) > 0 || r.away(now) != nil {
		return nil, cause
	}
	snap, err := e.fetch(ctx, s, snap)
	if err != nil {
		if ctx.Err() != nil || errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		return nil, cause
	}
	return e.pick(snap, field, r.now())
}

// fetch waits for a read, for a request that has nothing to go on with but seen.
func (e *Entry) fetch(ctx context.Context, s *slot, seen *snapshot) (*snapshot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := e.view.ring
	now := r.now()
	if wait := r.blocked(s, now); wait > 0 {
		// Authoritative answers are given also while the store is away.
		if t := s.trouble.Load(); t != nil {
			return nil, failure(s.address(), t.err, seconds(int64(wait)))
		}
	}
	if err := r.away(now); err != nil {
		return nil, err
	}
	f, began := r.join(ctx, s, seen)
	if f == nil {
		return nil, &UnavailableError{RetryAfter: time.Second, Err: errClosed}
	}
	defer f.watch(ctx, began).End()
	snap, err := f.wait(ctx)
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return nil, err
		}
		now = r.now()
		retry := r.blocked(s, now)
		if away, ok := errors.AsType[*UnavailableError](r.away(now)); ok {
			retry = max(retry, away.RetryAfter)
		}
		return nil, failure(s.address(), err, seconds(int64(retry)))
	}
	return snap, nil
}
