package limit

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func newFailures(times int, window time.Duration) (*Failures, *clock) {
	c := &clock{time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)}
	return NewFailures(times, window, c.now), c
}

func TestWhoHasFailedTooOftenWaits(t *testing.T) {
	f, c := newFailures(3, time.Minute)
	addr, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for n := range 3 {
		if wait := f.Wait(addr); wait != 0 {
			t.Errorf("after %d it waits %s", n, wait)
		}
		if last := f.Add(addr); last != (n == 2) {
			t.Errorf("failure %d is the last: %v", n+1, last)
		}
	}
	if wait := f.Wait(addr); wait != 20*time.Second {
		t.Errorf("it waits %s", wait)
	}
	if f.Add(addr) { // of a request that was under way
		t.Error("it was the last already")
	}
	if wait := f.Wait(other); wait != 0 {
		t.Errorf("another waits %s", wait)
	}
	c.Time = c.Add(19 * time.Second)
	if wait := f.Wait(addr); wait < 900*time.Millisecond || wait > time.Second {
		t.Errorf("it waits %s", wait)
	}
	c.Time = c.Add(time.Second)
	if wait := f.Wait(addr); wait != 0 {
		t.Errorf("it waits %s", wait)
	}
	if !f.Add(addr) || f.Wait(addr) == 0 {
		t.Error("one more was more than one")
	}
	c.Time = c.Add(time.Hour)
	for range 3 {
		if wait := f.Wait(addr); wait != 0 {
			t.Errorf("an hour later it waits %s", wait)
		}
		f.Add(addr)
	}
	if f.Wait(addr) == 0 {
		t.Error("an hour gives more than there is")
	}
}

func TestAddressesOfOneLineAreOne(t *testing.T) {
	for _, c := range []struct {
		one, other string
		same       bool
	}{
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", true},
		{"2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
	} {
		if got := Network(netip.MustParseAddr(c.one)) == Network(netip.MustParseAddr(c.other)); got != c.same {
			t.Errorf("%s and %s: %v", c.one, c.other, got)
		}
	}
	f, _ := newFailures(1, time.Minute)
	f.Add(netip.Addr{})
	if f.Wait(netip.Addr{}) == 0 {
		t.Error("who has no address fails as often as they like")
	}
}

func TestMemoryIsBoundedAndWhoIsSeenIsKept(t *testing.T) {
	f, _ := newFailures(1, time.Hour)
	seen := netip.MustParseAddr("192.0.2.1")
	f.Add(seen)
	for n := range 5 * most {
		f.Add(netip.MustParseAddr(fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255)))
		if n%(most/2) == 0 && f.Wait(seen) == 0 {
			t.Fatalf("forgotten after %d others", n)
		}
		if len(f.young)+len(f.old) > 2*most {
			t.Fatalf("%d are remembered", len(f.young)+len(f.old))
		}
	}
	for n := range 2 * most {
		f.Add(netip.MustParseAddr(fmt.Sprintf("11.%d.%d.%d", n>>16, n>>8&255, n&255)))
	}
	if f.Wait(seen) != 0 {
		t.Error("who is not seen is kept")
	}
}
