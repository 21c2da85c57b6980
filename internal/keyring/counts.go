// What a ring counts, and how old is what is in use, for figures.

package keyring

import (
	"sync/atomic"
	"time"
)

// Counts are what a ring has done since it was made.
type Counts struct {
	// Lookups by what requests found: "fresh", "stale", "old", or "missing".
	Lookups map[string]uint64

	// Reads of the store by what they brought: "first", "changed", "unchanged",
	// or one of the Class constants.
	Reads map[string]uint64

	// Evicted customer keys by why: "idle" or "full".
	Evicted map[string]uint64
}

// Ages are how the documents in use stand.
type Ages struct {
	// States counts documents by their state, "missing" only for pinned ones.
	States map[string]int

	// Stale is how long the oldest document in use is past its ttl. In use is
	// what a configuration names, and what was asked for after its ttl.
	Stale time.Duration
}

// counts are the counters behind [Counts].
type counts struct {
	fresh   spread
	lookups [4]atomic.Uint64 // by zone; of dead those that found nothing
	first, changed, unchanged,
	idle, full atomic.Uint64
	classes [len(classes)]atomic.Uint64
}

// classes are the classes of trouble in the order of counts.classes.
var classes = [...]string{
	ClassNotFound, ClassDenied, ClassMisconfigured, ClassInvalid, ClassThrottled,
	ClassUnavailable, ClassOutdated, ClassOversized, ClassPanic,
}

// read counts a read that brought what now is held, in place of what was.
func (c *counts) read(was, is *snapshot) {
	switch {
	case was == nil:
		c.first.Add(1)
	case is.changed(was.content):
		c.changed.Add(1)
	default:
		c.unchanged.Add(1)
	}
}

// failed counts a read that brought trouble.
func (c *counts) failed(class string) {
	for i, name := range classes {
		if name == class {
			c.classes[i].Add(1)
		}
	}
}

// spread is a counter that all cores raise at once, for each request: cells that
// lie apart keep them from waiting for one another.
type spread [8]struct {
	n atomic.Uint64
	_ [120]byte // two lines of the processor's cache, which it fetches in pairs
}

// inc raises the cell that the time at hand points to: any will do, and this one
// costs no random number.
func (s *spread) inc(now int64) { s[uint64(now)*0x9e3779b97f4a7c15>>61].n.Add(1) }

func (s *spread) load() (n uint64) {
	for i := range s {
		n += s[i].n.Load()
	}
	return n
}

// Counts returns what the ring of the view has done, for all its views.
func (v *View) Counts() Counts {
	c := &v.ring.counts
	out := Counts{
		Lookups: map[string]uint64{"fresh": c.fresh.load() + c.lookups[fresh].Load(), "missing": c.lookups[dead].Load()},
		Reads:   map[string]uint64{"first": c.first.Load(), "changed": c.changed.Load(), "unchanged": c.unchanged.Load()},
		Evicted: map[string]uint64{"idle": c.idle.Load(), "full": c.full.Load()},
	}
	for _, z := range []zone{stale, old} {
		out.Lookups[z.String()] = c.lookups[z].Load()
	}
	for i, name := range classes {
		out.Reads[name] = c.classes[i].Load()
	}
	return out
}

// Ages goes over the documents of the ring, as the view sees them.
func (v *View) Ages() Ages {
	a := Ages{States: map[string]int{"fresh": 0, "stale": 0, "old": 0, "dead": 0, "missing": 0}}
	now := v.ring.now()
	v.ring.table.each(func(s *slot) bool {
		e := Entry{view: v, pinned: s.pins.Load() > 0}
		snap := s.snap.Load()
		if snap == nil {
			if e.pinned {
				a.States["missing"]++
			}
			return true
		}
		a.States[e.zone(snap, now).String()]++
		past := e.past(snap, now)
		if past > 0 && (s.kept.Load() > 0 || s.unused(now) < past) {
			a.Stale = max(a.Stale, past)
		}
		return true
	})
	return a
}

// past is how long a snapshot is past its ttl, negative while it is not.
func (e *Entry) past(snap *snapshot, now int64) time.Duration {
	ttl, _ := e.ages()
	if w := time.Duration(snap.terms.wish()); w > 0 {
		ttl = min(ttl, w)
	}
	return time.Duration(now-snap.checked) - ttl
}

// Stale is how long what is held of the document is past its ttl. Zero: it is
// not, or nothing is held.
func (e *Entry) Stale() time.Duration {
	snap := e.live().snap.Load()
	if snap == nil {
		return 0
	}
	return max(0, e.past(snap, e.view.ring.now()))
}
