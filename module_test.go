package apikeyinject

// This file holds tests of the handler without ports: what is refused while
// loading, and how a request ends.

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

const (
	plainIntegration = `"acme": {"base_url": "https://api.example/v1", "key_name": "X-Api-Key", "key": {"path": "k"}}`
	customers        = `"crm": {"base_url": "https://crm.example", "key_name": "X-Api-Key", "key": {"path": "c/${connectionId}"}}`
)

func TestConfigurationsThatAreRefusedNameTheField(t *testing.T) {
	const own = `"base_url": "https://h", "key_name": "X", "key": {"path": "k"}`
	for name, tc := range map[string]struct{ integrations, handler, says string }{
		"no base URL":                {"", `{"key_name": "X", "key": {"path": "k"}}`, "base_url: is required"},
		"a wrong base URL":           {"", `{"base_url": "ftp://h", "key_name": "X", "key": {"path": "k"}}`, "base_url: "},
		"no name":                    {"", `{"base_url": "https://h", "key": {"path": "k"}}`, "key_name: is required"},
		"a hop-by-hop name":          {"", `{"base_url": "https://h", "key_name": "TE", "key": {"path": "k"}}`, "key_name: "},
		"a wrong placement":          {"", `{"key_placement": "body", ` + own + `}`, "key_placement: must be one of: header, query"},
		"a wrong template":           {"", `{"value_template": "${apikey}", ` + own + `}`, "did you mean ${apiKey}?"},
		"no key":                     {"", `{"base_url": "https://h", "key_name": "X"}`, "key: is required"},
		"a key without a path":       {"", `{"base_url": "https://h", "key_name": "X", "key": {"field": "f"}}`, "key.path: is required"},
		"a path that climbs":         {"", `{"base_url": "https://h", "key_name": "X", "key": {"path": "a/../b"}}`, "key.path: "},
		"an unknown field":           {"", `{"strip_prefx": "/a", ` + own + `}`, `did you mean "strip_prefix"?`},
		"a field of a wrong type":    {"", `{"disabled": "yes", ` + own + `}`, "disabled"},
		"a prefix without a slash":   {"", `{"strip_prefix": "a", ` + own + `}`, "strip_prefix: "},
		"an allow of nobody":         {"", `{"allow": {}, ` + own + `}`, "allow: names nobody"},
		"an origin with a path":      {"", `{"allow_origin": ["https://a/b"], ` + own + `}`, "allow_origin: "},
		"an unknown store":           {"", `{"base_url": "https://h", "key_name": "X", "key": {"path": "k", "store": "mm"}}`, `did you mean "m"?`},
		"other upstreams":            {"", `{"proxy": {"handler": "reverse_proxy", "upstreams": []}, ` + own + `}`, "proxy.upstreams: "},
		"a header_up of ours":        {"", `{"proxy": {"handler": "reverse_proxy", "headers": {"request": {"set": {"x": ["y"]}}}}, ` + own + `}`, "carries the key"},
		"an unknown integration":     {plainIntegration, `{"integration": "amce"}`, `did you mean "acme"?`},
		"no integration at all":      {"", `{"integration": "acme"}`, "none is defined"},
		"a field beside a name":      {plainIntegration, `{"integration": "acme", "base_url": "https://h"}`, "base_url: is not allowed beside integration"},
		"a key beside a name":        {plainIntegration, `{"integration": "acme", "key": {"path": "x"}}`, "key: is not allowed beside integration"},
		"a label beside a name":      {plainIntegration, `{"integration": "acme", "label_as": "x"}`, "label_as: is not allowed"},
		"a placeholder as the name":  {plainIntegration, `{"integration": "{http.request.header.X}"}`, "integration: "},
		"a wrong integration":        {`"acme": {"base_url": "https://h"}`, `{"integration": "acme"}`, "integrations.acme.key_name: "},
		"a typo in an integration":   {`"acme": {"base_ulr": "https://h"}`, `{"integration": "acme"}`, `did you mean "base_url"?`},
		"a template without config":  {"", `{"value_template": "${apiKey}${connectionConfig.t}", ` + own + `}`, "value_template: needs"},
		"one key for connections":    {plainIntegration, `{"integration": "acme", "connection": "x"}`, "key.path: "},
		"no connection for its path": {customers, `{"integration": "crm"}`, "connection: is required"},
		"a connection with a slash":  {customers, `{"integration": "crm", "connection": "a/b"}`, "connection: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadHandler(t, tc.integrations, tc.handler)
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want an error that says %q", err, tc.says)
			}
		})
	}
}

