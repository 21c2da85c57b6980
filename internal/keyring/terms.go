// For how long what was read is fresh.

package keyring

import (
	"math"
	"math/rand/v2"
	"time"
)

// terms say when a document that was read is to be read again, in as few bytes as
// fit beside what else a look-up reads: in the upper 8 bits the part of the ttl
// after which that is, in the others the document's own wish, the upper bits of a
// float32 of nanoseconds. What is cut off shortens the wish by a thousandth at
// most.
type terms uint32

const wishBits = 24

// termsOf draws terms for a document with that wish, 0 for none.
func termsOf(wish time.Duration) terms {
	t := terms(math.Float32bits(float32(max(wish, 0))) >> (32 - wishBits))
	return t | terms(rand.Uint32()&0xff)<<wishBits //nolint:gosec // jitter, not a secret
}

// soft is the part of a ttl after which a key is refreshed, 0.80 to 0.95. It is
// below 1 so that the new value of a store is in use within the ttl, the time of
// the read included, and it is spread so that keys read together are not
// refreshed together.
func (t terms) soft() float32 { return 0.80 + 0.15/255*float32(t>>wishBits) }

// wish is how long the document itself wishes to be held. 0: no wish.
func (t terms) wish() float32 {
	return math.Float32frombits(uint32(t) << (32 - wishBits))
}

// age is the age at which a refresh is due under a ttl, which the document's own
// wish shortens.
func (t terms) age(ttl time.Duration) time.Duration {
	d := float32(ttl)
	if w := t.wish(); w > 0 {
		d = min(d, w)
	}
	return time.Duration(d * t.soft())
}
