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
		if key[i] == '%' {
			return matchPercent(s, at, key[i+1:])
		}
		n := matchByte(s[at:], key[i])
		if n == 0 {
			return 0
		}
		at += n
	}
	return at
}

// matchPercent goes on with matchEncoded at a percent sign, whose spelling %2525
// may also be %25 before the key's own 25. The longest that fits is taken.
func matchPercent(s string, at int, rest string) int {
	if at >= len(s) || s[at] != '%' {
		return 0
	}
	longest := at + 1
	for strings.HasPrefix(s[longest:], "25") {
		longest += 2
	}
	for end := longest; end > at; end -= 2 {
		if rest == "" {
			return end
		}
		if n := matchEncoded(s[end:], rest); n > 0 {
			return end + n
		}
	}
	return 0
}

// matchByte returns how many bytes at the start of s spell c, which is no
// percent sign. A space may be spelled as a plus sign, which an outer URL
// spells %2B.
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
		return 1
	}
	if s[0] != '%' {
		return 0
	}
	at := 1
	for {
		if at+1 < len(s) && isHex(s[at]) && isHex(s[at+1]) && unhex(s[at])<<4|unhex(s[at+1]) == c {
			return at + 2
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
