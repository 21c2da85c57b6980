// Package egress says which addresses may be dialled on the word of somebody
// who is not the operator: for integrations made by API, webhooks and
// verifications. It decides on the address that is really dialled, so that no
// name can show one address when it is checked and another when it is used.
package egress

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// PrivateRanges in [Config].Allow opens 10.0.0.0/8, 172.16.0.0/12,
// 192.168.0.0/16 and fc00::/7. Unlike in Caddy's shorthand of the same name,
// loopback is not among them.
const PrivateRanges = "private_ranges"

// Config says what beside public addresses may be dialled, and what never.
type Config struct {
	// What is opened. Each entry is one of:
	//
	//	private_ranges       the private ranges, without loopback
	//	10.1.0.0/16          a range
	//	10.1.2.3             an address
	//	crm.internal         a name, when it leads to a private address
	//	.internal.example    the names below a suffix, not the suffix itself
	//
	// Loopback is opened only by addresses and by ranges that hold nothing else;
	// other special-purpose ranges only by addresses and ranges. What
	// [DeniedError] calls never opened is not opened by anything.
	Allow []string

	// Addresses that stay closed whatever Allow says: the store's, the catalog's
	// and Caddy's admin endpoint. Each is host:port, or a unix socket (a path, or
	// unix/ and a path), which is never dialled anyhow. A host that is
	// unspecified or empty means every address of this machine.
	Never []string

	// Resolves the names in Never. Default: the system's resolver.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)

	// The addresses of this machine. Default: those of its interfaces.
	Local func() ([]netip.Addr, error)

	// Default: time.Now.
	Now func() time.Time
}

// Policy decides about addresses. Its methods may be called concurrently.
type Policy struct {
	private  bool
	ranges   []netip.Prefix
	hosts    []string
	suffixes []string // with the dot they begin with

	lookup func(context.Context, string) ([]netip.Addr, error)
	local  func() ([]netip.Addr, error)
	now    func() time.Time
	never  atomic.Pointer[[]*guarded]
}

// New returns the policy of a configuration. It uses no network. The error
// names the entry that is wrong and says what is allowed.
func New(c Config) (*Policy, error) {
	p := &Policy{lookup: c.Lookup, local: c.Local, now: c.Now}
	if p.lookup == nil {
		p.lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if p.local == nil {
		p.local = interfaceAddrs
	}
	if p.now == nil {
		p.now = time.Now
	}
	for _, entry := range c.Allow {
		if err := p.allow(entry); err != nil {
			return nil, fmt.Errorf("egress allow %q %w", entry, err)
		}
	}
	if err := p.SetNever(c.Never); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Policy) allow(entry string) error {
	const allowed = "allowed are private_ranges, an address, a range such as 10.1.0.0/16, a host name, and .suffix for the names below one"
	if entry == PrivateRanges {
		p.private = true
		return nil
	}
	if r, ok := parseRange(entry); ok {
		if what := closedFor(r); what != "" {
			return fmt.Errorf("is never opened: it is %s", what)
		}
		p.ranges = append(p.ranges, r)
		return nil
	}
	name, suffix := strings.CutPrefix(entry, ".")
	name, err := normalise(name)
	if err != nil || strings.ContainsAny(entry, ":/[]") {
		return fmt.Errorf("is none of what is allowed; %s", allowed)
	}
	switch {
	case isLocalhost(name):
		return fmt.Errorf("is a name of loopback, which only its addresses open: write 127.0.0.1 or ::1")
	case looksNumeric(name):
		return fmt.Errorf("looks like an address and is not written as one; %s", allowed)
	case suffix:
		p.suffixes = append(p.suffixes, "."+name)
	default:
		p.hosts = append(p.hosts, name)
	}
	return nil
}

// parseRange parses an address or a range. An IPv4 address written as an IPv6
// one is an IPv4 address.
func parseRange(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	r, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	if r.Addr().Is4In6() && r.Bits() >= 96 {
		r = netip.PrefixFrom(r.Addr().Unmap(), r.Bits()-96)
	}
	return r, true
}

// named tells whether Allow has the name of a host, which is normalised.
func (p *Policy) named(host string) bool {
	return slices.Contains(p.hosts, host) ||
		slices.ContainsFunc(p.suffixes, func(s string) bool { return strings.HasSuffix(host, s) })
}

// judge tells whether a may be dialled for host, a normalised name, an address,
// or empty. Each address that a stands for has to be allowed.
func (p *Policy) judge(host string, a netip.Addr) error {
	for _, real := range meanings(a) {
		if err := p.judgeOne(host, real); err != nil {
			return err
		}
	}
	return nil
}

func (p *Policy) judgeOne(host string, a netip.Addr) error {
	opened := func(r netip.Prefix) bool { return r.Contains(a) }
	class, what := classify(a)
	switch class {
	case public:
		return nil
	case closed:
		return &DeniedError{Host: host, Addr: a, Why: what}
	case loopback:
		// A wide range is about other networks, not about this machine.
		if slices.ContainsFunc(p.ranges, func(r netip.Prefix) bool { return opened(r) && within(r, loopbackRanges) }) {
			return nil
		}
		return &DeniedError{Host: host, Addr: a, Why: what, Option: "allow " + a.String()}
	case private:
		if p.private || p.named(host) || slices.ContainsFunc(p.ranges, opened) {
			return nil
		}
		option := "allow " + PrivateRanges + " or allow " + a.String()
		if host != "" && !looksNumeric(host) && !strings.Contains(host, ":") {
			option += " or allow " + host
		}
		return &DeniedError{Host: host, Addr: a, Why: what, Option: option}
	case special:
		if slices.ContainsFunc(p.ranges, opened) {
			return nil
		}
	}
	return &DeniedError{Host: host, Addr: a, Why: what, Option: "allow " + a.String()}
}
