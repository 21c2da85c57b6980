// Web pages as callers: C14.

package callers

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

func TestOrigin(t *testing.T) {
	s := newStand(t)
	ca := harness.NewCA(t)
	server := ca.Server()
	closed, open, narrow, secure := harness.Port(t), harness.Port(t), harness.Port(t), harness.Port(t)
	route := func(line string) string {
		return "\tapikey_inject $UPSTREAM {\n\t\tname X-Api-Key\n\t\tkey customers/${connectionId}\n" +
			"\t\tconnection {http.request.header.X-Customer}\n\t\tallow anyone\n\t\t" + line + "\n\t}"
	}
	s.start(`{
	auto_https off
	apikey_inject {
		store vault
		integration acme $UPSTREAM {
			name X-Api-Key
			key customers/${connectionId}
			allow_origin https://app.example https://other.example
		}
	}
}
` + harness.Site(closed, route("")) +
		harness.Site(open, route("allow_origin https://app.example http://localhost:3000")) +
		harness.Site(narrow, strings.NewReplacer("$UPSTREAM", "acme", "\t\tname X-Api-Key\n\t\tkey customers/${connectionId}\n", "").
			Replace(route("allow_origin https://app.example https://third.example"))) +
		fmt.Sprintf("https://:%d {\n\tbind 127.0.0.1\n\ttls %s %s\n%s\n}\n", secure, server.CertFile, server.KeyFile, route("")))
	s.upstream.Always(harness.Text(200, "ok", "Access-Control-Allow-Origin: *", "Access-Control-Allow-Credentials: true"))

	for i, c := range []struct {
		name   string
		port   int
		lines  []string
		passes bool
		allows string // Access-Control-Allow-Origin of an answer that passes
	}{
		{"no browser", closed, nil, true, "*"},
		{"a foreign origin", closed, []string{"Origin: https://evil.example"}, false, ""},
		{"a foreign page without an origin", closed, []string{"Sec-Fetch-Site: cross-site"}, false, ""},
		{"in another casing of the name", closed, []string{"sec-fetch-site: cross-site"}, false, ""},
		{"a page of a sibling domain", closed, []string{"Sec-Fetch-Site: same-site"}, false, ""},
		{"a sandboxed page", closed, []string{"Origin: null"}, false, ""},
		{"a page of another port of this host", closed, []string{"Origin: http://127.0.0.1:1"}, false, ""},
		{"a page of this host over https", closed, []string{fmt.Sprintf("Origin: https://127.0.0.1:%d", closed)}, false, ""},
		{"claimed with X-Forwarded-Proto", closed, []string{fmt.Sprintf("Origin: https://127.0.0.1:%d", closed), "X-Forwarded-Proto: https"}, false, ""},
		{"a foreign origin that names us as its user", closed, []string{fmt.Sprintf("Origin: http://127.0.0.1:%d@evil.example", closed)}, false, ""},
		{"our origin from a foreign page", closed, []string{fmt.Sprintf("Origin: http://127.0.0.1:%d", closed), "Sec-Fetch-Site: cross-site"}, false, ""},
		{"our own origin", closed, []string{fmt.Sprintf("Origin: http://127.0.0.1:%d", closed), "Sec-Fetch-Site: same-origin"}, true, "*"},
		{"the address bar", closed, []string{"Sec-Fetch-Site: none"}, true, "*"},
		{"an allowed origin", open, []string{"Origin: https://app.example", "Sec-Fetch-Site: cross-site"}, true, "https://app.example"},
		{"another allowed origin", open, []string{"Origin: http://localhost:3000", "Sec-Fetch-Site: same-site"}, true, "http://localhost:3000"},
		{"an origin that is not allowed beside some that are", open, []string{"Origin: https://evil.example"}, false, ""},
		{"an allowed origin with more behind it", open, []string{"Origin: https://app.example.evil.example"}, false, ""},
		{"an allowed origin over http", open, []string{"Origin: http://app.example"}, false, ""},
		{"no origin where some are allowed", open, []string{"Sec-Fetch-Site: cross-site"}, false, ""},
		{"what route and integration allow", narrow, []string{"Origin: https://app.example"}, true, "https://app.example"},
		{"what only the integration allows", narrow, []string{"Origin: https://other.example"}, false, ""},
		{"what only the route allows", narrow, []string{"Origin: https://third.example"}, false, ""},
		{"our own origin over TLS", secure, []string{fmt.Sprintf("Origin: https://localhost:%d", secure)}, true, "*"},
		{"a page in clear of a host with TLS", secure, []string{fmt.Sprintf("Origin: http://localhost:%d", secure)}, false, ""},
	} {
		t.Run("C14 "+c.name, func(t *testing.T) {
			customer := fmt.Sprintf("page-%d", i)
			s.vault.Put("customers/"+customer, map[string]any{"apiKey": "key-of-" + customer})
			s.upstream.Forget()
			conf := ca.ClientTLS()
			if c.port != secure {
				conf = nil
			}
			a := ask(t, c.port, conf, "GET", "/v1/users", append(c.lines, "X-Customer: "+customer)...)
			reads := s.reads.Count("customers/" + customer)
			if !c.passes {
				checkOurs(t, a, 403, "forbidden")
				if a.Header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("the refusal lets a page read it: %q", a.Raw)
				}
				if hits := s.upstream.Hits(); hits != 0 || reads != 0 {
					t.Errorf("%d hits at the upstream, %d reads of Vault", hits, reads)
				}
				return
			}
			if a.Status != 200 {
				t.Fatalf("answered %q", a.Raw)
			}
			checkOnly(t, s.upstream.Only(), "X-Api-Key: key-of-"+customer)
			if reads != 1 {
				t.Errorf("%d reads of Vault, want 1", reads)
			}
			checkCORS(t, a, c.allows)
		})
	}
	t.Run("C14 a page reads why it gets no key", func(t *testing.T) {
		a := ask(t, open, nil, "GET", "/v1/users", "Origin: https://app.example", "X-Customer: nobody-known")
		checkOurs(t, a, 404, "unknown_connection")
		checkCORS(t, a, "https://app.example")
		a = ask(t, open, nil, "GET", "/v1/../users", "Origin: https://app.example", "X-Customer: nobody-known")
		checkOurs(t, a, 400, "bad_path")
		checkCORS(t, a, "https://app.example")
	})
	t.Run("C14 preflights", func(t *testing.T) { testPreflights(t, s, closed, open) })
}

