// This file holds what requests tell of connections, until it is written down.

package directory

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// UseEvery is how often a use of one connection is noted.
const UseEvery = time.Minute

// notes are what is to be written down: of each connection the last use and the
// last verdict on its key. Slots stand under their keys and not for themselves,
// as a connection may be let go before.
type notes struct {
	mu       sync.Mutex
	limit    int // of each map
	uses     map[key]time.Time
	verdicts map[key]verdict
	dropped  uint64
	wake     chan struct{} // there is something not to wait for
}

// verdict is what an upstream said of a version of a key.
type verdict struct {
	version int
	at      time.Time
	refused bool
}

func (n *notes) init(limit int) {
	n.limit = limit
	n.uses, n.verdicts = map[key]time.Time{}, map[key]verdict{}
	n.wake = make(chan struct{}, 1)
}

func (n *notes) poke() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// Used notes that a request uses the connection. It may be called for each: all
// but one a minute cost a look at the clock.
func (d *Directory) Used(c *Connection) {
	s, now := c.slot, d.opts.Now()
	ms, last := now.UnixMilli(), s.noted.Load()
	// A time to come is of a clock that was set back, or of another node's.
	if since := ms - last; since >= 0 && since < UseEvery.Milliseconds() || !s.noted.CompareAndSwap(last, ms) {
		return
	}
	d.notes.use(c.key(), now)
}

// AuthFailed notes that the upstream refused the connection's key of that
// version. It may be called for each request: only the first is written down.
func (d *Directory) AuthFailed(c *Connection, version int) {
	s, v := c.slot, int64(version)
	// One that comes late, of a version before the one accepted since, says
	// nothing of that.
	if v <= s.failed.Load() || v < s.accepted.Load() {
		return
	}
	d.note(c, verdict{version, d.opts.Now(), true}, func() bool { return v > s.failed.Load() }, v)
}

// AuthAccepted notes that the upstream took the connection's key of that
// version. It may be called for each request: only one after a refusal, or of
// a key that is unverified, is written down.
func (d *Directory) AuthAccepted(c *Connection, version int) {
	s, v := c.slot, int64(version)
	raise(&s.accepted, v)
	ends := func() bool {
		f, u := s.failed.Load(), s.unverified.Load()
		return f > 0 && f <= v || u > 0 && u <= v
	}
	if ends() {
		d.note(c, verdict{version, d.opts.Now(), false}, ends, 0)
	}
}

// raise makes a at least v.
func raise(a *atomic.Int64, v int64) {
	for old := a.Load(); old < v && !a.CompareAndSwap(old, v); old = a.Load() {
	}
}

// note enters a verdict, if it still is news, and that failed is the version
// now known to be refused.
func (d *Directory) note(c *Connection, v verdict, news func() bool, failed int64) {
	n, k := &d.notes, c.key()
	n.mu.Lock()
	defer n.mu.Unlock()
	if !news() {
		return
	}
	if _, again := n.verdicts[k]; !again && len(n.verdicts) >= n.limit {
		n.dropped++
		return // the next one tries again
	}
	n.verdicts[k] = v
	c.slot.failed.Store(failed)
	if !v.refused {
		c.slot.unverified.Store(0)
	}
	n.poke()
}

func (n *notes) use(k key, at time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, again := n.uses[k]; !again && len(n.uses) >= n.limit {
		n.dropped++
		return
	}
	n.uses[k] = at
}

// sync takes over what a row says of its key, unless something newer is to be
// written down. With another key nothing is known of versions accepted before:
// their numbers may begin anew.
func (n *notes) sync(k key, s *slot, c *catalog.Connection, otherKey bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if otherKey {
		s.accepted.Store(0)
	}
	if _, pending := n.verdicts[k]; !pending {
		s.failed.Store(int64(c.AuthFailedVersion))
		s.unverified.Store(unverified(c))
	}
}

// unverified is the version of a key that its upstream gave no verdict on, 0 for
// none.
func unverified(c *catalog.Connection) int64 {
	if !c.Unverified {
		return 0
	}
	return int64(c.KeyVersion)
}
