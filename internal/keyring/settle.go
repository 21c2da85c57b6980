// What a read changes: the rules by which a held key is replaced, kept, or dropped.

package keyring

import (
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// settle takes over what a flight brought and lets its waiters go.
func (r *Ring) settle(s *slot, f *flight, doc *store.Document, err error) {
	var events []Event
	s.mu.Lock()
	if s.flight != f { // invalidated meanwhile: for the waiters only
		f.err = err
		if err == nil {
			c, _ := build(doc, nil, r.now(), time.Now())
			f.snap = newSnapshot(c, r.now(), 0)
		}
		s.mu.Unlock()
		close(f.done)
		return
	}
	s.flight = nil
	if err == nil {
		var ok bool
		was := s.snap.Load()
		if events, ok = r.accept(s, doc); ok {
			r.counts.read(was, s.snap.Load())
		} else {
			err = errOutdated
		}
	}
	if t := s.trouble.Load(); err == nil && t != nil {
		s.trouble.Store(nil)
		if t.told {
			events = append(events, Event{Kind: KeyRecovered, Address: s.address(), Version: s.snap.Load().version})
		}
	}
	dropped := false
	if err != nil {
		r.counts.failed(classOf(err))
		events, dropped = r.fail(s, err)
	}
	f.snap, f.err = s.snap.Load(), err
	s.mu.Unlock()

	switch {
	case dropped:
		r.table.demote(s)
	case err == nil:
		r.table.promote(s)
	}
	r.plan(s)
	close(f.done)
	r.views.tell(events...)
}

// accept makes d the held document of s, unless it is older than what is held.
// s.mu is held.
func (r *Ring) accept(s *slot, d *store.Document) (events []Event, ok bool) {
	now := r.now()
	was := s.snap.Load()
	var old *content
	if was != nil {
		old = was.content
		if old.older(d) {
			return nil, false
		}
	}
	c, faulty := build(d, old, now, time.Now())
	if old != nil && c.equal(old) && (c.created.IsZero() || c.created.Equal(old.created)) {
		c = old // so that a refresh that finds nothing new leaves no garbage to hold
	}
	n := newSnapshot(c, now, d.TTL)
	switch {
	case was == nil:
		s.touch(now) // an idle key counts from here
		n.formerUntil = r.rotationEnds(d, now)
	case c.changed(old):
		n.former, n.formerUntil = old, now+int64(r.opts.Rotation)
		events = append(events, Event{Kind: KeyChanged, Address: s.address(), Version: c.version, Former: old.version})
	case now < was.formerUntil:
		n.former, n.formerUntil = was.former, was.formerUntil
	}
	s.hold(n, &r.names)
	if e, told := c.running(s.address(), time.Now()); told {
		events = append(events, e)
	}
	if _, bad := d.Expires(); bad != nil && (old == nil || c.changed(old)) {
		faulty = append(faulty, bad)
	}
	for _, e := range faulty {
		events = append(events, Event{
			Kind: KeyInvalid, Address: s.address(), Version: c.version,
			Field: e.Field, Class: ClassInvalid, Err: e,
		})
	}
	return events, true
}

// fail notes an error, and drops the held key when the error means that it must
// not be served any longer. An outage never does. s.mu is held.
func (r *Ring) fail(s *slot, err error) (events []Event, dropped bool) {
	now := r.now()
	was := s.snap.Load()
	class := classOf(err)
	t := s.trouble.Load().next(class, err, now, was != nil, r.breaker.aliveSince)
	t.gen = r.breaker.generation()
	event := Event{Kind: KeyFailing, Address: s.address(), Class: class, Err: err}
	if was != nil {
		event.Version = was.version
	}
	told := t.told
	switch class {
	case ClassNotFound:
		if was == nil {
			t.told = s.pins.Load() > 0 // made-up ids are no event
			break
		}
		if t.gone == 0 {
			t.gone = now
		}
		// One answer may be a mistake of a moment; two, five seconds apart,
		// are obeyed.
		if confirm := t.gone + int64(confirmAfter); now < confirm {
			t.until = confirm
			break
		}
		event.Kind, dropped, t.told = KeyDeleted, true, true
	case ClassDenied:
		if was == nil {
			t.told = s.pins.Load() > 0
			break
		}
		event.Kind, t.told = KeyDenied, true
		if t.deny == 0 {
			t.deny = now
		}
		if now-t.deny >= int64(deniedGrace) {
			dropped, told = true, false
		}
	case ClassThrottled:
		t.until = max(t.until, r.breaker.pausedUntil())
	case ClassUnavailable, ClassPanic:
		// The store's being away is told once, by the breaker. A document that
		// alone keeps failing is told here.
		t.told = told || t.fails >= breakerLimit && r.breaker.aliveSince(t.since)
	default:
		t.told = was != nil || s.pins.Load() > 0
	}
	if dropped {
		event.Dropped, event.Version = true, 0
		t.gone, t.deny, t.fails = 0, 0, 1
		if class == ClassNotFound {
			t.until = now + int64(negativeFirst)
		}
		s.hold(nil, nil)
		s.refusal = nil
	}
	s.trouble.Store(t)
	if t.told && !told {
		events = append(events, event)
	}
	return events, dropped
}
