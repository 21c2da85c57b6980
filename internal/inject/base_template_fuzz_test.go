package inject

// This file holds the fuzz target of base URLs with placeholders.

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// FuzzBaseTemplate: whatever the values, what is fixed in a base URL stays. The
// scheme, the labels of the host round a value and the port are those of the
// template, a value is one label or the beginning of a host and never a path,
// and every segment of the path is where the template has it.
func FuzzBaseTemplate(f *testing.F) {
	for _, s := range [][3]string{
		{"acme", "8443", "shop"},
		{"h/../x", "80", "a"},
		{"a@b", "443", "a@b"},
		{"evil.example#", "1", "a#"},
		{"evil.example?", "65535", "a?"},
		{`a\b`, "65536", `..\a`},
		{"a.b", "0", ".."},
		{"[::1]", "080", "%2e%2e"},
		{"10.0.0.1:22", "", "..;a"},
		{"xn--a-ecp", "1", "%252e%252e"},
		{"xn--evil-.", "9", "a%2fb"},
		{"ａ。ｂ", "９", "。。"},
		{"https://h/a", "1", "a b"},
		{"https://u:p@h", "1", "é"},
		{"http://h/%2e%2e/", "1", "${apiKey}"},
		{"https://xn--", "1", "xn--"},
	} {
		f.Add(s[0], s[1], s[2])
	}
	const x, y, z = "${connectionConfig.x}", "${connectionConfig.y}", "${connectionConfig.z}"
	templates := map[string]*BaseTemplate{}
	for _, s := range []string{
		"https://" + x + ".api.example/v1/" + z + "/end", "https://api." + x + ":8443/v1/" + z + "/end",
		"https://" + x + "/v1/" + z + "/end", "https://h.example:" + y + "/v1/" + z + "/end", x + "/v1/" + z + "/end",
	} {
		t, err := ParseBaseTemplate(s)
		if err != nil {
			f.Fatal(err)
		}
		templates[s] = t
	}
	f.Fuzz(func(t *testing.T, vx, vy, vz string) {
		values := map[string]string{"x": vx, "y": vy, "z": vz}
		for src, tmpl := range templates {
			b, err := tmpl.Resolve(values)
			accepted := true
			for _, name := range tmpl.Fields() {
				accepted = accepted && tmpl.CheckField(name, values[name]) == nil
			}
			if accepted != (err == nil) {
				t.Fatalf("%s with %q: accepted when written is %v, when used: %v", src, values, accepted, err)
			}
			if err != nil {
				continue
			}
			u := new(url.URL)
			if err := b.Apply(u); err != nil {
				t.Fatalf("%s with %q: the base refuses its own path: %v", src, values, err)
			}
			checkShape(t, src, values, b, u)
		}
	})
}

// checkShape reads the resolved URL anew, as a stranger would, and compares it
// with the template.
func checkShape(t *testing.T, src string, values map[string]string, b *Base, u *url.URL) {
	t.Helper()
	read, err := url.Parse(u.String())
	if err != nil || read.User != nil || read.RawQuery != "" || read.Fragment != "" || read.Opaque != "" {
		t.Fatalf("%s with %q became %q: %v", src, values, u, err)
	}
	again, err := ParseBase(u.String())
	if err != nil || again.Host != b.Host || again.Dial != b.Dial || again.rawPath != b.rawPath || again.path != b.path {
		t.Fatalf("%s with %q became %q, which is another base URL: %v", src, values, u, err)
	}
	host, port, err := net.SplitHostPort(b.Dial)
	if err != nil {
		t.Fatalf("%s with %q dials %q: %v", src, values, b.Dial, err)
	}
	good := read.Scheme == "https"
	switch {
	case strings.HasPrefix(src, "$"):
		good = strings.HasPrefix(strings.ToLower(values["x"]), read.Scheme+"://")
	case strings.HasSuffix(src, "}.api.example/v1/${connectionConfig.z}/end"):
		good = good && port == "443" && strings.Count(host, ".") == 2 && strings.EqualFold(host, values["x"]+".api.example")
	case strings.HasPrefix(src, "https://api."):
		good = good && port == "8443" && strings.HasPrefix(host, "api.") && !strings.ContainsAny(host, ":/")
	case strings.HasPrefix(src, "https://h.example:"):
		good = good && host == "h.example" && port == values["y"]
	default:
		wantHost, wantPort, err := net.SplitHostPort(values["x"])
		if err != nil {
			wantHost, wantPort = strings.Trim(values["x"], "[]"), "443"
		}
		if addr, err := netip.ParseAddr(wantHost); err == nil {
			wantHost = addr.String()
		}
		good = good && strings.EqualFold(host, wantHost) && port == wantPort
	}
	if !good {
		t.Fatalf("%s with %q leads to %s, port %s", src, values, host, port)
	}
	segments := strings.Split(read.EscapedPath(), "/")
	n := len(segments)
	if n < 4 || segments[n-1] != "end" || segments[n-3] != "v1" || n != 4 && !strings.HasPrefix(src, "$") {
		t.Fatalf("%s with %q has the path %q", src, values, read.EscapedPath())
	}
	if got, err := url.PathUnescape(segments[n-2]); err != nil || got != values["z"] {
		t.Fatalf("%s with %q has the segment %q", src, values, segments[n-2])
	}
}
