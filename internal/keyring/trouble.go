// What went wrong with a document last, and for how long it is left alone.

package keyring

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// How long an answer that gave no key is believed.
const (
	negativeFirst = 30 * time.Second // no such document, no usable field
	negativeMax   = 5 * time.Minute
	deniedRetry   = time.Minute     // refused by policy, or no such mount
	deniedGrace   = 5 * time.Minute // a held key outlives a refusal this long
	confirmAfter  = 5 * time.Second // between the two reads that end a held key
	oversizedWait = 5 * time.Minute // larger than is read: each try costs a megabyte
)

// trouble is what came instead of a document. It is immutable.
type trouble struct {
	class string
	err   error
	since int64  // first of this kind in a row
	until int64  // no read before, unless the store recovers meanwhile
	fails int    // of this kind in a row
	gen   uint64 // the store's recovery count when it happened
	gone  int64  // held key: when the store first said that it is no more
	deny  int64  // held key: when the store's policy first forbade it
	told  bool   // a view was told
}

// The classes of trouble, as [Status] and [Event] name them.
const (
	ClassNotFound      = "not_found"
	ClassDenied        = "denied"
	ClassMisconfigured = "misconfigured"
	ClassInvalid       = "invalid"
	ClassThrottled     = "throttled"
	ClassUnavailable   = "unavailable"
	ClassOutdated      = "outdated"
	ClassOversized     = "oversized"
	ClassPanic         = "panic"
)

// errOutdated is the trouble of a read that gave an older version than is held:
// a replica that lags, mostly.
var errOutdated = errors.New("the store gave an older version than the one held")

// errPanic is the error of a reader that panicked.
var errPanic = errors.New("the store's reader panicked")

func classOf(err error) string {
	var throttled *store.ThrottledError
	var invalid *store.InvalidError
	switch {
	case errors.Is(err, errPanic):
		return ClassPanic
	case errors.As(err, &throttled):
		return ClassThrottled
	case errors.Is(err, store.ErrNotFound):
		return ClassNotFound
	case errors.Is(err, store.ErrDenied):
		return ClassDenied
	case errors.Is(err, store.ErrMisconfigured):
		return ClassMisconfigured
	case errors.As(err, &invalid):
		return ClassInvalid
	case errors.Is(err, errOutdated):
		return ClassOutdated
	case errors.Is(err, store.ErrOversized):
		return ClassOversized
	}
	return ClassUnavailable
}

// transport reports whether a class says that the store, not the document, is
// at fault. Only those count for the breaker.
func transport(class string) bool { return class == ClassUnavailable || class == ClassPanic }

// next is the trouble that follows t, which may be nil, by an error of class.
// Alive says that the store answered for another document since t began.
func (t *trouble) next(class string, err error, now int64, held bool, alive func(since int64) bool) *trouble {
	n := &trouble{class: class, err: err, since: now, fails: 1}
	if t != nil {
		n.gone, n.deny, n.told = t.gone, t.deny, t.told && t.class == class
		if t.class == class {
			n.since, n.fails = t.since, t.fails+1
		}
	}
	var wait time.Duration
	switch class {
	case ClassNotFound:
		wait = backoff(negativeFirst, negativeMax, n.fails)
	case ClassInvalid:
		wait = negativeFirst
	case ClassDenied, ClassMisconfigured:
		wait = deniedRetry
	case ClassOversized:
		wait = oversizedWait
	default:
		wait = n.retry(held, alive(n.since))
	}
	n.until = now + int64(wait)
	return n
}

// retry is the pause after a failure that says nothing about the document.
// While nothing else was answered the store itself may be away, and the pause
// stays short until the breaker takes over: it must not outlast the store's
// return. When others are answered this document is at fault and the pause grows.
func (t *trouble) retry(held, alive bool) time.Duration {
	if held {
		d := backoff(500*time.Millisecond, time.Minute, t.fails)
		if !alive {
			d = min(d, 4*time.Second)
		}
		// Full jitter, but never none: a failure at once would be retried at once.
		return d/10 + time.Duration(rand.Int64N(int64(d*9/10))) //nolint:gosec // jitter, not a secret
	}
	limit := 3 * time.Second
	if alive {
		limit = 30 * time.Second
	}
	return backoff(time.Second, limit, t.fails)
}

// backoff is first, doubled with each failure after the first, at most limit.
func backoff(first, limit time.Duration, fails int) time.Duration {
	if fails > 16 { // beyond every limit, before the shift overflows
		return limit
	}
	return min(first<<(fails-1), limit)
}

// failure is what a request gets when nothing is held and reading a went wrong.
// Authoritative answers stay what they are.
func failure(a store.Address, err error, retryAfter time.Duration) error {
	if _, ok := errors.AsType[*UnavailableError](err); ok {
		return err
	}
	switch classOf(err) {
	case ClassNotFound, ClassInvalid:
		return fmt.Errorf("reading %s: %w", a, err)
	}
	return &UnavailableError{RetryAfter: max(retryAfter, time.Second), Err: fmt.Errorf("reading %s: %w", a, err)}
}

// UnavailableError says that no key is held and that nothing authoritative is
// known: the store is away, throttles, denies, is misread, or too many wait for it.
type UnavailableError struct {
	// RetryAfter is when asking again may help, at least a second.
	RetryAfter time.Duration

	// Err is what came instead of a key.
	Err error
}

func (e *UnavailableError) Error() string { return "key unavailable: " + e.Err.Error() }

// Unwrap returns the reason.
func (e *UnavailableError) Unwrap() error { return e.Err }
