package inject

import "strings"

// Query returns raw, the query of a request as it came, with our parameter in
// place: every pair whose decoded name is ours is dropped, ours is appended,
// and all other bytes stay as they were, in their order. `;` is an ordinary
// byte. A `#`, which no query may hold, is escaped: for an upstream that ends
// the query there, all behind it would be lost, ours included.
func (i *Injection) Query(raw string) string {
	pair := i.pair.Reveal()
	if raw == "" {
		return pair
	}
	raw = strings.ReplaceAll(raw, "#", "%23")
	var b strings.Builder
	b.Grow(len(raw) + 1 + len(pair))
	first := true
	for rest, more := raw, true; more; {
		var one string
		one, rest, more = strings.Cut(rest, "&")
		name, _, _ := strings.Cut(one, "=")
		if sameQueryName(name, i.placement.name) {
			continue
		}
		if !first {
			b.WriteByte('&')
		}
		b.WriteString(one)
		first = false
	}
	if !first {
		b.WriteByte('&')
	}
	b.WriteString(pair)
	return b.String()
}

// sameQueryName tells whether an escaped name decodes to want. A broken escape
// stands for itself, as lenient servers read it.
func sameQueryName(escaped, want string) bool {
	n := 0
	for j := 0; j < len(escaped); n++ {
		c, width := escaped[j], 1
		switch {
		case c == '+':
			c = ' '
		case c == '%' && j+2 < len(escaped) && isHex(escaped[j+1]) && isHex(escaped[j+2]):
			c, width = unhex(escaped[j+1])<<4|unhex(escaped[j+2]), 3
		}
		if n >= len(want) || want[n] != c {
			return false
		}
		j += width
	}
	return n == len(want)
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	}
	return c - 'A' + 10
}
