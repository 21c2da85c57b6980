// What of a caller's request does not reach the upstream: C1 to C4, C6, C8, and
// what an operator adds does: C12.

package callers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// startStrip runs one Caddy with a site for each kind of route.
func startStrip(t *testing.T) (*stand, map[string]int) {
	t.Helper()
	s := newStand(t)
	ports := map[string]int{}
	for _, name := range []string{
		"plain", "token", "underscore", "underscore token", "users", "credentials", "own authorization", "header_up", "told",
	} {
		ports[name] = harness.Port(t)
	}
	config := fmt.Sprintf(`{
	servers 127.0.0.1:%d {
		expected_underscore_headers X_Api_Key
	}
	servers 127.0.0.1:%d {
		expected_underscore_headers Api_Token
	}
}
(users) {
	basic_auth {
		billing %s
	}
}
(route) {
	apikey_inject $UPSTREAM {
		name {args[0]}
		key acme
		allow anyone
		{block}
	}
}
`, ports["underscore"], ports["underscore token"], passHash)
	for name, body := range map[string]string{
		"plain":             "import route X-Api-Key",
		"token":             "import route api_token",
		"underscore":        "import route X-Api-Key",
		"underscore token":  "import route api-token",
		"users":             "import users\n\timport route X-Api-Key",
		"credentials":       "import users\n\timport route X-Api-Key {\n\t\tforward_credentials\n\t}",
		"own authorization": "import users\n\timport route Authorization {\n\t\tforward_credentials\n\t}",
		"header_up": "import route X-Api-Key {\n\t\theader_up Authorization \"Bearer x\"\n\t\theader_up X-Forwarded-For y\n" +
			"\t\theader_up X-Forwarded-Proto z\n\t\theader_up Via \"1.0 ours\"\n\t\theader_up Cookie a=b\n\t}",
		"told": "import route X-Api-Key {\n\t\tforwarded_headers\n\t}",
	} {
		config += fmt.Sprintf("http://:%d {\n\tbind 127.0.0.1\n\t%s\n}\n", ports[name], body)
	}
	s.start(config)
	return s, ports
}

func TestStrip(t *testing.T) {
	s, ports := startStrip(t)
	const ours = "X-Api-Key: " + key
	for _, c := range []struct {
		name, site string
		lines      []string
		only       []string // the lines of these headers, each alone
		absent     []string
	}{
		{"C1 a value of the client", "plain", []string{"X-Api-Key: attacker"}, []string{ours}, nil},
		{"C1 an empty value", "plain", []string{"X-Api-Key:"}, []string{ours}, nil},
		{"C1 two lines in two casings", "plain", []string{"x-api-key: a", "X-API-KEY: b"}, []string{ours}, nil},
		{"C1 our own value", "plain", []string{"X-Api-Key: " + key}, []string{ours}, nil},
		{"C2 an underscore, as Caddy drops it", "plain", []string{"X_Api_Key: attacker"}, []string{ours}, nil},
		{"C2 an underscore that Caddy was told to keep", "underscore", []string{"X_Api_Key: attacker"}, []string{ours}, nil},
		{"C2 in lower case", "underscore", []string{"x_api_key: attacker"}, []string{ours}, nil},
		{"C3 the caller's basic_auth", "users", []string{basic("billing")}, []string{ours}, []string{"Authorization"}},
		{"C3 a bearer token", "plain", []string{"Authorization: Bearer caller"}, []string{ours}, []string{"Authorization"}},
		{
			"C3 all that a caller can log in with", "plain",
			[]string{"authorization: a", "AUTHORIZATION: b", "Proxy-Authorization: Basic eDp5", "Cookie: sid=1", "cookie: sid=2"},
			[]string{ours},
			[]string{"Authorization", "Proxy-Authorization", "Cookie"},
		},
		{
			"C3 forward_credentials", "credentials",
			[]string{basic("billing"), "Cookie: sid=1"},
			[]string{ours, basic("billing"), "Cookie: sid=1"},
			nil,
		},
		{
			"C3 forward_credentials where the key is the Authorization", "own authorization",
			[]string{basic("billing")},
			[]string{"Authorization: " + key},
			nil,
		},
		{
			"C6 what a client says of itself", "plain",
			[]string{
				"X-Forwarded-For: 203.0.113.9", "X-Forwarded-Host: a", "X-Forwarded-Proto: https", "X-Forwarded-Port: 1", "x-forwarded-prefix: /a",
				"Forwarded: for=203.0.113.9", "X-Real-Ip: 203.0.113.9", "Via: 1.1 proxy",
			},
			[]string{ours},
			[]string{
				"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix",
				"Forwarded", "X-Real-Ip", "Via",
			},
		},
		{
			"C6 what Caddy says by itself", "plain", nil,
			[]string{ours},
			[]string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Via", "Accept-Encoding", "User-Agent"},
		},
		{"C6 forwarded_headers", "told", nil, []string{ours, "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http", "Via: 1.1 Caddy"}, nil},
		{"C8 a hyphen where we have an underscore", "token", []string{"Api-Token: attacker", "API-token: b"}, []string{"Api_token: " + key}, nil},
		{"C8 the underscore that we have too", "token", []string{"api_token: attacker"}, []string{"Api_token: " + key}, nil},
		{"C8 an underscore where we have a hyphen", "underscore token", []string{"api_token: attacker"}, []string{"Api-Token: " + key}, nil},
		{
			"C12 header_up", "header_up",
			[]string{"Authorization: Bearer caller", "X-Forwarded-For: 203.0.113.9", "Via: 1.1 caller", "Cookie: c=d"},
			[]string{
				ours, "Authorization: Bearer x", "X-Forwarded-For: y", "X-Forwarded-Proto: z", "Via: 1.0 ours", "Cookie: a=b",
			},
			[]string{"X-Forwarded-Host"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.upstream.Forget()
			if a := ask(t, ports[c.site], nil, "GET", "/v1/users", append(c.lines, "X-Kept: yes")...); a.Status != 200 {
				t.Fatalf("answered %q", a.Raw)
			}
			got := s.upstream.Only()
			checkOnly(t, got, "X-Kept: yes")
			for _, line := range c.only {
				checkOnly(t, got, line)
			}
			checkAbsent(t, got, c.absent...)
		})
	}
	t.Run("C4 trailers", func(t *testing.T) { testTrailers(t, s, ports) })
}