// checkCORS checks which page may read an answer. Where we allowed one, the
// upstream's own word about pages does not count.
func checkCORS(t *testing.T, a *harness.RawResponse, origin string) {
	t.Helper()
	if got := a.Header.Values("Access-Control-Allow-Origin"); len(got) != 1 || got[0] != origin {
		t.Errorf("the pages that may read the answer are %q, want %q", got, origin)
	}
	if origin == "*" {
		return
	}
	if got := a.Header.Get("Access-Control-Allow-Credentials"); got != "" {
		t.Errorf("the upstream lets pages send credentials: %q", got)
	}
	if !slices.Contains(a.Header.Values("Vary"), "Origin") {
		t.Errorf("a cache would hand the answer to other pages: Vary is %q", a.Header.Values("Vary"))
	}
}

func testPreflights(t *testing.T, s *stand, closed, open int) {
	asking := []string{"Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: x-trace, content-type", "Sec-Fetch-Site: cross-site"}
	before := len(s.reads.Seen())
	s.upstream.Forget()

	a := ask(t, open, nil, "OPTIONS", "/v1/users", append(asking, "Origin: https://app.example")...)
	if a.Status != 204 || len(a.Body) != 0 {
		t.Errorf("C14 a preflight of an allowed page is answered %q", a.Raw)
	}
	checkCORS(t, a, "https://app.example")
	if a.Header.Get("Access-Control-Allow-Methods") != "PUT" || a.Header.Get("Access-Control-Allow-Headers") != "x-trace, content-type" {
		t.Errorf("C14 a preflight of an allowed page is answered %q", a.Raw)
	}
	for _, port := range []int{closed, open} {
		a := ask(t, port, nil, "OPTIONS", "/v1/users", append(asking, "Origin: https://evil.example")...)
		checkOurs(t, a, 403, "forbidden")
		if strings.Contains(a.Raw, "Access-Control") {
			t.Errorf("C14 a preflight of a foreign page is answered %q", a.Raw)
		}
	}
	if hits, reads := s.upstream.Hits(), len(s.reads.Seen())-before; hits != 0 || reads != 0 {
		t.Errorf("C14 preflights cost %d hits at the upstream and %d requests to Vault", hits, reads)
	}
}
