package inject

import (
	"errors"
	"strings"
)

// ErrBadPath says that a request path would leave the base URL.
var ErrBadPath = errors.New("the path has a . or .. segment, or does not begin with a slash")

// CheckPath refuses an escaped path that could climb above a base path in any
// reading an upstream may have: a segment `.` or `..`, where segments are
// parted by `/` and `\`, plain or escaped, end at their first `;`, and may be
// escaped once or twice; where blanks and control characters count for nothing,
// and what looks like a dot or slash is one. The empty path is allowed. The
// error is [ErrBadPath].
func CheckPath(escaped string) error {
	if escaped == "" {
		return nil
	}
	if escaped[0] != '/' {
		return ErrBadPath
	}
	for range 3 {
		if hasDotSegment(escaped) {
			return ErrBadPath
		}
		if strings.IndexByte(escaped, '%') < 0 {
			return nil
		}
		escaped = asASCII(decodeLenient(escaped))
	}
	return nil
}

func hasDotSegment(s string) bool {
	if strings.IndexByte(s, '.') < 0 {
		return false
	}
	for len(s) > 0 {
		end := strings.IndexAny(s, `/\`)
		seg := s
		if end < 0 {
			s = ""
		} else {
			seg, s = s[:end], s[end+1:]
		}
		// Servlet containers drop path parameters, programs written in C end a
		// string at NUL, and a proxy that decodes before it parses ends the path
		// at a query or fragment.
		if cut := strings.IndexAny(seg, ";?#\x00"); cut >= 0 {
			seg = seg[:cut]
		}
		if isDots(seg) {
			return true
		}
	}
	return false
}

// isDots tells whether a segment is `.` or `..`. Blanks and control characters
// do not count: URL parsers of browsers take line ends and tabs out, Windows
// blanks at the end of a name.
func isDots(seg string) bool {
	dots := 0
	for i := range len(seg) {
		switch c := seg[i]; {
		case c == '.':
			dots++
		case c > ' ' && c != 0x7f:
			return false
		}
	}
	return dots == 1 || dots == 2
}

// decodeLenient decodes every valid percent escape and leaves broken ones.
func decodeLenient(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			b.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// StripPrefix takes prefix off the escaped path, on a segment border, and
// leaves every other byte as it was. The prefix is compared as Caddy's path
// matcher compares: without regard to case and to percent-encoding. ok tells
// whether the path begins with it.
func StripPrefix(escaped, prefix string) (rest string, ok bool) {
	at := 0
	for i := range len(prefix) {
		if at >= len(escaped) {
			return escaped, false
		}
		c, width := escaped[at], 1
		if c == '%' && at+2 < len(escaped) && isHex(escaped[at+1]) && isHex(escaped[at+2]) {
			c, width = unhex(escaped[at+1])<<4|unhex(escaped[at+2]), 3
		}
		if lower(c) != lower(prefix[i]) {
			return escaped, false
		}
		at += width
	}
	if at < len(escaped) && escaped[at] != '/' {
		return escaped, false
	}
	return escaped[at:], true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
