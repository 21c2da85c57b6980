package inject

import (
	"net/url"
	"strings"
)

// EscapedPath returns the path of u as it came, byte for byte. Bytes that may
// not stand in a path are escaped where they are: net/url would instead drop
// such a path's own escapes, and with them the difference between / and %2F.
func EscapedPath(u *url.URL) string {
	escaped := u.EscapedPath()
	if u.RawPath == "" || escaped == u.RawPath {
		return escaped
	}
	return escapeInvalid(u.RawPath)
}

// SetEscapedPath sets the path of u to escaped. The error is [ErrBadPath].
func SetEscapedPath(u *url.URL, escaped string) error {
	path, err := url.PathUnescape(escaped)
	if err != nil {
		return ErrBadPath
	}
	u.Path, u.RawPath = path, ""
	if u.EscapedPath() != escaped {
		u.RawPath = escaped
	}
	return nil
}

// escapeInvalid percent-encodes the bytes that may not stand in a path and
// leaves everything else, escapes included.
func escapeInvalid(raw string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(raw) {
		c := raw[i]
		if c > 0x20 && c < 0x7f && !strings.ContainsRune("\"#<>?\\^`{|}", rune(c)) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}
