// What a caller of the gateway may try: headers that are not what they seem,
// paths that lead elsewhere, pages of other sites.

package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestNoHeaderOfACallerUndoesOrForgesTheKey(t *testing.T) {
	r := newRig(t, settings{local: true})
	r.integration("acme", "")
	r.connection("acme", "c", "key-of-c")
	r.api(http.StatusOK, http.MethodPost, "/integrations", strings.Replace(creating("named", r.up.URL()), `"Authorization", "valueTemplate": "Api-Key ${apiKey}"`, `"X-Api-Key"`, 1))
	r.connection("named", "c", "key-of-named")
	own := []string{"Provider-Config-Key: named", "Connection-Id: c"}
	for _, c := range []struct {
		name  string
		lines []string
		want  []string // lines that do arrive, beside the key
	}{
		{"the key's name", []string{"X-Api-Key: mine", "x-api-KEY: mine"}, nil},
		{"the key's name, marked", []string{"Nango-Proxy-X-Api-Key: mine", "nango-proxy-x-api-key: mine"}, nil},
		{"the key's name with underscores", []string{"X_Api_Key: mine", "X_API-KEY: mine"}, nil},
		{"the key's name with underscores, marked", []string{"Nango-Proxy-X_Api_Key: mine", "Nango_Proxy_X-Api-Key: mine", "Nango_Proxy-X_Api_Key: mine"}, nil},
		{"a mark without a name", []string{"Nango-Proxy-: x"}, nil},
		{"marked twice", []string{"Nango-Proxy-Nango-Proxy-X-Twice: x", "Nango-Proxy-Nango-Proxy-X-Api-Key: mine"}, nil},
		{"the gateway's own, marked", []string{"Nango-Proxy-Provider-Config-Key: acme", "Nango-Proxy-Connection-Id: d", "Nango-Proxy-Retries: 9", "Nango-Proxy-Base-Url-Override: http://evil.example"}, nil},
		{"of the connection, marked", []string{
			"Nango-Proxy-Connection: X-Api-Key", "Nango-Proxy-Upgrade: h2c", "Nango-Proxy-Te: trailers", "Nango-Proxy-Keep-Alive: 5",
			"Nango-Proxy-Proxy-Connection: close", "Nango-Proxy-Http2-Settings: AAMAAABk", "Nango-Proxy-Trailer: X-Api-Key", "Nango-Proxy-Proxy-Authorization: Basic x",
		}, nil},
		{"a length, marked", []string{"Nango-Proxy-Content-Length: 5", "Nango-Proxy-Transfer-Encoding: chunked"}, nil},
		{"a host, marked", []string{
			"Nango-Proxy-Host: evil.example", "Nango-Proxy-X-Forwarded-Host: evil.example", "Nango-Proxy-Forwarded: host=evil.example",
			"Nango-Proxy-X-Original-Url: /admin", "Nango-Proxy-X-Rewrite-Url: /admin", "Nango-Proxy-Via: 1.1 x", "Nango-Proxy-X-Real-Ip: 1.2.3.4",
		}, nil},
		{"the key's name in Connection", []string{"Connection: X-Api-Key", "Connection: keep-alive, x-api-key"}, nil},
		{"the gateway's own in Connection", []string{"Connection: Provider-Config-Key, Connection-Id, Authorization, Nango-Proxy-X-Api-Key"}, nil},
		{"a marked one in Connection", []string{"Connection: X-Marked", "Nango-Proxy-X-Marked: x"}, []string{"X-Marked: x"}},
		{"about the caller", []string{"X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4", "X-Real-Ip: 1.2.3.4", "Cookie: session=1", "Proxy-Authorization: Basic x"}, nil},
		{
			"what is said expressly",
			[]string{"Nango-Proxy-Authorization: Bearer theirs", "Nango-Proxy-Cookie: a=b", "nango-proxy-accept-language: de"},
			[]string{"Authorization: Bearer theirs", "Cookie: a=b", "Accept-Language: de"},
		},
		{"marked and unmarked", []string{"X-Both: plain", "Nango-Proxy-X-Both: marked"}, []string{"X-Both: marked"}},
		{"several of a name", []string{"Accept: a", "Accept: b"}, []string{"Accept: a", "Accept: b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.up.Forget()
			if a := r.send(t, "GET", "/proxy/users", "", append(c.lines, own...)...); a.Status != http.StatusOK {
				t.Fatalf("answered %s", a.Raw)
			}
			got := r.up.Only()
			lines := []string{"Host: " + r.up.Addr(), "X-Api-Key: key-of-named"}
			lines = append(lines, c.want...)
			var have []string
			for _, f := range got.Fields {
				if f.Name != "User-Agent" && f.Name != "Accept-Encoding" && f.Name != "Connection" {
					have = append(have, f.Name+": "+f.Value)
				}
			}
			slices.Sort(lines)
			slices.Sort(have)
			if !slices.Equal(lines, have) || got.Target != "/users" || len(got.Body) != 0 {
				t.Errorf("the upstream received\n%s\nwant %q", got, lines)
			}
		})
	}
}

