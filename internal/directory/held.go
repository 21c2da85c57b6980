// This file holds how rows get in and out. The lock is held throughout.

package directory

import (
	"maps"
	"reflect"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// putIntegration publishes a row, nil for none. One that says what the held one
// says leaves that in place, with its memo.
func (d *Directory) putIntegration(uniqueKey string, i *catalog.Integration) {
	old := *d.integrations.Load()
	held := old[uniqueKey]
	if i == nil && held == nil || i != nil && held != nil && reflect.DeepEqual(held.Integration, *i) {
		return
	}
	next := maps.Clone(old)
	if i == nil {
		delete(next, uniqueKey)
	} else {
		next[uniqueKey] = &Integration{Integration: *i}
	}
	d.integrations.Store(&next)
}

// putIntegrations publishes all that a load brought, but for those changed
// since it began: they are read on their own, and maybe were before it ended.
func (d *Directory) putIntegrations(all []*catalog.Integration) {
	old := *d.integrations.Load()
	next := make(map[string]*Integration, len(all))
	for _, i := range all {
		if held := old[i.UniqueKey]; held != nil && reflect.DeepEqual(held.Integration, *i) {
			next[i.UniqueKey] = held
			continue
		}
		next[i.UniqueKey] = &Integration{Integration: *i}
	}
	for uniqueKey := range d.recent {
		if held := old[uniqueKey]; held != nil {
			next[uniqueKey] = held
		} else {
			delete(next, uniqueKey)
		}
	}
	d.integrations.Store(&next)
}

// putConnection publishes a row and returns what is held of it now. One that
// says what the held one says leaves that in place, with its memo.
func (d *Directory) putConnection(c *catalog.Connection) *Connection {
	k := key{c.Integration, c.ID} // not the caller's strings
	s := d.slot(k)
	if s == nil {
		s = &slot{place: int32(len(d.ring))}
		s.noted.Store(millis(c.LastUsedAt))
		s.row.Store(&Connection{Connection: *c, slot: s})
		d.notes.sync(k, s, c, true)
		s.changed.Store(!d.watching)
		d.ring = append(d.ring, s)
		d.connections.Store(k, s)
		d.unknown.remove(k)
		d.evict(s)
		return s.row.Load()
	}
	held := s.row.Load()
	d.notes.sync(k, s, c, held.KeyVersion != c.KeyVersion)
	if !same(held.Connection, *c) {
		s.row.Store(&Connection{Connection: *c, slot: s})
	}
	s.changed.Store(!d.watching) // after the row: see slot
	return s.row.Load()
}

// same reports whether two rows say the same but for the last use, which is
// noted all the time.
func same(a, b catalog.Connection) bool {
	a.LastUsedAt = b.LastUsedAt
	return reflect.DeepEqual(a, b)
}

// millis returns t in milliseconds, 0 for never.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// drop takes a connection out.
func (d *Directory) drop(k key) {
	s := d.slot(k)
	if s == nil {
		return
	}
	d.connections.Delete(k)
	last := len(d.ring) - 1
	d.ring[s.place] = d.ring[last]
	d.ring[s.place].place = s.place
	d.ring[last] = nil
	d.ring = d.ring[:last]
}

// evict lets connections go beyond the bound, such as were not found again since
// the hand passed them last: nearly the least recently used ones, without a list
// to be kept in order by every request. While the catalog is away none goes.
func (d *Directory) evict(latest *slot) {
	for len(d.ring) > d.opts.MaxConnections && d.outage.Load() == nil {
		if d.hand >= len(d.ring) {
			d.hand = 0
		}
		s := d.ring[d.hand]
		if s == latest || s.touched.Swap(false) {
			d.hand++
			continue
		}
		c := s.row.Load()
		d.drop(key{c.Integration, c.ID})
		d.hand++ // past the one that took its place: the latest
	}
}
