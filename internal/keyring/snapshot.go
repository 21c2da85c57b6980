// What is held of one document: keys, and immutable snapshots of its newest content.

package keyring

import (
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// Key is one usable value of one field. It is immutable, and the same pointer
// for as long as the same version is held: what is rendered from it can be
// cached by comparing pointers.
type Key struct {
	// Value is the key material.
	Value secret.Value

	// Version of the document it came from. Zero: the store has none.
	Version int

	// FetchedAt is when this ring first read this version. When it was last
	// seen unchanged is in [Status].
	FetchedAt time.Time

	// CreatedAt is when the version was written, by the store's clock. Zero:
	// not known.
	CreatedAt time.Time

	_ apart
}

// apart makes a struct larger than a slot. The allocator lays objects of one size
// side by side; so slots share their pages with nothing else, and a look-up finds
// its page's address, and often the slot itself, in the processor.
type apart [1]int64

// snapshot is a content and when it was last seen to be the newest.
type snapshot struct {
	*content
	key         *Key // of the default field when it is good: what most requests want
	checked     int64
	terms       terms
	former      *content // the version before; nil: not looked for, or no longer of use
	formerUntil int64    // till then this version is new, and upstreams may not know it yet
}

// newSnapshot is c, seen at now to be the newest.
func newSnapshot(c *content, now int64, ttl time.Duration) *snapshot {
	n := &snapshot{content: c, checked: now, terms: termsOf(ttl)}
	if f := c.find(""); f.bad == nil {
		n.key = f.key
	}
	return n
}

// wanted returns the key that most requests want: that of the default field, or
// when there is none, the first good one that is asked for by name. Its field has
// a number when it is asked for by name.
func (s *snapshot) wanted(names *fieldNames) (key *Key, field uint8) {
	for i := range s.fields {
		f := &s.fields[i]
		if f.name == "" || f.bad != nil || !f.asked.Load() || s.key != nil && f.key != s.key {
			continue
		}
		field = names.number(f.name)
		if s.key == nil {
			return f.key, field | onlyByName
		}
		break
	}
	return s.key, field
}
