package inject

// This file holds the fuzz targets: what has to be true for any bytes.

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// FuzzTemplate: what parses renders in one pass. A key that looks like a
// template is not expanded, and stands in the output as often as the template
// names it.
func FuzzTemplate(f *testing.F) {
	for _, s := range []struct{ template, key string }{
		{"Api-Key ${apiKey}", "k"},
		{"${apiKey}:${apiKey}", "${apiKey}"},
		{"$${apiKey}", "$1"},
		{"Basic ${base64(${apiKey}:)}", "{env.HOME}"},
		{"${base64(a${base64(${apiKey})})}", "%s"},
		{"${apikey}", "k"},
		{"${ apiKey }", "k"},
		{"${apiKey", "k"},
		{"a${connectionConfig.t}b${apiKey}", "${connectionConfig.t}"},
	} {
		f.Add(s.template, s.key)
	}
	f.Fuzz(func(t *testing.T, src, key string) {
		tmpl, err := ParseTemplate(src)
		if err != nil {
			return
		}
		config := map[string]string{}
		for _, name := range tmpl.Fields() {
			config[name] = "${apiKey}"
		}
		got, err := tmpl.Render(secret.New(key), config)
		if err != nil {
			t.Fatalf("%q does not render: %v", src, err)
		}
		if want := rendered(tmpl.parts, key); got.Reveal() != want {
			t.Fatalf("%q with %q: got %q, want %q", src, key, got.Reveal(), want)
		}
		if strings.Contains(src, "base64") || len(tmpl.Fields()) > 0 {
			return
		}
		// Without functions and fields it is a plain replacement.
		if want := strings.ReplaceAll(src, "${apiKey}", key); got.Reveal() != want {
			t.Fatalf("%q with %q: got %q, want %q", src, key, got.Reveal(), want)
		}
	})
}

// rendered is Render once more, in another way: from the inside out.
func rendered(parts []part, key string) string {
	out := make([]string, 0, len(parts))
	for _, p := range parts {
		switch {
		case p.base64 != nil:
			out = append(out, base64.StdEncoding.EncodeToString([]byte(rendered(p.base64, key))))
		case p.field != "":
			out = append(out, "${apiKey}")
		case p.literal != "":
			out = append(out, p.literal)
		default:
			out = append(out, key)
		}
	}
	return strings.Join(out, "")
}

// FuzzQuery: exactly one pair decodes to our name, it holds exactly the key,
// and all other pairs are there byte for byte, in their order. Nothing begins a
// fragment.
func FuzzQuery(f *testing.F) {
	for _, s := range []struct{ raw, name, key string }{
		{"", "key", "k"},
		{"a=1", "key", "k"},
		{"key=x&a=%2f&key=y&b=c+d&e&f=", "key", "a b/#%+=&é"},
		{"%6bey=1&k%65y&KEY=2", "key", "k"},
		{"a;key=1", "key", "k"},
		{"&&", "key", "k"},
		{"%zz=1&%", "%zz", "%"},
		{"a+b=1&a%20b=2", "a b", "+"},
		{"=1&", "x", "&"},
		{"a#", "key", "k"},
		{"key=1#&#", "#", "#"},
	} {
		f.Add(s.raw, s.name, s.key)
	}
	f.Fuzz(func(t *testing.T, raw, name, key string) {
		p, err := NewPlacement(Query, name)
		if err != nil {
			return
		}
		inj, err := Place(p, keyOnly(t), secret.New(key), nil)
		if err != nil {
			t.Fatalf("placing: %v", err)
		}
		got := inj.Query(raw)
		if strings.Contains(got, "#") {
			t.Fatalf("%q became %q, which ends at a fragment", raw, got)
		}
		ours := 0
		var others []string
		for pair := range strings.SplitSeq(got, "&") {
			n, v, _ := strings.Cut(pair, "=")
			if lenient(n) != name {
				others = append(others, pair)
				continue
			}
			ours++
			if lenient(v) != key {
				t.Fatalf("%q in %q: the upstream decodes %q, want %q", raw, got, lenient(v), key)
			}
		}
		if ours != 1 {
			t.Fatalf("%q became %q, which has %d pairs of the name %q", raw, got, ours, name)
		}
		var want []string
		if raw != "" {
			for pair := range strings.SplitSeq(strings.ReplaceAll(raw, "#", "%23"), "&") {
				if n, _, _ := strings.Cut(pair, "="); lenient(n) != name {
					want = append(want, pair)
				}
			}
		}
		if strings.Join(others, "&") != strings.Join(want, "&") || len(others) != len(want) {
			t.Fatalf("%q became %q: the other pairs are not as they were", raw, got)
		}
	})
}

