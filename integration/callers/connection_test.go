// Whose key a caller may name: G15, and that every id has a document of its own.

package callers

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

func TestConnectionIDs(t *testing.T) {
	s := newStand(t)
	header, query, part, user := harness.Port(t), harness.Port(t), harness.Port(t), harness.Port(t)
	route := func(path, connection string) string {
		return "\tapikey_inject $UPSTREAM {\n\t\tname X-Api-Key\n\t\tkey " + path + "\n\t\tconnection " + connection + "\n\t\tallow anyone\n\t}"
	}
	s.start(harness.Site(header, route("customers/${connectionId}/crm", "{http.request.header.X-Customer}")) +
		harness.Site(query, route("customers/${connectionId}/crm", "{query.id}")) +
		harness.Site(part, route("customers/${connectionId}/crm", "tenant-{http.request.header.X-Customer}")) +
		harness.Site(user, fmt.Sprintf("\tbasic_auth {\n\t\t\"../acme\" %[1]s\n\t\tbilling %[1]s\n\t}\n", passHash)+
			route("customers/${connectionId}/crm", "{http.auth.user.id}")))
	// What a path that goes astray would find.
	for _, path := range []string{"customers/crm", "crm", "x/crm", "customers/a/b/crm", "b/crm", "customers/x"} {
		s.vault.Put(path, map[string]any{"apiKey": "astray"})
	}

	bad := []struct {
		name string
		port int
		id   string // as it stands in the header or, decoded, in the query
	}{
		{"empty", header, ""},
		{"nothing but blanks", header, "  "},
		{"dot", header, "."},
		{"dots", header, ".."},
		{"upwards", header, "../x"},
		{"upwards twice", header, "../../x"},
		{"a slash", header, "a/b"},
		{"a slash at the end", header, "a/"},
		{"a slash at the beginning", header, "/a"},
		{"escaped dots", header, "%2e%2e"},
		{"escaped dots in capitals", header, "%2E%2E"},
		{"one escaped dot", header, ".%2e"},
		{"an escaped slash", header, "a%2fb"},
		{"upwards, all escaped", header, "%2e%2e%2fx"},
		{"escaped twice", header, "%252e%252e%252fx"},
		{"an escaped control character", header, "a%00b"},
		{"an inner tab", header, "a\tb"},
		{"no UTF-8", header, "a\xffb"},
		{"a control character of Latin-1", header, "a\u0085b"},
		{"256 bytes", header, strings.Repeat("a", 256)},
		{"empty", query, ""},
		{"upwards", query, "../x"},
		{"escaped dots", query, "%2e%2e"},
		{"a null byte", query, "a\x00b"},
		{"a line end", query, "a\nb"},
		{"escape", query, "a\x1bb"},
		{"delete", query, "a\x7fb"},
		{"empty beside a literal", part, ""},
		{"upwards beside a literal", part, "/../x"},
		{"escaped upwards beside a literal", part, "%2f..%2fx"},
	}
	for _, c := range bad {
		t.Run("G15 "+c.name, func(t *testing.T) {
			before := len(s.reads.Seen())
			s.upstream.Forget()
			checkOurs(t, connect(t, c.port, query, c.id), 400, "bad_connection")
			if seen := s.reads.Seen()[before:]; s.upstream.Hits() != 0 || len(seen) != 0 {
				t.Errorf("%d hits at the upstream, and Vault was asked %q", s.upstream.Hits(), seen)
			}
		})
	}
	t.Run("G15 no header at all", func(t *testing.T) {
		checkOurs(t, ask(t, header, nil, "GET", "/"), 400, "bad_connection")
	})
	t.Run("G15 the name of a user", func(t *testing.T) {
		s.vault.Put("customers/billing/crm", map[string]any{"apiKey": "key-of-billing"})
		before := len(s.reads.Seen())
		checkOurs(t, ask(t, user, nil, "GET", "/", basic("../acme")), 400, "bad_connection")
		if seen := s.reads.Seen()[before:]; len(seen) != 0 {
			t.Errorf("Vault was asked %q", seen)
		}
		if a := ask(t, user, nil, "GET", "/", basic("billing")); a.Status != 200 {
			t.Errorf("an ordinary name: %q", a.Raw)
		}
	})
	t.Run("G15 an id that is not there", func(t *testing.T) {
		checkOurs(t, connect(t, header, query, "nobody"), 404, "unknown_connection")
	})

	// Each of these ids has a document of its own, and no two share one.
	for i, id := range []string{
		"Cust-1", "cust-1", "a b", "a_b", "a..b", "ab", "a?b", "a#b", "a%b", "a%20b", "a+b", "{env.HOME}", "${connectionId}", "é", "e\u0301", "a;b", "a\\b", "...",
	} {
		t.Run(fmt.Sprintf("G15 and G16 the id %q", id), func(t *testing.T) {
			s.upstream.Forget()
			want := fmt.Sprintf("key-%d", i)
			s.vault.Do(http.MethodPost, "secret/data/customers/"+url.PathEscape(id)+"/crm", map[string]any{"data": map[string]any{"apiKey": want}})
			if a := connect(t, query, query, id); a.Status != 200 {
				t.Fatalf("answered %q; Vault was asked %q", a.Raw, s.reads.Seen())
			}
			checkOnly(t, s.upstream.Only(), "X-Api-Key: "+want)
		})
	}

	for _, id := range []string{"a/b", "..", "%2e%2e"} {
		t.Run("G15 written in the Caddyfile: "+id, func(t *testing.T) {
			s.refused(t, inline("", "name X-Api-Key", "key customers/${connectionId}", "connection "+id), "connection", id)
			s.refusedJSON(t, handlerJSON(t, map[string]any{"connection": id, "key": map[string]any{"path": "customers/${connectionId}"}}), "connection", id)
		})
	}
	t.Run("G15 one key for all connections", func(t *testing.T) {
		s.refused(t, inline("", "name X-Api-Key", "key acme", "connection {http.auth.user.id}"), "${connectionId}")
	})
	t.Run("G15 a connection that nobody names", func(t *testing.T) {
		s.refused(t, inline("", "name X-Api-Key", "key customers/${connectionId}"), "connection")
	})
}

// connect names a connection where the site of that port reads it.
func connect(t *testing.T, port, query int, id string) *harness.RawResponse {
	t.Helper()
	if port == query {
		return ask(t, port, nil, "GET", "/v1/users?id="+url.QueryEscape(id))
	}
	return ask(t, port, nil, "GET", "/v1/users", "X-Customer: "+id)
}
