// For how long what was read is fresh.

package keyring

import (
	"math"
	"math/rand/v2"
	"time"
)

// terms say what of a document that was read may be used until when, in as few
// bytes as fit beside what else a look-up reads. From the upper end: 8 bits for
// the part of the ttl after which it is to be read again, 16 for the document's
// own wish, and 8 for the field that the key beside is of.
//
// The wish is the upper half of a float32 of nanoseconds. What is cut off
// shortens it by a hundredth at most.
type terms uint32

const (
	softShift = 24
	wishShift = 8
	wishMask  = 0xffff

	// onlyByName, beside the field's number, says that it is not the default.
	onlyByName = 1 << 7
)

// termsOf draws terms for a document with that wish; 0 or less is none.
func termsOf(wish time.Duration) terms {
	upper := math.Float32bits(float32(wish)) >> 16
	return terms(rand.Uint32()&0xff)<<softShift | terms(upper)<<wishShift //nolint:gosec // jitter, not a secret
}

// with are terms that termsOf drew, for the key of a field.
func (t terms) with(field uint8) terms { return t | terms(field) }

// soft is the part of a ttl after which a key is refreshed, 0.80 to 0.95. It is
// below 1 so that the new value of a store is in use within the ttl, the time of
// the read included, and it is spread so that keys read together are not
// refreshed together.
func (t terms) soft() float32 { return 0.80 + 0.15/255*float32(t>>softShift) }

// wish is how long the document itself wishes to be held. 0: no wish.
func (t terms) wish() float32 {
	return math.Float32frombits(uint32(t>>wishShift&wishMask) << 16)
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
