package egress

// This file holds what a host is before anybody resolves it: resolvers and
// libraries read more spellings of an address than one.

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// CheckHost tells whether a host may be asked for, before it is resolved. What
// is or spells an address (`2130706433`, `0x7f.1`, `0177.0.0.1`,
// `[::ffff:7f00:1]`) and what is a name of this machine is judged as that
// address; about other names [Policy.Control] decides. The error is a
// [*DeniedError].
func (p *Policy) CheckHost(host string) error {
	name, err := normalise(host)
	if err != nil {
		return &DeniedError{Host: host, Why: "no host name and no address"}
	}
	if isLocalhost(name) {
		// Allowing one of both is enough: what is dialled is judged again.
		if p.judge(name, netip.IPv6Loopback()) == nil {
			return nil
		}
		return p.judge(name, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	}
	if a, ok := spelled(name); ok {
		return p.judge(name, a)
	}
	if looksNumeric(name) {
		return &DeniedError{Host: name, Why: "no address, though its last label is a number"}
	}
	return nil
}

var errNoHost = errors.New("no host")

// normalise returns the host in lower case, in ASCII, without brackets round an
// address and without the dots of the root.
func normalise(host string) (string, error) {
	if inside, ok := strings.CutPrefix(host, "["); ok {
		if host, ok = strings.CutSuffix(inside, "]"); !ok || !strings.Contains(host, ":") {
			return "", errNoHost
		}
	}
	host = strings.TrimRight(host, ".")
	if a, err := netip.ParseAddr(host); err == nil {
		return a.WithZone("").String(), nil
	}
	for i := range len(host) {
		if host[i] >= 0x80 {
			ascii, err := idna.Lookup.ToASCII(host) // folds other digits and dots into ours
			if err != nil || !utf8.ValidString(host) {
				return "", errNoHost
			}
			host = strings.TrimRight(ascii, ".")
			break
		}
	}
	host = strings.ToLower(host)
	if host == "" || host[0] == '.' || strings.Contains(host, "..") || strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		return "", errNoHost
	}
	return host, nil
}

// isLocalhost tells whether name is one that resolvers answer with loopback by
// themselves (RFC 6761, section 6.3) or that hosts files have for it.
func isLocalhost(name string) bool {
	switch name {
	case "localhost", "localhost.localdomain", "localhost4", "localhost6", "localhost4.localdomain4", "localhost6.localdomain6", "ip6-localhost", "ip6-loopback":
		return true
	}
	return strings.HasSuffix(name, ".localhost")
}

// spelled returns the address that host is, also in the spellings of inet_aton:
// one to four numbers, decimal, octal or hexadecimal, of which the last fills
// what is left.
func spelled(host string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(host); err == nil {
		return a, true
	}
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var v uint64
	for i, part := range parts {
		n, err := parseNumber(part)
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (5 - len(parts))
		}
		if err != nil || n >= 1<<bits {
			return netip.Addr{}, false
		}
		v = v<<bits | n
	}
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}), true
}

func parseNumber(s string) (uint64, error) {
	switch {
	case strings.HasPrefix(s, "0x"):
		return strconv.ParseUint(s[2:], 16, 64)
	case len(s) > 1 && s[0] == '0':
		return strconv.ParseUint(s[1:], 8, 64)
	}
	return strconv.ParseUint(s, 10, 64)
}

// looksNumeric tells whether the last label of name is a number. No top level
// domain is: what some program makes of such a name is an address or an error.
func looksNumeric(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}