func TestAConnectionTheCallerChoosesNeedsAllow(t *testing.T) {
	for expr, trusted := range map[string]bool{
		"fixed":                              true,
		"{http.auth.user.id}":                true,
		"{http.auth.user.tenant}":            true,
		"{env.TENANT}":                       true,
		"a-{http.auth.user.id}-{env.TENANT}": true,
		"{http.request.tls.client.subject}":  true,
		"{http.request.header.X-Tenant}":     false,
		"{http.request.uri.query.t}":         false,
		"{http.vars.tenant}":                 false,
		"{http.regexp.p.1}":                  false,
		"{tenant}":                           false, // of map
		"{http.request.host}":                false,
		"{http.auth.user.id}-{http.vars.a}":  false,
		"{http.request.tls.server_name}":     false,
		"{http.request.cookie.tenant}":       false,
	} {
		if _, err := newIDSource(expr, false); (err == nil) != trusted {
			t.Errorf("%s without allow: got %v, want trusted=%v", expr, err, trusted)
		}
		if _, err := newIDSource(expr, true); err != nil {
			t.Errorf("%s with allow: %v", expr, err)
		}
	}
}

func TestAnIDThatIsNoneIsRefusedWithoutARead(t *testing.T) {
	h := newHandler(t, customers, `{"integration": "crm", "connection": "{http.request.header.X-Tenant}", "allow": {"anyone": true}}`)
	m := memoryOf(ownLabel(t))
	m.put("c/acme", canary)
	u := h.stub()
	for _, id := range []string{"", "../x", "a/b", "%2e%2e", "..", "a%2Fb", "%252e%252e"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("X-Tenant", id)
		if w := send(t, h, r); w.Code != http.StatusBadRequest || w.Header().Get(errorHeader) != "bad_connection" {
			t.Errorf("%q: got %d %s", id, w.Code, w.Header().Get(errorHeader))
		}
	}
	if m.reads.Load() != 0 || u.hits() != 0 {
		t.Errorf("%d reads, %d hits, want none", m.reads.Load(), u.hits())
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Tenant", "acme")
	if w := send(t, h, r); w.Code != http.StatusOK || u.got[0].Header.Get("X-Api-Key") != canary {
		t.Errorf("a right id: got %d", w.Code)
	}
	if _, sent := u.got[0].Header["X-Tenant"]; sent {
		t.Error("the header that names the connection reached the upstream")
	}
	r.Header.Set("X-Tenant", "other")
	if w := send(t, h, r); w.Code != http.StatusNotFound || w.Header().Get(errorHeader) != "unknown_connection" {
		t.Errorf("an unknown id: got %d %s", w.Code, w.Header().Get(errorHeader))
	}
}

func TestARouteNarrowsAnAllowAndNeverWidensIt(t *testing.T) {
	const acme = `"acme": {"base_url": "https://api.example", "key_name": "X-Api-Key", "key": {"path": "k"}, "allow": {"users": ["ann", "bob"]}}`
	for name, tc := range map[string]struct {
		route   string
		allowed []string
	}{
		"no rule of its own": {"", []string{"ann", "bob"}},
		"a narrower rule":    {`, "allow": {"users": ["bob", "eve"]}`, []string{"bob"}},
		"anyone":             {`, "allow": {"anyone": true}`, []string{"ann", "bob"}},
		"every user":         {`, "allow": {"users": ["*"]}`, []string{"ann", "bob"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHandler(t, acme, `{"integration": "acme", "caller": "{http.request.header.User}"`+tc.route+`}`)
			u := h.stub()
			for _, user := range []string{"ann", "bob", "eve", ""} {
				hits, reads := u.hits(), memoryOf(ownLabel(t)).reads.Load()
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.Header.Set("User", user)
				w := send(t, h, r)
				want := strings.Contains(" "+strings.Join(tc.allowed, " ")+" ", " "+user+" ") && user != ""
				if (w.Code == http.StatusOK) != want || (u.hits() > hits) != want {
					t.Errorf("%q: got %d, want allowed=%v", user, w.Code, want)
				}
				if !want && (w.Header().Get(errorHeader) != "forbidden" || memoryOf(ownLabel(t)).reads.Load() != reads) {
					t.Errorf("%q: got %q and a read, want forbidden and none", user, w.Header().Get(errorHeader))
				}
			}
		})
	}
}

func TestOnlyAVerifiedCertificateNamesACaller(t *testing.T) {
	cert := &x509.Certificate{Subject: pkix.Name{CommonName: "billing"}}
	a := &Allow{ClientCerts: []string{"CN=billing"}}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for name, tc := range map[string]struct {
		state *tls.ConnectionState
		fits  bool
	}{
		"no TLS":         {nil, false},
		"no certificate": {&tls.ConnectionState{}, false},
		"an unverified":  {&tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}, false},
		"a verified":     {&tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}, true},
	} {
		r.TLS = tc.state
		if got := a.fits(caller{request: r}); got != tc.fits {
			t.Errorf("%s: got %v, want %v", name, got, tc.fits)
		}
	}
	if (&Allow{Tokens: []string{"billing"}}).fits(caller{request: r, user: "billing"}) {
		t.Error("the name of a token fits a user")
	}
}

