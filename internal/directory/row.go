// This file holds what a request finds, and what is kept beside it.

package directory

import (
	"sync/atomic"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// Integration is one row as it was read. It never changes: a change of the row
// makes another one.
type Integration struct {
	catalog.Integration

	// Memo is for what the holder compiles of the row.
	Memo Memo
}

// Connection is one row as it was read. It never changes: a change of the row
// makes another one. What traffic notes after that is not in it: see
// [Connection.LastUsed].
type Connection struct {
	catalog.Connection

	// Memo is for what the holder makes of the row. What is also made of the
	// integration goes out of date with that one, too.
	Memo Memo

	// changed says that the row is out of date, or that nobody would say so.
	// Who finds it false has a row that is up to date.
	changed atomic.Bool

	// touched is set by each request, and cleared by the hand: see evict.
	touched atomic.Bool

	slot *slot
}

// LastUsed returns when the connection was used last, as far as this node
// knows, to the minute. It is zero for never.
func (c *Connection) LastUsed() time.Time {
	at := c.LastUsedAt
	if ms := c.slot.noted.Load(); ms > 0 && ms > at.UnixMilli() {
		at = time.UnixMilli(ms).UTC()
	}
	return at
}

// Memo keeps one value beside a row, and goes with the row. The zero value is
// empty. Whoever is second to store replaces the first.
type Memo struct{ v atomic.Pointer[any] }

// Load returns what was stored, nil for nothing.
func (m *Memo) Load() any {
	if v := m.v.Load(); v != nil {
		return *v
	}
	return nil
}

// Store keeps v.
func (m *Memo) Store(v any) { m.v.Store(&v) }

// key names a row. An integration has no id, a connection always has one.
type key struct{ integration, id string }

func (c *Connection) key() key { return key{c.Integration, c.ID} }

// slot is the place of one connection, whatever its row says now. It lies apart
// from the row, so that a request has one thing less to wait for.
type slot struct {
	row   *Connection // guarded by the directory's lock
	place int32       // in the ring; guarded likewise

	noted    atomic.Int64 // when a use was noted last, in milliseconds
	failed   atomic.Int64 // the version known to be refused, 0 for none
	accepted atomic.Int64 // the newest version seen to be accepted

	unverified atomic.Int64 // the version that no verdict is known of, 0 for none
}