func TestControlHeadersAreReadOnceAndInOneSpelling(t *testing.T) {
	r := newRig(t, settings{local: true})
	for _, key := range []string{"acme", "other"} {
		r.integration(key, "")
		for _, id := range []string{"c", "d"} {
			r.connection(key, id, key+"-"+id)
		}
	}
	for _, c := range []struct {
		name   string
		lines  []string
		status int
		code   string
	}{
		{"no integration", []string{"Connection-Id: c"}, 400, "bad_header"},
		{"an empty integration", []string{"Provider-Config-Key:", "Connection-Id: c"}, 400, "bad_header"},
		{"an empty integration and another", []string{"Provider-Config-Key:", "provider-config-key: acme", "Connection-Id: c"}, 400, "bad_header"},
		{"two integrations", []string{"Provider-Config-Key: acme", "PROVIDER-CONFIG-KEY: other", "Connection-Id: c"}, 400, "bad_header"},
		{"the same integration twice", []string{"Provider-Config-Key: acme", "Provider-Config-Key: acme", "Connection-Id: c"}, 400, "bad_header"},
		{"two connections", []string{"Provider-Config-Key: acme", "Connection-Id: c", "connection-ID: d"}, 400, "bad_header"},
		{"an empty connection and another", []string{"Provider-Config-Key: acme", "Connection-Id:", "Connection-Id: d"}, 400, "bad_header"},
		{"underscores", []string{"Provider_Config_Key: acme", "Connection_Id: c"}, 400, "bad_header"},
		{"no connection, where there is no key but theirs", []string{"Provider-Config-Key: acme"}, 400, "bad_connection"},
		{"an empty connection", []string{"Provider-Config-Key: acme", "Connection-Id:"}, 400, "bad_connection"},
		{"a list of connections", []string{"Provider-Config-Key: acme", "Connection-Id: c, d"}, 404, "unknown_connection"},
		{"another case of a connection", []string{"Provider-Config-Key: acme", "Connection-Id: C"}, 404, "unknown_connection"},
		{"another case of an integration", []string{"Provider-Config-Key: ACME", "Connection-Id: c"}, 404, "unknown_provider_config"},
		{"an integration that is a path", []string{"Provider-Config-Key: ../acme", "Connection-Id: c"}, 404, "unknown_provider_config"},
		{"an integration that is a placeholder", []string{"Provider-Config-Key: {env.OPS}", "Connection-Id: c"}, 404, "unknown_provider_config"},
		{"an unknown integration", []string{"Provider-Config-Key: zzz", "Connection-Id: c"}, 404, "unknown_provider_config"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.up.Forget()
			a := r.send(t, "GET", "/proxy/users", "", c.lines...)
			if a.Status != c.status || !strings.Contains(string(a.Body), `"`+c.code+`"`) || a.Header.Get("Apikey-Inject-Error") == "" {
				t.Errorf("answered %s, want %d %s", a.Raw, c.status, c.code)
			}
			if n := r.up.Hits(); n != 0 {
				t.Errorf("%d hits", n)
			}
		})
	}
	t.Run("underscores beside the real ones", func(t *testing.T) {
		r.up.Forget()
		r.send(t, "GET", "/proxy/users", "", "Provider-Config-Key: acme", "Connection-Id: c", "Provider_Config_Key: other", "Connection_Id: d", "Retries_: 9", "Retry_On: 404")
		if got := r.wantKey(t, "Api-Key acme-c"); strings.Contains(got.String(), "_") {
			t.Errorf("the upstream received %s", got)
		}
	})
	t.Run("casings", func(t *testing.T) {
		r.up.Forget()
		r.send(t, "GET", "/proxy/users", "", "pRoViDeR-cOnFiG-kEy: acme", "CONNECTION-ID: d")
		r.wantKey(t, "Api-Key acme-d")
	})
}