// testTrailers sends trailers named like our header, and like others that the
// caller may not send.
func testTrailers(t *testing.T, s *stand, ports map[string]int) {
	for _, c := range []struct {
		name, site string
		declared   string
		trailers   []string
		kept       bool
	}{
		{"C4 declared", "plain", "X-Api-Key, X-Sum", []string{"X-Api-Key: attacker", "X-Sum: 1"}, true},
		{"C4 declared in another casing", "plain", "x-api-KEY, x-sum", []string{"x-api-KEY: attacker", "x-sum: 1"}, true},
		{"C4 declared on two lines", "plain", "X-Sum\r\nTrailer: X-Api-Key", []string{"X-Api-Key: attacker", "X-Sum: 1"}, true},
		{"C4 not declared", "plain", "X-Sum", []string{"X-Sum: 1", "X-Api-Key: attacker"}, true},
		{"C4 nothing declared", "plain", "", []string{"X-Api-Key: attacker"}, false},
		{"C4 with underscores", "underscore", "X_Api_Key, X-Sum", []string{"X_Api_Key: attacker", "X-Sum: 1"}, true},
		{
			"C4 credentials and addresses", "plain", "Authorization, Cookie, Via, X-Forwarded-For, X-Sum",
			[]string{"Authorization: attacker", "Cookie: attacker", "Via: attacker", "X-Forwarded-For: attacker", "X-Sum: 1"},
			true,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.upstream.Forget()
			port := ports[c.site]
			declare := ""
			if c.declared != "" {
				declare = "Trailer: " + c.declared + "\r\n"
			}
			harness.Exchange(t, addr(port), nil, fmt.Sprintf("POST /v1/users HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n"+
				"Transfer-Encoding: chunked\r\n%s\r\n3\r\nabc\r\n0\r\n%s\r\n\r\n", addr(port), declare, strings.Join(c.trailers, "\r\n")))
			got := s.upstream.Only()
			if string(got.Body) != "abc" {
				t.Errorf("the body is %q", got.Body)
			}
			checkOnly(t, got, "X-Api-Key: "+key)
			if strings.Contains(got.String(), "attacker") {
				t.Errorf("the upstream received %s", got)
			}
			if kept := strings.Contains(got.String(), "\nX-Sum: 1"); kept != c.kept {
				t.Errorf("an ordinary trailer arrived: %v, want %v: %s", kept, c.kept, got)
			}
		})
	}
}