func TestEveryRefusalLooksTheSame(t *testing.T) {
	for _, tc := range []struct {
		f      *failure
		status int
	}{
		{errForbidden, 403},
		{errCrossSite, 403},
		{errDisabled, 403},
		{errMethod, 405},
		{errPath, 400},
		{errConnection, 400},
		{errUnknownConnection, 404},
		{errKeyNotFound, 502},
		{errKeyInvalid, 502},
		{errEgress, 403},
		{errNoInjection, 502},
		{failUnavailable(0), 503},
	} {
		w := httptest.NewRecorder()
		r := prepared(httptest.NewRequest(http.MethodGet, "/", nil), w, nil)
		if err := tc.f.end(w, r); err != nil {
			t.Errorf("%s: got the error %v, want an answer", tc.f.code, err)
		}
		var body struct {
			Error struct{ Code, Message string }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Errorf("%s: the body is no JSON: %v", tc.f.code, err)
		}
		if w.Code != tc.status || w.Header().Get(errorHeader) != tc.f.code || body.Error.Code != tc.f.code || body.Error.Message == "" {
			t.Errorf("%s: got %d, %v, %s", tc.f.code, w.Code, w.Header(), w.Body)
		}
		if w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got the header %v", tc.f.code, w.Header())
		}
		if got := w.Header().Get("Retry-After") != ""; got != (tc.status == 503) {
			t.Errorf("%s: Retry-After is there: %v", tc.f.code, got)
		}
		if got := w.Header().Get("Allow") != ""; got != (tc.status == 405) {
			t.Errorf("%s: Allow is there: %v", tc.f.code, got)
		}
		repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
		if got, _ := repl.GetString("http.apikey_inject.error"); got != tc.f.code {
			t.Errorf("%s: {http.apikey_inject.error} is %q", tc.f.code, got)
		}
	}
}

