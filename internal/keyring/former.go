// The key before the newest one, for an upstream that does not know that yet.

package keyring

import (
	"context"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/span"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// previousField is where a document may have the key before the current one. Who
// rotates it writes it there, as where a store keeps no versions.
const previousField = "previous"

// noFormer stands for a version before the newest that is known not to be.
var noFormer = new(content)

// formerRead is the last read of the version before the one that is held.
type formerRead struct {
	at   int64         // when it began
	done chan struct{} // closed when it has ended
}

// Previous returns the key before the newest one of field, for who was refused
// the newest: from the document's own field `previous` when the default field is
// asked for, or else from the version before, which is held since the change or
// read now. There is none after [RingOptions].Rotation, or when none could be
// found out before ctx ended.
//
// A version before the newest is read once, however many are refused; one that
// the store did not answer about, again after 10 seconds.
func (e *Entry) Previous(ctx context.Context, field string) (*Key, bool) {
	s := e.live()
	k, unread := e.former(s, field)
	if unread == nil {
		return k, k != nil
	}
	// Without a read to wait for it may have ended since we looked.
	if done := e.view.ring.readFormer(ctx, s, unread); done != nil {
		_, waiting := span.Wait(ctx)
		defer waiting.End()
		select {
		case <-done:
		case <-ctx.Done():
			return nil, false
		}
	}
	k, _ = e.former(s, field)
	return k, k != nil
}

// former returns the key before the newest one as far as it is known, and the
// content whose version before was not looked for yet.
func (e *Entry) former(s *slot, field string) (k *Key, unread *content) {
	snap := e.rotating(s)
	if snap == nil {
		return nil, nil
	}
	k, known := snap.before(field)
	if known {
		return k, nil
	}
	return nil, snap.content
}

// rotating returns what is held of s while its newest version is new, else nil.
func (e *Entry) rotating(s *slot) *snapshot {
	now := e.view.ring.now()
	snap := s.snap.Load()
	if e.zone(snap, now) == dead || now >= snap.formerUntil {
		return nil
	}
	return snap
}

// before returns the key that the named field had before this version, nil when
// it had none or the same. Known is false while the version before was not
// looked for.
func (s *snapshot) before(name string) (k *Key, known bool) {
	var newest *Key
	if f := s.find(name); f != nil {
		newest = f.key
	}
	if name == "" || name == store.DefaultField {
		if f := s.find(previousField); f != nil && f.bad == nil && !f.key.Equal(newest) {
			return f.key, true
		}
	}
	if s.former == nil {
		return nil, false
	}
	f := s.former.find(name)
	if f == nil || f.key.Equal(newest) {
		return nil, true
	}
	return f.key, true
}

// rotationEnds is when the version d, of which nothing was held before, is no
// longer new. It was written before this ring saw it, maybe long ago.
func (r *Ring) rotationEnds(d *store.Document, now int64) int64 {
	left := r.opts.Rotation
	if !d.CreatedAt.IsZero() {
		left -= max(0, time.Since(d.CreatedAt))
	}
	return now + int64(left)
}

// readFormer returns the end of the read of the version before c, nil when there
// is none to wait for.
func (r *Ring) readFormer(ctx context.Context, s *slot, c *content) <-chan struct{} {
	from, ok := r.store.(store.Former)
	now := r.now()
	if !ok || c.version < 2 || r.away(now) != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := s.former; last != nil {
		select {
		case <-last.done:
			if now-last.at < int64(refusedHold) {
				return nil
			}
		default:
			return last.done
		}
	}
	if !r.life.enter() {
		return nil
	}
	f := &formerRead{at: now, done: make(chan struct{})}
	s.former = f
	go func() {
		defer r.life.leave()
		defer close(f.done)
		r.flyFormer(span.Carry(r.ctx, ctx), from, s, c)
	}()
	return f.done
}

// flyFormer reads the version before c by a place among the foreground reads,
// and notes it beside c, or that there is none.
func (r *Ring) flyFormer(ctx context.Context, from store.Former, s *slot, c *content) {
	if !r.acquire() {
		return
	}
	defer func() { <-r.foreground }()
	ctx, cancel := context.WithTimeout(ctx, r.opts.ReadTimeout)
	defer cancel()
	doc, err := r.ask(ctx, func() (*store.Document, error) { return from.Former(ctx, s.address(), c.version) })
	class := ""
	if err != nil {
		class = classOf(err)
	}
	if r.ctx.Err() != nil && err != nil { // says nothing about the store
		return
	}
	r.report(s, err, class)
	if transport(class) || class == ClassThrottled {
		return // no answer: it may be asked for again
	}
	former := noFormer
	if err == nil && doc.Version < c.version {
		former, _ = build(doc, nil, r.now(), time.Now())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	snap := s.snap.Load()
	if snap == nil || snap.content != c {
		return // replaced or invalidated meanwhile
	}
	n := *snap
	n.former = former
	s.hold(&n, &r.names)
}