// keyOnly is the template that holds the key alone.
func keyOnly(t testing.TB) *Template {
	t.Helper()
	tmpl, err := ParseTemplate(DefaultTemplate)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

// lenient decodes a part of a query as lenient servers do: a broken escape
// stands for itself. It is written without the product's own helpers.
func lenient(s string) string {
	s = strings.ReplaceAll(s, "+", " ")
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+3 <= len(s) {
			if c, err := url.PathUnescape(s[i : i+3]); err == nil {
				b.WriteString(c)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// FuzzBasePath: whatever a client sends, the path stays below the base URL's
// in every reading an upstream may have, and is otherwise what the client sent.
func FuzzBasePath(f *testing.F) {
	for _, s := range []string{
		"", "/", "/users", "/a//b", "/a%2Fb", "/../admin", "/%2e%2e/admin", "/a/..%2f..%2fadmin", "/..;/x", "/%252e%252e/x",
		`/..\x`, "/..%5cx", "/..%00/x", "/https://evil/x", "/%", "/a b", "/é", "/.", "/...", "/..a", "/a;..", "//..", "/%2", "/a%3b/..%3b/",
		"/%c0%ae./x", "/..%ef%bc%8fx", "/..%20/x", "/%c0", "/%f0%80%80",
	} {
		f.Add("/v1", s)
		f.Add("", s)
	}
	f.Add("/a%2Fb", "/x%2Fy")
	f.Add("/v1//", "/users")
	f.Fuzz(func(t *testing.T, prefix, escaped string) {
		base, err := ParseBase("https://h" + prefix)
		if err != nil || base.Host != "h" {
			return
		}
		u := new(url.URL)
		if strings.ContainsAny(escaped, "?#") || SetEscapedPath(u, escaped) != nil {
			return
		}
		sent := EscapedPath(u)
		if err := base.Apply(u); err != nil {
			return
		}
		got := EscapedPath(u)
		if u.Scheme != "https" || u.Host != "h" || u.Opaque != "" {
			t.Fatalf("%q leads to another host: %q", escaped, u)
		}
		rest, ok := strings.CutPrefix(got, base.rawPath)
		if !ok {
			t.Fatalf("%q on %q became %q, which is not below the base", escaped, prefix, got)
		}
		if rest != sent && (rest != "/" || sent != "") {
			t.Fatalf("%q on %q became %q: the bytes behind the base changed", escaped, prefix, got)
		}
		if u.RequestURI() != got {
			t.Fatalf("%q goes on the wire as %q, not as %q", escaped, u.RequestURI(), got)
		}
		once := lenientPath(rest)
		for _, reading := range []string{rest, once, lenientPath(once)} {
			for _, read := range []func(string) string{
				func(s string) string { return s },
				func(s string) string { return strings.ReplaceAll(s, `\`, "/") },
				withoutParameters,
				func(s string) string { return withoutParameters(strings.ReplaceAll(s, `\`, "/")) },
			} {
				below := path.Join("/inner", "/"+read(reading))
				if below != "/inner" && !strings.HasPrefix(below, "/inner/") {
					t.Fatalf("%q on %q climbs out when read as %q", escaped, prefix, read(reading))
				}
			}
		}
	})
}

// withoutParameters is how servlet containers read a path.
func withoutParameters(p string) string {
	segments := strings.Split(p, "/")
	for i, s := range segments {
		segments[i], _, _ = strings.Cut(s, ";")
	}
	return strings.Join(segments, "/")
}

// lenientPath is lenient for a path, where a plus sign is one.
func lenientPath(s string) string {
	return lenient(strings.ReplaceAll(s, "+", "%2B"))
}

// FuzzScrub: the key is gone from a URL that holds it in any mix of
// percent-encodings, and a text that does not hold it is left as it is.
func FuzzScrub(f *testing.F) {
	f.Add("secret", "https://h/?key=", "&a=1", uint64(0))
	f.Add("a b%/é", "/x?k=", "", uint64(0xdeadbeef))
	f.Add("%25", "", "%", uint64(7))
	f.Add("%%", "%", "25", uint64(0xff))
	f.Add("aab", "a", "ab", uint64(3))
	f.Fuzz(func(t *testing.T, key, before, after string, how uint64) {
		if len(key) < 6 || len(key) > 200 || strings.Contains(key, "\x00") || strings.Contains(key, scrubbed) {
			return // a key so short is found by chance in what stands around it
		}
		text := before + spelled(key, how) + after
		p, err := NewPlacement(Query, "key")
		if err != nil {
			t.Fatal(err)
		}
		inj, err := Place(p, keyOnly(t), secret.New(key), nil)
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{"Location": {text}, "Link": {before}}
		inj.Scrub(h)
		got := h.Get("Location")
		// What was put in the key's place may spell its beginning.
		if holds(strings.ReplaceAll(got, scrubbed, "\x00"), key) {
			t.Fatalf("%q spelled %q is still in %q", key, text, got)
		}
		if !inj.In(text) {
			t.Fatalf("In does not find %q in %q", key, text)
		}
		if link := h.Get("Link"); !holds(before, key) && link != before {
			t.Fatalf("%q became %q, though it does not hold %q", before, link, key)
		}
	})
}

// spelled writes s with each byte as it is, or percent-encoded up to three
// times, as the bits of how say.
func spelled(s string, how uint64) string {
	const hex, small = "0123456789ABCDEF", "0123456789abcdef"
	var b strings.Builder
	for i := range len(s) {
		digits := hex
		if how&4 != 0 {
			digits = small
		}
		times := how & 3
		// A percent sign that is not encoded would change the meaning of what
		// follows it.
		if s[i] == '%' && times == 0 {
			times = 1
		}
		if times == 0 {
			b.WriteByte(s[i])
		} else {
			b.WriteString("%" + strings.Repeat("25", int(times)-1)) //nolint:gosec // at most 3
			b.WriteByte(digits[s[i]>>4])
			b.WriteByte(digits[s[i]&15])
		}
		how = how>>3 | how<<61
	}
	return b.String()
}

// holds tells whether a reader who decodes up to three times finds key.
func holds(text, key string) bool {
	for range 4 {
		if strings.Contains(text, key) || strings.Contains(strings.ReplaceAll(text, "+", " "), key) {
			return true
		}
		text = lenientPath(text)
	}
	return false
}
