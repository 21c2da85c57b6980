package egress

// This file holds what addresses are: the ranges of the IANA's registries of
// special-purpose addresses, the services of clouds, and the IPv4 addresses
// inside IPv6 ones.

import (
	"net/netip"
	"slices"
)

type class int

const (
	public   class = iota
	closed         // never opened
	loopback       // opened by an address or range within loopback
	private        // opened by range or name, or all at once
	special        // opened by a range
)

type block struct {
	ranges []netip.Prefix
	class  class
	what   string
}

var thisNetwork = netip.MustParsePrefix("0.0.0.0/8")

var loopbackRanges = prefixes("127.0.0.0/8", "::1/128")

// blocks are searched from the top: a metadata service may lie in a private
// range. Sources: https://www.iana.org/assignments/iana-ipv4-special-registry,
// https://www.iana.org/assignments/iana-ipv6-special-registry, and what stands
// beside the lines.
var blocks = []block{
	// 0.0.0.0 and :: reach the machine itself on Linux; RFC 1122, section 3.2.1.3.
	{prefixes("0.0.0.0/8", "::/128"), closed, "an unspecified address"},
	{prefixes(
		"169.254.169.254/32",     // AWS, Azure, GCP, OCI, Alibaba's newer, DigitalOcean, Hetzner, OpenStack: the instance's metadata
		"100.100.100.200/32",     // Alibaba Cloud, "Instance metadata"
		"192.0.0.192/32",         // Oracle Cloud Infrastructure Classic, "Retrieving Instance Metadata"
		"168.63.129.16/32",       // Azure, "What is IP address 168.63.129.16?": the wire server, a public address
		"fd00:ec2::/64",          // AWS, "Instance metadata": ::254 metadata, ::23 EKS Pod Identity, ::253 resolver
		"fd20:ce::254/128",       // GCP, "About VM metadata", IPv6
		"fd00:c1::a9fe:a9fe/128", // OCI, "Instance metadata service", IPv6
		"fd00:42::42/128",        // Scaleway, "Instance metadata", IPv6
	), closed, "a metadata service of a cloud"},
	{prefixes("169.254.0.0/16", "fe80::/10"), closed, "a link-local address"},                             // RFC 3927, RFC 4291
	{prefixes("224.0.0.0/4", "ff00::/8"), closed, "a multicast address"},                                  // RFC 5771, RFC 4291
	{prefixes("255.255.255.255/32"), closed, "the broadcast address"},                                     // RFC 919
	{loopbackRanges, loopback, "a loopback address"},                                                      // RFC 1122, RFC 4291
	{prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"), private, "a private address"}, // RFC 1918, RFC 4193
	{prefixes(
		"100.64.0.0/10",   // carrier-grade NAT, RFC 6598
		"192.0.0.0/24",    // IETF protocol assignments, RFC 6890
		"192.0.2.0/24",    // documentation, RFC 5737
		"192.88.99.0/24",  // relays of 6to4, RFC 7526
		"198.18.0.0/15",   // benchmarking, RFC 2544
		"198.51.100.0/24", // documentation, RFC 5737
		"203.0.113.0/24",  // documentation, RFC 5737
		"240.0.0.0/4",     // reserved, RFC 1112
		"2001::/23",       // IETF protocol assignments, RFC 2928
		"2001:db8::/32",   // documentation, RFC 3849
		"3fff::/20",       // documentation, RFC 9637
	), special, "a special-purpose address"},
}

// globalUnicast is all that is assigned to the public IPv6 internet (RFC 4291);
// the rest, such as the deprecated site-local fec0::/10, is somebody's own.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// classify says what a is. It has no zone and is no IPv4 address in disguise.
func classify(a netip.Addr) (class, string) {
	for _, b := range blocks {
		if slices.ContainsFunc(b.ranges, func(r netip.Prefix) bool { return r.Contains(a) }) {
			return b.class, b.what
		}
	}
	if a.Is6() && !globalUnicast.Contains(a) {
		return special, "an address outside the public IPv6 internet"
	}
	return public, ""
}

// closedFor says what r is if all of it is never opened.
func closedFor(r netip.Prefix) string {
	for _, b := range blocks {
		if b.class == closed && within(r, b.ranges) {
			return b.what
		}
	}
	return ""
}

// within tells whether all of r lies in one of ranges.
func within(r netip.Prefix, ranges []netip.Prefix) bool {
	return slices.ContainsFunc(ranges, func(o netip.Prefix) bool { return o.Bits() <= r.Bits() && o.Contains(r.Addr()) })
}

var (
	mapped     = netip.MustParsePrefix("::ffff:0:0/96")   // RFC 4291, section 2.5.5.2
	compatible = netip.MustParsePrefix("::/96")           // RFC 4291, section 2.5.5.1
	translated = netip.MustParsePrefix("::ffff:0:0:0/96") // RFC 2765, section 2.1
	nat64      = netip.MustParsePrefix("64:ff9b::/96")    // RFC 6052, section 2.1
	nat64Local = netip.MustParsePrefix("64:ff9b:1::/48")  // RFC 8215
	sixToFour  = netip.MustParsePrefix("2002::/16")       // RFC 3056, section 2
	teredo     = netip.MustParsePrefix("2001::/32")       // RFC 4380, section 4
)

// meanings returns the addresses a packet to a may end up at: a itself, or the
// IPv4 addresses inside it, which a translator or tunnel on the way takes out.
func meanings(a netip.Addr) []netip.Addr {
	a = a.WithZone("")
	if a.Is4() {
		return []netip.Addr{a}
	}
	b := a.As16()
	v4 := func(w, x, y, z byte) netip.Addr { return netip.AddrFrom4([4]byte{w, x, y, z}) }
	last := v4(b[12], b[13], b[14], b[15])
	switch {
	case mapped.Contains(a), translated.Contains(a), nat64.Contains(a):
		return []netip.Addr{last}
	case compatible.Contains(a) && !a.IsLoopback():
		return []netip.Addr{last}
	case nat64Local.Contains(a):
		// How long the prefix of a local translator is nobody knows: RFC 6052,
		// section 2.2, puts the address in another place for each length.
		var readings []netip.Addr
		for _, r := range []netip.Addr{last, v4(b[6], b[7], b[9], b[10]), v4(b[7], b[9], b[10], b[11]), v4(b[9], b[10], b[11], b[12])} {
			if !thisNetwork.Contains(r) { // no translator sends to 0.0.0.0/8: zeros of another reading
				readings = append(readings, r)
			}
		}
		if readings == nil {
			return []netip.Addr{last}
		}
		return readings
	case sixToFour.Contains(a):
		return []netip.Addr{v4(b[2], b[3], b[4], b[5])}
	case teredo.Contains(a):
		return []netip.Addr{v4(b[4], b[5], b[6], b[7]), v4(^b[12], ^b[13], ^b[14], ^b[15])} // server, client
	}
	return []netip.Addr{a}
}

func prefixes(s ...string) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(s))
	for _, one := range s {
		out = append(out, netip.MustParsePrefix(one))
	}
	return out
}
