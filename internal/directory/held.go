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
	made := &Connection{Connection: *c}
	k, held := made.key(), d.held(made.key()) // not the caller's strings
	switch {
	case held == nil:
		made.slot = &slot{row: made, place: int32(len(d.ring))}
		made.slot.noted.Store(millis(c.LastUsedAt))
		d.ring = append(d.ring, made.slot)
	case same(held.Connection, *c):
		made = held
	default:
		made.slot = held.slot
		made.slot.row = made
	}
	d.notes.sync(k, made.slot, c, held != nil && held.KeyVersion != c.KeyVersion)
	made.changed.Store(!d.watching)
	if made != held {
		d.connections.Store(k, made)
	}
	if held == nil {
		d.evict(made.slot)
	}
	return made
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
	c := d.held(k)
	if c == nil {
		return
	}
	d.connections.Delete(k)
	last, place := len(d.ring)-1, c.slot.place
	d.ring[place] = d.ring[last]
	d.ring[place].place = place
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
		if s == latest || s.row.touched.Swap(false) {
			d.hand++
			continue
		}
		d.drop(s.row.key())
		d.hand++ // past the one that took its place: the latest
	}
}
