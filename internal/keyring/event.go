// What a ring tells its views in the background.

package keyring

import (
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// Kind says what happened.
type Kind string

// The kinds of events. Each is told when a state changes, not for every read
// that finds it unchanged.
const (
	// KeyChanged: a new version is held.
	KeyChanged Kind = "key_changed"

	// KeyDeleted: the store confirmed that a held document is no more; the key
	// is not served any longer.
	KeyDeleted Kind = "key_deleted"

	// KeyDenied: the store's policy forbids a held document. With Dropped the
	// grace is over and the key is not served any longer.
	KeyDenied Kind = "key_denied"

	// KeyInvalid: a new version has no usable value in a field; the earlier
	// value is still served.
	KeyInvalid Kind = "key_invalid"

	// KeyUnusable: a request wants a field in which the document has no usable
	// value, and none is held from before.
	KeyUnusable Kind = "key_unusable"

	// KeyFailing: reading the document began to fail, for the reason in Class.
	KeyFailing Kind = "key_failing"

	// KeyRecovered: reading it works again.
	KeyRecovered Kind = "key_recovered"

	// KeyRejected: an upstream refused the newest key, and no other helped.
	KeyRejected Kind = "key_rejected"

	// KeyAccepted: an upstream took a key after that.
	KeyAccepted Kind = "key_accepted"

	// KeyExpiring: the time that a document's `expires_at` names is near. It is
	// told when 14 days and when one day are left, or less of a key that lives
	// shorter: see [Lifetime].
	KeyExpiring Kind = "key_expiring"

	// KeyExpired: that time has come. The key is still served: its upstream
	// decides.
	KeyExpired Kind = "key_expired"

	// StoreDown: the breaker opened.
	StoreDown Kind = "store_down"

	// StoreUp: the store gave its first good answer after that.
	StoreUp Kind = "store_up"

	// StoreThrottled: the store asked to be left alone.
	StoreThrottled Kind = "store_throttled"
)

// Event is one thing that happened. It holds no key material.
type Event struct {
	Kind Kind

	// Address of the document. Zero for events of the whole store.
	Address store.Address

	// Version held after the event. Zero: none, or the store has none.
	Version int

	// Former is the version held before. Only for [KeyChanged].
	Former int

	// Expires is when the key runs out. Only for [KeyExpiring] and [KeyExpired].
	Expires time.Time

	// Field that is not usable. Only for [KeyInvalid] and [KeyUnusable].
	Field string

	// Dropped says that the key is not served any longer.
	Dropped bool

	// Class of Err, one of the Class constants. Empty: no error.
	Class string

	// Err says why. It names addresses and fields, never a value.
	Err error
}
