package inject

import (
	"net/http"
	"strings"
)

// scrubbed is what stands where a key was.
const scrubbed = "REDACTED"

// headersWithURLs are the response headers in which an upstream sends a
// client's URL back, our query parameter included.
var headersWithURLs = []string{"Location", "Content-Location", "Link", "Refresh"}

// Scrub takes the key out of the response headers that carry URLs, when it was
// sent in the query. It finds the key however it is percent-encoded, also when
// a URL stands encoded inside another. It changes h in place.
func (i *Injection) Scrub(h http.Header) {
	if !i.placement.query {
		return
	}
	for _, name := range headersWithURLs {
		vv := h[name]
		for j, v := range vv {
			v = scrub(v, i.value.Reveal())
			if !i.key.Same(i.value) {
				v = scrub(v, i.key.Reveal())
			}
			vv[j] = v
		}
	}
}

func scrub(s, key string) string {
	if key == "" {
		return s
	}
	var b strings.Builder
	last := 0
	for at := 0; at < len(s); {
		n := matchEncoded(s[at:], key)
		if n == 0 {
			at++
			continue
		}
		b.WriteString(s[last:at])
		b.WriteString(scrubbed)
		at += n
		last = at
	}
	if last == 0 {
		return s
	}
	b.WriteString(s[last:])
	return b.String()
}

// matchEncoded returns how many bytes at the start of s spell key, 0 for none.
func matchEncoded(s, key string) int {
	at := 0
	for i := range len(key) {
		n := matchByte(s[at:], key[i])
		if n == 0 {
			return 0
		}
		at += n
	}
	return at
}

// matchByte returns how many bytes at the start of s spell c. A space may be
// spelled as a plus sign, which an outer URL spells %2B.
func matchByte(s string, c byte) int {
	if n := matchExact(s, c); n > 0 || c != ' ' {
		return n
	}
	return matchExact(s, '+')
}

// matchExact returns how many bytes at the start of s spell c: one when it
// stands for itself, more when it is percent-encoded once or, as in `%2520`,
// several times.
func matchExact(s string, c byte) int {
	if s == "" {
		return 0
	}
	if s[0] == c {
		// A literal percent sign may also begin an encoded one: %25.
		if c != '%' || !strings.HasPrefix(s, "%25") {
			return 1
		}
	}
	if s[0] != '%' {
		return 0
	}
	at := 1
	for {
		if at+1 < len(s) && isHex(s[at]) && isHex(s[at+1]) && unhex(s[at])<<4|unhex(s[at+1]) == c {
			// %2525 spells a percent sign too; take the longest spelling.
			if c != '%' || !strings.HasPrefix(s[at+2:], "25") {
				return at + 2
			}
		}
		if !strings.HasPrefix(s[at:], "25") {
			return 0
		}
		at += 2
	}
}

// In tells whether text holds the key or its rendered value, however
// percent-encoded.
func (i *Injection) In(text string) bool {
	return scrub(text, i.value.Reveal()) != text || scrub(text, i.key.Reveal()) != text
}