func TestPathsBelowTheGateway(t *testing.T) {
	r := newRig(t, settings{local: true, api: "\t\tstrip_prefix /api\n"})
	r.api(http.StatusOK, http.MethodPost, "/api/integrations", creating("acme", r.up.URL()+"/v1"))
	r.api(http.StatusCreated, http.MethodPost, "/api/connections", entering("acme", "c", "key-of-c"))
	own := []string{"Provider-Config-Key: acme", "Connection-Id: c"}
	for _, c := range []struct {
		path, target string // what the upstream gets; none: refused
		status       int
	}{
		{"/api/proxy/users", "/v1/users", 200},
		{"/api/proxy/users/?a=%2f&b", "/v1/users/?a=%2f&b", 200},
		{"/api/proxy", "/v1", 200},
		{"/api/proxy/", "/v1/", 200},
		{"/api/proxy//a//b", "/v1//a//b", 200},
		{"/api/%70roxy/a", "/v1/a", 200},
		{"/api/proxy/a%2Fb", "/v1/a%2Fb", 200},
		{"/api/proxy/https://evil.example/x", "/v1/https://evil.example/x", 200},
		{"/api/proxy/${apiKey}/${connectionConfig.x}/{env.OPS}", "/v1/$%7BapiKey%7D/$%7BconnectionConfig.x%7D/%7Benv.OPS%7D", 200},
		{"/api/proxy/integrations/acme", "/v1/integrations/acme", 200},
		{"/api/proxy/proxy/x", "/v1/proxy/x", 200},
		{"/api/proxy/../integrations", "", 400},
		{"/api/proxy/..%2fadmin", "", 400},
		{"/api/proxy/%2e%2e/admin", "", 400},
		{"/api/proxy/a/..%2f..%2fadmin", "", 400},
		{"/api/proxy/..;/admin", "", 400},
		{`/api/proxy/..\admin`, "", 400},
		{"/api/proxy/%252e%252e/admin", "", 400},
		{"/api/proxy/.", "", 400},
		{"/api/x/../proxy/a", "", 404},
		{"/api/x/..%2fproxy/a", "", 404},
		{"/api%2fproxy/a", "/v1/a", 200}, // as Caddy's matchers read it, too
		{"/api/proxy%2fa", "", 404},
		{"/api//proxy/a", "", 404},
		{"/api/proxyx/a", "", 404},
		{"/api/proxy.", "", 404},
		{"/api/proxy;x/a", "", 404},
		{"/proxy/a", "", 404},
		{"/apiproxy/a", "", 404},
	} {
		t.Run(c.path, func(t *testing.T) {
			r.up.Forget()
			a := r.send(t, "GET", c.path, "", own...)
			if a.Status != c.status {
				t.Errorf("answered %s, want %d", a.Raw, c.status)
			}
			if c.target == "" {
				if n := r.up.Hits(); n != 0 || a.Status == 400 && a.Header.Get("Apikey-Inject-Error") != "bad_path" {
					t.Errorf("%d hits, %s", n, a.Raw)
				}
				return
			}
			if got := r.wantKey(t, "Api-Key key-of-c"); !sameEscaped(got.Target, c.target) {
				t.Errorf("the upstream received %s, want %s", got.Target, c.target)
			}
		})
	}
	t.Run("a request in absolute form and another host", func(t *testing.T) {
		r.up.Forget()
		a := r.send(t, "GET", "http://"+r.addr()+"/api/proxy/users", "", own...)
		if a.Status != 200 {
			t.Fatalf("answered %s", a.Raw)
		}
		if got := r.wantKey(t, "Api-Key key-of-c"); got.Host() != r.up.Addr() || got.Target != "/v1/users" {
			t.Errorf("the upstream received %s", got)
		}
	})
}

