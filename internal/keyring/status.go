// What a status page may know: names, versions, ages, never a value.

package keyring

import (
	"iter"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// Status is the state of one document in a ring, as a view sees it.
type Status struct {
	Address store.Address

	// Pinned says that a configuration names it.
	Pinned bool

	// State is "fresh", "stale", "old", "dead", or "missing" when nothing is held.
	State string

	// Had says that some version was held before, if none is now.
	Had bool

	// Version held. Zero: none, or the store has none.
	Version int

	// Rejected says that upstreams refuse the newest key.
	Rejected bool

	// RejectedAt is when they did last, since they took one. Zero: never.
	RejectedAt time.Time

	// CreatedAt is when the version was written, by the store's clock.
	CreatedAt time.Time

	// Expires is when the key runs out, as its document says. Zero: it does not.
	Expires time.Time

	// CheckedAt is when it was last seen to be the newest.
	CheckedAt time.Time

	// RefreshAt is when it is read again by schedule, or at the first use after
	// that. Zero: not known.
	RefreshAt time.Time

	// Class and Err of the last read, when it brought nothing.
	Class string
	Err   error

	// Failures of this class in a row.
	Failures int

	// RetryAfter is when it is read again at the earliest.
	RetryAfter time.Duration
}

// Health is the state of a ring's store.
type Health struct {
	// Down says that the breaker is open: the store is not read, only probed.
	Down bool

	// Answered says that the store has given this process a good answer.
	Answered bool

	// Since is when it went down, or was back. Zero: it was never down.
	Since time.Time

	// Paused is for how long the store asked to be left alone.
	Paused time.Duration

	// Held is how many documents the ring knows, Pinned how many of them the
	// configurations name.
	Held, Pinned int

	// TTL of customer keys, stretched when there are many of them.
	TTL time.Duration
}

// Status goes over the documents of the ring. What holds nothing and is not
// pinned is left out.
func (v *View) Status() iter.Seq[Status] {
	return func(yield func(Status) bool) {
		v.ring.table.each(func(s *slot) bool {
			e := Entry{view: v, pinned: s.pins.Load() > 0}
			return yield(e.status(s))
		})
	}
}

// Status returns the state of the entry's document.
func (e *Entry) Status() Status { return e.status(e.live()) }

func (e *Entry) status(s *slot) Status {
	now := e.view.ring.now()
	snap := s.snap.Load()
	st := Status{Address: s.address(), Pinned: s.pins.Load() > 0, State: "missing", Had: s.had.Load()}
	st.Rejected, st.RejectedAt = s.refused(snap)
	if snap != nil {
		st.State = e.zone(snap, now).String()
		st.Version, st.CreatedAt, st.Expires = snap.version, snap.created, snap.expires
		st.CheckedAt = time.Now().Add(-time.Duration(now - snap.checked))
		st.RefreshAt = st.CheckedAt.Add(snap.terms.age(e.view.opts.TTL))
	}
	if t := s.trouble.Load(); t != nil {
		st.Class, st.Err, st.Failures = t.class, t.err, t.fails
		st.RetryAfter = e.view.ring.blocked(s, now)
		st.RefreshAt = time.Now().Add(st.RetryAfter)
	}
	return st
}

// Holds tells, without a read, whether a usable key is held for field.
func (e *Entry) Holds(field string) bool {
	now := e.view.ring.now()
	snap := e.live().snap.Load()
	if e.zone(snap, now) == dead {
		return false
	}
	f := snap.find(field)
	return f != nil && f.key != nil && (f.bad == nil || now-f.bad.since < int64(e.view.opts.MaxStale))
}

// Lazy tells whether the entry is not read before it is asked for.
func (e *Entry) Lazy() bool { return !e.pinned || e.view.opts.Lazy }

// Peek returns what is held of a key, without asking for it.
func (v *View) Peek(a store.Address) Status {
	s := v.ring.table.get(a)
	if s == nil {
		return Status{Address: a, State: "missing"}
	}
	e := &Entry{view: v}
	e.slot.Store(s)
	return e.status(s)
}

// Health returns the state of the store.
func (v *View) Health() Health {
	r := v.ring
	return Health{
		Down:     r.breaker.isOpen(),
		Answered: r.breaker.answer.Load() != 0,
		Since:    r.breaker.since(r.now()),
		Paused:   max(0, time.Duration(r.breaker.pausedUntil()-r.now())),
		Held:     int(r.table.size.Load()),
		Pinned:   int(r.table.pinned.Load()),
		TTL:      max(v.opts.TTL, time.Duration(r.stretch.Load())),
	}
}
