package egress

// This file holds the addresses that stay closed whatever is allowed.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// lookupTTL is how long the addresses of a guarded name are taken for known.
// Looked up they are only when somebody dials its port.
const lookupTTL = 30 * time.Second

const guardedService = "an address of the store, the catalog or Caddy's admin endpoint"

// guarded is one entry of Never that is not a unix socket.
type guarded struct {
	name string     // or
	addr netip.Addr // unspecified for every address of this machine
	port string

	mu    sync.Mutex
	known []netip.Addr
	until time.Time
}

// SetNever replaces the addresses of [Config].Never. The error names the entry
// that is wrong; the former addresses stay then.
func (p *Policy) SetNever(entries []string) error {
	list := make([]*guarded, 0, len(entries))
	for _, entry := range entries {
		if strings.HasPrefix(entry, "/") || strings.HasPrefix(entry, "unix") && strings.Contains(entry, "/") {
			continue // no unix socket is ever dialled
		}
		host, port, err := net.SplitHostPort(entry)
		if err != nil {
			return fmt.Errorf("egress never %q is no address; allowed are host:port and the path of a unix socket", entry)
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("egress never %q has no port from 1 to 65535", entry)
		}
		g := &guarded{port: strconv.FormatUint(n, 10), addr: netip.IPv6Unspecified()}
		if host != "" {
			if g.name, err = normalise(host); err != nil {
				return fmt.Errorf("egress never %q has no host name", entry)
			}
			if a, ok := spelled(g.name); ok {
				g.addr = meanings(a)[0]
			} else if isLocalhost(g.name) {
				g.addr = netip.IPv6Loopback()
			} else {
				g.addr = netip.Addr{}
			}
		}
		list = append(list, g)
	}
	p.never.Store(&list)
	return nil
}

// guardsName tells whether host, normalised, and port are a guarded service by
// their names alone.
func (p *Policy) guardsName(host, port string) bool {
	return slices.ContainsFunc(*p.never.Load(), func(g *guarded) bool { return g.name != "" && g.name == host && g.port == port })
}

// guardsAddr tells whether one of addrs is a guarded service on that port. The
// error says that this cannot be known.
func (p *Policy) guardsAddr(ctx context.Context, addrs []netip.Addr, port string) (bool, error) {
	for _, g := range *p.never.Load() {
		if g.port != port {
			continue
		}
		found, err := p.addresses(ctx, g)
		if err != nil {
			return false, err
		}
		here := slices.ContainsFunc(found, netip.Addr.IsLoopback) // as 127.0.0.1, as 127.0.0.2, as ::1
		for _, a := range addrs {
			if slices.Contains(found, a) || here && a.IsLoopback() {
				return true, nil
			}
		}
	}
	return false, nil
}

// addresses returns where a guarded service is. When a name cannot be looked up,
// what was known of it holds on.
func (p *Policy) addresses(ctx context.Context, g *guarded) ([]netip.Addr, error) {
	if g.addr.IsValid() {
		if !g.addr.IsUnspecified() {
			return []netip.Addr{g.addr}, nil
		}
		local, err := p.local()
		return append(local, netip.IPv6Loopback()), err
	}
	g.mu.Lock()
	known, until := g.known, g.until
	g.mu.Unlock()
	if p.now().Before(until) {
		return known, nil
	}
	found, err := p.lookup(ctx, g.name)
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		found = nil // no such name: there is nothing to reach
	case err != nil && until.IsZero():
		return nil, fmt.Errorf("looking up %s, which must not be reached: %w", g.name, err)
	case err != nil:
		return known, nil
	}
	known = nil
	for _, a := range found {
		known = append(known, meanings(a)...)
	}
	g.mu.Lock()
	g.known, g.until = known, p.now().Add(lookupTTL)
	g.mu.Unlock()
	return known, nil
}

func interfaceAddrs() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("reading the addresses of this machine: %w", err)
	}
	var out []netip.Addr
	for _, one := range all {
		if r, err := netip.ParsePrefix(one.String()); err == nil {
			out = append(out, r.Addr())
		}
	}
	return out, nil
}
