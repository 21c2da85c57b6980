// How far a key has come to its end.

package keyring

import (
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

const (
	// expiringSoon and expiringNow are how long before its end a key is said to
	// run out: once to order another, and once because nobody did. Of a key that
	// lives shorter it is a quarter and an eighth of its life.
	expiringSoon = 14 * 24 * time.Hour
	expiringNow  = 24 * time.Hour
)

// Lifetime is how far a key has come to its end.
type Lifetime int32

// A key passes these in this order. Each is told once.
const (
	Unlimited    Lifetime = iota // or far from it
	ExpiringSoon                 // 14 days are left, or a quarter of its life
	ExpiringNow                  // one day, or an eighth
	Expired
)

// LifetimeOf returns how far a key has come that was written at created, zero
// for unknown, and ends at expires, zero for never.
func LifetimeOf(created, expires, now time.Time) Lifetime {
	if expires.IsZero() {
		return Unlimited
	}
	soon, at := expiringSoon, expiringNow
	if !created.IsZero() {
		soon, at = Leads(expires.Sub(created))
	}
	switch left := expires.Sub(now); {
	case left <= 0:
		return Expired
	case left <= at:
		return ExpiringNow
	case left <= soon:
		return ExpiringSoon
	}
	return Unlimited
}

// Leads returns how long before its end a key of such a life is said to run out
// soon, and now.
func Leads(life time.Duration) (soon, now time.Duration) {
	return min(expiringSoon, life/4), min(expiringNow, life/8)
}

// Kind is the kind of event that tells it, empty for none.
func (l Lifetime) Kind() Kind {
	switch l {
	case ExpiringSoon, ExpiringNow:
		return KeyExpiring
	case Expired:
		return KeyExpired
	case Unlimited:
	}
	return ""
}

// running returns what is to be told of a content's end, once for each step.
func (c *content) running(a store.Address, now time.Time) (e Event, tell bool) {
	if c.expires.IsZero() {
		return Event{}, false
	}
	l := LifetimeOf(c.created, c.expires, now)
	for told := c.ageTold.Load(); told < int32(l); told = c.ageTold.Load() {
		if c.ageTold.CompareAndSwap(told, int32(l)) {
			return Event{Kind: l.Kind(), Address: a, Version: c.version, Expires: c.expires}, true
		}
	}
	return Event{}, false
}
