// Package limit bounds how often strangers may fail, by the address that they
// come from.
package limit

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// most bounds how many addresses are remembered, twice. Who has more of them
// makes others forgotten, and can begin anew with each all the same.
const most = 10000

// Failures counts failures by address. Each may have some at once, and gets them
// back one after the other.
type Failures struct {
	burst int
	each  time.Duration // until one is given back
	now   func() time.Time

	// Two generations bound the memory without a list of who came when: the young
	// take the place of the old when there are too many of them, and who is seen
	// again is young again.
	mu         sync.Mutex
	young, old map[netip.Prefix]*rate.Limiter
}

// NewFailures returns a count that lets an address fail some times in a window.
func NewFailures(times int, window time.Duration, now func() time.Time) *Failures {
	return &Failures{burst: times, each: window / time.Duration(times), now: now, young: make(map[netip.Prefix]*rate.Limiter)}
}

// Wait returns for how long an address may not try, zero when it may.
func (f *Failures) Wait(addr netip.Addr) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.of(Network(addr))
	if l == nil {
		return 0
	}
	missing := 1 - l.TokensAt(f.now())
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing * float64(f.each))
}

// Add counts a failure. It tells whether it was the last that is let through for
// now.
func (f *Failures) Add(addr netip.Addr) (last bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	network := Network(addr)
	l := f.of(network)
	if l == nil {
		l = rate.NewLimiter(rate.Every(f.each), f.burst)
		f.keep(network, l)
	}
	now := f.now()
	return l.AllowN(now, 1) && l.TokensAt(now) < 1
}

// of returns the count of a network, nil when it has none.
func (f *Failures) of(network netip.Prefix) *rate.Limiter {
	l := f.young[network]
	if l == nil && f.old[network] != nil {
		l = f.old[network]
		f.keep(network, l)
	}
	return l
}

func (f *Failures) keep(network netip.Prefix, l *rate.Limiter) {
	if len(f.young) >= most {
		f.old, f.young = f.young, make(map[netip.Prefix]*rate.Limiter)
	}
	f.young[network] = l
}

// Network returns what is counted as one: an address of IPv4, also where it is
// written as one of IPv6, and the 64 bits of IPv6 that one line has.
func Network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap()
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits) // which has no zone
	if err != nil {
		return netip.Prefix{} // the zero address: all who have none are one
	}
	return p
}