func TestAStoreThatFailsSaysNothingAboutItself(t *testing.T) {
	h := newHandler(t, plainIntegration, `{"integration": "acme"}`)
	u := h.stub()
	memoryOf(ownLabel(t)).fail(errors.Join(store.ErrUnavailable, errors.New("vault-1.internal/secret")))
	w := send(t, h, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || u.hits() != 0 {
		t.Errorf("got %d, %v, %d hits", w.Code, w.Header(), u.hits())
	}
	if strings.Contains(w.Body.String(), "vault") {
		t.Errorf("the answer tells about the store: %s", w.Body)
	}
}

func TestWhatDoesNotGoUpstream(t *testing.T) {
	h := newHandler(t, plainIntegration, `{"integration": "acme", "allow": {"anyone": true}, "caller": "{http.request.header.remote-user}"}`)
	for name, out := range map[string]bool{
		"Authorization": true, "Proxy-Authorization": true, "Cookie": true, "X-Api-Key": true, "X_Api_Key": true, "X-Api_Key": true,
		"Connection": true, "Upgrade": true, "Http2-Settings": true, "Forwarded": true, "Via": true, "X-Real-Ip": true, "X_Real_Ip": true,
		"X-Forwarded-For": true, "X-Forwarded-Anything": true, "X_Forwarded_For": true, "Remote-User": true, "Connection-Id": true,
		"Provider-Config-Key": true,
		"Accept":              false, "X-Request-Id": false, "If-Match": false, "Traceparent": false, "X-Api-Keys": false, "Set-Cookie": false,
	} {
		if got := h.target.leavesOut(name); got != out {
			t.Errorf("%s: got left out=%v, want %v", name, got, out)
		}
	}
}

func TestARequestWithoutItsInjectionIsNotSent(t *testing.T) {
	h := newHandler(t, plainIntegration, `{"integration": "acme"}`)
	other := newHandler(t, plainIntegration, `{"integration": "acme"}`)
	u, otherUpstream := h.stub(), other.stub()
	live := prepared(httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder(), nil)
	if _, err := h.transport.RoundTrip(live); asFailure(err) != errNoInjection { //nolint:bodyclose // there is none
		t.Errorf("a live request: got %v, want %v", err, errNoInjection)
	}
	h.proxy = middleware(func(_ http.ResponseWriter, r *http.Request) error {
		_, err := other.transport.RoundTrip(r) //nolint:bodyclose // there is none
		return err
	})
	if w := send(t, h, httptest.NewRequest(http.MethodGet, "/", nil)); w.Code != http.StatusBadGateway {
		t.Errorf("another transport: got %d", w.Code)
	}
	if u.hits()+otherUpstream.hits() != 0 {
		t.Errorf("%d and %d hits, want none", u.hits(), otherUpstream.hits())
	}
	if _, err := h.transport.RoundTrip(httptest.NewRequest(http.MethodGet, "/health", nil)); err != nil || u.got[0].Header.Get("X-Api-Key") != "" { //nolint:bodyclose // there is none
		t.Errorf("a health check: %v, header %v", err, u.got[0].Header)
	}
}

// What comes back from a transport is seen by others: logs, error pages, the
// handlers of a response.
func TestNothingOfTheKeyComesBack(t *testing.T) {
	h := newHandler(t, plainIntegration, `{"integration": "acme", "allow": {"anyone": true}}`)
	u := h.stub()
	var (
		back *http.Response
		fail error
	)
	h.proxy = middleware(func(_ http.ResponseWriter, r *http.Request) error {
		back, fail = h.transport.RoundTrip(r) //nolint:bodyclose // is empty
		return nil
	})
	send(t, h, httptest.NewRequest(http.MethodGet, "/x", nil))
	if fail != nil || u.got[0].Header.Get("X-Api-Key") != canary {
		t.Fatalf("the upstream got %v, %v", u.got, fail)
	}
	if back.Request == u.got[0] || back.Request.Header.Get("X-Api-Key") != "" {
		t.Error("the answer leads to the request with the key")
	}
	u.err = errors.New("malformed: " + canary)
	send(t, h, httptest.NewRequest(http.MethodGet, "/x", nil))
	if fail == nil || strings.Contains(fail.Error(), canary) {
		t.Errorf("the error is %v", fail)
	}
}

func TestNearestWords(t *testing.T) {
	known := []string{"placement", "name", "template"}
	for word, want := range map[string]string{
		"placment": `, did you mean "placement"?`, "PLACEMENT": `, did you mean "placement"?`, "name": `, did you mean "name"?`, "zzzzzz": "",
	} {
		if got := didYouMean(word, known); got != want {
			t.Errorf("%s: got %q, want %q", word, got, want)
		}
	}
}