// sameEscaped compares targets; braces may stand there escaped or not.
func sameEscaped(a, b string) bool {
	plain := strings.NewReplacer("%7B", "{", "%7D", "}").Replace
	return plain(a) == plain(b)
}

func TestPagesOfOtherSitesGetNothing(t *testing.T) {
	r := newRig(t, settings{local: true, global: "\t\tintegration fixed http://127.0.0.1:1 {\n\t\t\tname X-Api-Key\n\t\t\tkey fixed\n\t\t\tallow_origin https://app.example\n\t\t}\n"})
	r.integration("acme", "")
	r.connection("acme", "c", "key-of-c")
	own := []string{"Provider-Config-Key: acme", "Connection-Id: c"}
	for _, page := range [][]string{
		{"Origin: https://evil.example"},
		{"Origin: null"},
		{"Origin:  http://" + r.addr() + ".evil.example"},
		{"Sec-Fetch-Site: cross-site"},
		{"Sec-Fetch-Site: same-site"},
		{"Origin: http://" + r.addr(), "Origin: https://evil.example"},
		{"Origin: https://" + r.addr()}, // another scheme
	} {
		t.Run(fmt.Sprint(page), func(t *testing.T) {
			for _, method := range []string{"GET", "POST", "HEAD"} {
				r.up.Forget()
				a := r.send(t, method, "/proxy/users", "", slices.Concat(page, own)...)
				if a.Status != http.StatusForbidden || a.Header.Get("Apikey-Inject-Error") != "forbidden" || a.Header.Get("Access-Control-Allow-Origin") != "" || r.up.Hits() != 0 {
					t.Errorf("%s: answered %s after %d hits", method, a.Raw, r.up.Hits())
				}
			}
			// Without a token, which no page of another site has, it is nobody.
			if a := r.sendBare(t, "GET", "/proxy/users", "", slices.Concat(page, own)...); a.Status != http.StatusUnauthorized || a.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("without a token: answered %s", a.Raw)
			}
			// The API lets no page read an answer.
			a := r.send(t, "GET", "/integrations", "", page...)
			if a.Header.Get("Access-Control-Allow-Origin") != "" || a.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("the API: answered %s", a.Raw)
			}
		})
	}
	t.Run("a preflight", func(t *testing.T) {
		for _, path := range []string{"/proxy/users", "/integrations", "/connections"} {
			r.up.Forget()
			a := r.sendBare(t, "OPTIONS", path, "", slices.Concat([]string{"Origin: https://evil.example", "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization"}, own)...)
			if a.Header.Get("Access-Control-Allow-Origin") != "" || a.Header.Get("Access-Control-Allow-Headers") != "" || r.up.Hits() != 0 {
				t.Errorf("%s: answered %s", path, a.Raw)
			}
		}
	})
	t.Run("its own page", func(t *testing.T) {
		r.up.Forget()
		r.send(t, "GET", "/proxy/users", "", append([]string{"Origin: http://" + r.addr(), "Sec-Fetch-Site: same-origin"}, own...)...)
		r.wantKey(t, "Api-Key key-of-c")
	})
	t.Run("methods", func(t *testing.T) {
		for method, want := range map[string]int{"OPTIONS": 200, "HEAD": 200, "DELETE": 200, "PURGE": 200, "TRACE": 405, "trace": 405, "TRACK": 200} {
			r.up.Forget()
			a := r.send(t, method, "/proxy/users", "", own...)
			if a.Status != want || (want == 200) != (r.up.Hits() == 1) {
				t.Errorf("%s: answered %s after %d hits, want %d", method, a.Raw, r.up.Hits(), want)
			}
		}
		a := r.send(t, "CONNECT", r.addr(), "", own...)
		if a.Status < 400 {
			t.Errorf("CONNECT: answered %s", a.Raw)
		}
	})
}
