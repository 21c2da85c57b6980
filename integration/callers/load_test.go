// What is refused before it serves: names that cannot carry a key (C5),
// connections that the caller would choose (C10), header_up of the key's header
// (C12). Each in a Caddyfile, while it is parsed, and in JSON.

package callers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// inline is the Caddyfile of a site with one route, and these lines in its
// block.
func inline(before string, lines ...string) string {
	return fmt.Sprintf("http://127.0.0.1:1 {\n\tbind 127.0.0.1\n%s\n\tapikey_inject $UPSTREAM {\n\t\t%s\n\t}\n}\n", before, strings.Join(lines, "\n\t\t"))
}

func TestRefusedAtLoad(t *testing.T) {
	s := newStand(t)
	port := harness.Port(t)
	s.start(harness.Site(port, "\tapikey_inject $UPSTREAM {\n\t\tname X-Api-Key\n\t\tkey acme\n\t\tallow anyone\n\t}"))

	for _, name := range []string{
		"Connection", "connection", "TE", "Trailer", "Transfer-Encoding", "Transfer_Encoding", "Upgrade", "Proxy-Authorization",
		"Proxy-Authenticate", "Proxy-Connection", "Keep-Alive", "KEEP-ALIVE", "HTTP2-Settings", "Host", "Content-Length", "content_length",
		"X Api", "X-Ké", "X-Api:", "", "X-Api\x01",
	} {
		t.Run(fmt.Sprintf("C5 %q", name), func(t *testing.T) {
			s.refused(t, inline("", fmt.Sprintf("name \"%s\"", name), "key acme"), "name")
			s.refusedJSON(t, handlerJSON(t, map[string]any{"key_name": name}), "key_name")
		})
	}
	t.Run("C5 no name at all", func(t *testing.T) {
		s.refused(t, inline("", "key acme"), "name", "required")
		s.refusedJSON(t, handlerJSON(t, map[string]any{"key_name": nil}), "key_name", "required")
	})

	for _, c := range []struct{ name, before, expr string }{
		{"a header", "", "{http.request.header.X-Customer}"},
		{"a header in Caddy's shorthand", "", "{header.X-Customer}"},
		{"a query parameter", "", "{query.customer}"},
		{"a cookie", "", "{cookie.customer}"},
		{"the host", "", "{host}"},
		{"the path", "", "{path}"},
		{"the client's address", "", "{remote_host}"},
		{"a variable", "\tvars customer {header.X-Customer}", "{vars.customer}"},
		{"a map", "\tmap {header.X-Customer} {customer} {\n\t\tdefault nobody\n\t}", "{customer}"},
		{"a path_regexp capture", "\t@c path_regexp c ^/([a-z]+)/", "{re.c.1}"},
		{"a capture without a name", "\t@c path_regexp ^/([a-z]+)/", "{http.regexp.1}"},
		{"beside what is trusted", "", "{http.auth.user.id}-{header.X-Customer}"},
		{"a name that only begins like a trusted one", "", "{http.auth.username}"},
		{"what another proxy was told", "", "{rp.header.X-Customer}"},
	} {
		t.Run("C10 "+c.name, func(t *testing.T) {
			const own = "name X-Api-Key\n\t\tkey customers/${connectionId}\n\t\tconnection "
			s.refused(t, inline(c.before, own+c.expr), "connection", "allow")
			s.refused(t, "{\n\tapikey_inject {\n\t\tintegration acme $UPSTREAM {\n\t\t\tname X-Api-Key\n\t\t\tkey customers/${connectionId}\n\t\t\tallow user billing\n\t\t}\n\t}\n}\n"+
				strings.Replace(inline(c.before, "connection "+c.expr), "$UPSTREAM", "acme", 1), "connection", "allow")
			accepted(t, s, inline(c.before, own+c.expr, "allow user billing"))
		})
	}
	for name, expr := range map[string]string{
		"a header":              "{http.request.header.X-Customer}",
		"a variable":            "{http.vars.customer}",
		"a map":                 "{customer}",
		"a path_regexp capture": "{http.regexp.c.1}",
	} {
		t.Run("C10 in JSON, "+name, func(t *testing.T) {
			s.refusedJSON(t, handlerJSON(t, map[string]any{
				"connection": expr, "key": map[string]any{"path": "customers/${connectionId}"}, "allow": nil,
			}), "connection", "allow")
		})
	}
	for _, expr := range []string{
		"tenant-7", "{http.auth.user.id}", "{http.auth.user.tenant}", "{http.request.tls.client.subject}", "{env.TENANT}", "t-{http.auth.user.id}-{env.REGION}",
	} {
		t.Run("C10 trusted "+expr, func(t *testing.T) {
			accepted(t, s, inline("", "name X-Api-Key", "key customers/${connectionId}", "connection "+expr))
		})
	}

	for _, line := range []string{
		"header_up X-Api-Key x", "header_up x-api-key x", "header_up +X-Api-Key x", "header_up -X-Api-Key", "header_up X_Api_Key x",
		"header_up X-Api-Key a b",
	} {
		t.Run("C12 "+line, func(t *testing.T) {
			s.refused(t, inline("", "name X-Api-Key", "key acme", line), "header_up", "key")
		})
	}
	for op, ops := range map[string]any{
		"set":     map[string]any{"x-api-key": []string{"x"}},
		"add":     map[string]any{"X_Api_Key": []string{"x"}},
		"delete":  []string{"X-API-KEY"},
		"replace": map[string]any{"X-Api-Key": []any{map[string]any{"search": "a", "replace": "b"}}},
	} {
		t.Run("C12 in JSON, "+op, func(t *testing.T) {
			s.refusedJSON(t, handlerJSON(t, map[string]any{
				"proxy": map[string]any{"handler": "reverse_proxy", "headers": map[string]any{"request": map[string]any{op: ops}}},
			}), "header_up", "key")
		})
	}

	t.Run("after all of this the first configuration still serves", func(t *testing.T) {
		if a := ask(t, port, nil, "GET", "/v1/users"); a.Status != 200 {
			t.Fatalf("answered %q", a.Raw)
		}
		checkOnly(t, s.upstream.Only(), "X-Api-Key: "+key)
	})
}

// accepted checks that a Caddyfile can be parsed: what was refused before it
// was refused for its one mistake.
func accepted(t *testing.T, s *stand, config string) {
	t.Helper()
	status, body, err := s.caddy.Do("POST", "/adapt", s.fill(config), "Content-Type: text/caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	if status != 200 {
		t.Errorf("refused: %d %s", status, body)
	}
}
