package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

func TestWhoCalls(t *testing.T) {
	r := newRig(t, limited("other", ScopeStatus))
	for name, tc := range map[string]struct {
		header []string
		status int
		code   string
	}{
		"nothing":            {nil, 401, "missing_auth_header"},
		"an empty header":    {[]string{""}, 401, "missing_auth_header"},
		"no token":           {[]string{"Bearer "}, 401, "missing_auth_header"},
		"another scheme":     {[]string{"Basic " + full}, 401, "missing_auth_header"},
		"no scheme":          {[]string{full}, 401, "missing_auth_header"},
		"two headers":        {[]string{"Bearer " + full, "Bearer " + full}, 401, "missing_auth_header"},
		"a wrong token":      {[]string{"Bearer wrong"}, 401, "unknown_account"},
		"a shorter one":      {[]string{"Bearer " + full[:len(full)-1]}, 401, "unknown_account"},
		"a longer one":       {[]string{"Bearer " + full + "1"}, 401, "unknown_account"},
		"more than a token":  {[]string{"Bearer " + full + " x"}, 401, "unknown_account"},
		"the first token":    {[]string{"Bearer " + full}, 200, ""},
		"in small letters":   {[]string{"bearer " + full}, 200, ""},
		"the second, scoped": {[]string{"Bearer other-token-0002"}, 403, "forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			a := r.do("GET", "/integrations", "", func(a *ask) { a.token = ""; a.header["Authorization"] = tc.header }).is(tc.status, tc.code)
			if got := a.header.Get("WWW-Authenticate"); (got == "Bearer") != (tc.status == 401) {
				t.Errorf("WWW-Authenticate is %q", got)
			}
		})
	}
}

func TestNobodyIsKnownWithoutTokens(t *testing.T) {
	r := newRig(t)
	r.api.cfg.Tokens = nil
	r.do("GET", "/integrations", "").is(401, "unknown_account")
	r.api.cfg.Tokens = &Tokens{}
	r.do("GET", "/integrations", "").is(401, "unknown_account")
}

func TestTheOperatorNeedsNoToken(t *testing.T) {
	r := newRig(t)
	cfg := r.config(nil)
	cfg.Trusted, cfg.Prefix = true, "/apikey_inject/api"
	r.api = New(cfg)
	req := func(method, path string, header ...string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(method, path, strings.NewReader(acme))
		req.Header.Set("Content-Type", "application/json")
		if len(header) > 0 {
			req.Header.Set(header[0], header[1])
		}
		rec := httptest.NewRecorder()
		r.api.ServeHTTP(rec, req)
		return rec
	}
	for _, page := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
		if rec := req("POST", "/apikey_inject/api/integrations", page...); rec.Code != 403 {
			t.Errorf("%v: %d", page, rec.Code)
		}
	}
	if rec := req("POST", "/apikey_inject/api/integrations", "Origin", "http://example.com"); rec.Code != 200 {
		t.Errorf("got %d: %s", rec.Code, rec.Body)
	}
	if e := r.audit[len(r.audit)-1]; e.Token != "admin" || e.Code != "" {
		t.Errorf("audited as %+v", e)
	}
	for _, path := range []string{"/integrations", "/apikey_inject/apis/integrations", "/apikey_inject/api"} {
		if rec := req("GET", path); rec.Code == 200 {
			t.Errorf("%s is served", path)
		}
	}
}

func TestEveryOperationNeedsItsScope(t *testing.T) {
	for _, o := range operations() {
		if o.bySession { // which no token of the API opens: TestWhoHoldsNoTokenOfASessionIsRefused
			continue
		}
		t.Run(o.id, func(t *testing.T) {
			var others []string
			for _, s := range Scopes() {
				if s != o.scope {
					others = append(others, s)
				}
			}
			r := newRig(t, limited("others", others...), limited("only", ScopeProxy))
			target := strings.NewReplacer("{unique_key}", "acme", "{id}", "c", "{provider}", generic).Replace(o.path)
			if o.scope == "" {
				r.do(o.method, target, "", as("only")).ok()
				return
			}
			a := r.do(o.method, target, "", as("others")).is(403, "forbidden")
			if !strings.Contains(a.at("error", "message"), o.scope) {
				t.Errorf("the scope is not named: %s", a.body)
			}
		})
	}
}

func TestALimitedTokenSeesAndTouchesItsOwn(t *testing.T) {
	r := newRig(t,
		Token{Name: "a", Value: limited("a").Value, Integrations: []string{"a"}},
		Token{Name: "one", Value: limited("one").Value, Connections: []string{"one"}})
	for _, key := range []string{"a", "b"} {
		r.integration(key)
		r.connection(key, "one")
		r.connection(key, "two")
	}
	key := `{"apiKey":"` + canary + `"}`
	enter := func(integration, id string) string {
		return `{"provider_config_key":"` + integration + `","connection_id":"` + id + `","credentials":{"type":"API_KEY","apiKey":"` + canary + `"}}`
	}
	meta := func(integration, id string) string {
		return `{"provider_config_key":"` + integration + `","connection_id":["` + id + `"],"metadata":{}}`
	}
	for _, c := range [][4]string{
		{"a", "GET", "/integrations/b", ""},
		{"a", "PATCH", "/integrations/b", `{}`},
		{"a", "DELETE", "/integrations/b?force=true", ""},
		{"a", "POST", "/integrations/b/disable", ""},
		{"a", "POST", "/integrations/b/confirm_origin", ""},
		{"a", "POST", "/integrations", strings.Replace(acme, "acme", "c", 1)},
		{"a", "PATCH", "/integrations/a", `{"unique_key":"c"}`},
		{"a", "GET", "/connections/one?provider_config_key=b", ""},
		{"a", "PATCH", "/connections/one?provider_config_key=b", `{}`},
		{"a", "DELETE", "/connections/one?provider_config_key=b", ""},
		{"a", "PUT", "/connections/one/credentials?provider_config_key=b", key},
		{"a", "POST", "/connections/one/disable?provider_config_key=b", ""},
		{"a", "POST", "/connections", enter("b", "new")},
		{"a", "POST", "/connections/metadata", meta("b", "one")},
		{"one", "GET", "/connections/two?provider_config_key=a", ""},
		{"one", "DELETE", "/connections/two?provider_config_key=a", ""},
		{"one", "PUT", "/connections/two/credentials?provider_config_key=a", key},
		{"one", "POST", "/connections", enter("a", "two")},
		{"one", "PATCH", "/connections/metadata", meta("a", "two")},
		{"one", "POST", "/integrations/a/confirm_origin", ""},
		{"one", "DELETE", "/integrations/a?force=true", ""},
		{"one", "DELETE", "/integrations/a", ""},
		{"one", "POST", "/integrations/a/disable", ""},
		{"one", "POST", "/integrations/a/enable", ""},
		{"one", "PATCH", "/integrations/a", `{"disabled":true}`},
		{"one", "PATCH", "/integrations/a", `{"connect":{"help_url":"https://elsewhere.example"}}`},
	} {
		r.do(c[1], c[2], c[3], as(c[0])).is(403, "forbidden")
	}
	if len(r.conns) != 4 || len(r.ints) != 2 {
		t.Fatalf("%d connections, %d integrations are left", len(r.conns), len(r.ints))
	}
	for key, i := range r.ints {
		if i.Disabled || i.Connect != nil {
			t.Errorf("integration %s was changed", key)
		}
	}
	r.do("GET", "/integrations", "", as("a")).ok().want("a", "data", 0, "unique_key").want("", "data", 1)
	for query, want := range map[string]int{"": 2, "?integrationId=b": 0, "?integrationId=b,a": 2} {
		if got := len(r.do("GET", "/connections"+query, "", as("a")).ok().json["connections"].([]any)); got != want {
			t.Errorf("a sees %d connections of %q, want %d", got, query, want)
		}
	}
	for query, want := range map[string]int{"": 2, "?limit=1": 1, "?limit=1&page=1": 1, "?limit=1&page=2": 0, "?connectionId=two": 0} {
		if got := len(r.do("GET", "/connections"+query, "", as("one")).ok().json["connections"].([]any)); got != want {
			t.Errorf("one sees %d connections of %q, want %d", got, query, want)
		}
	}
	r.do("PUT", "/connections/one/credentials?provider_config_key=b", key, as("one")).ok()
	r.do("POST", "/connections", enter("a", "new"), as("a")).is(http.StatusCreated, "")
}

func TestTokensAreChecked(t *testing.T) {
	good := Token{Name: "a", Value: secret.New("value-of-a")}
	for name, tc := range map[string]struct {
		list []Token
		says string
	}{
		"no name":          {[]Token{good, {Value: secret.New("value-of-b")}}, "API token 2"},
		"no value":         {[]Token{{Name: "b"}}, "no value"},
		"a line end":       {[]Token{{Name: "b", Value: secret.New("value-of-b\n")}}, "blank"},
		"an unknown scope": {[]Token{{Name: "b", Value: secret.New("value-of-b"), Scopes: []string{"all"}}}, `unknown scope "all"`},
		"an empty limit":   {[]Token{{Name: "b", Value: secret.New("value-of-b"), Integrations: []string{""}}}, "empty name"},
		"two of a name":    {[]Token{good, {Name: "a", Value: secret.New("value-of-b")}}, "two of this name"},
		"two of a value":   {[]Token{good, {Name: "b", Value: secret.New("value-of-a")}}, "the value of token a"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewTokens(tc.list)
			if err == nil || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "value-of") {
				t.Errorf("got %v, want an error that says %q and no value", err, tc.says)
			}
		})
	}
}

func TestTokensShowNothing(t *testing.T) {
	tokens, err := NewTokens([]Token{{Name: "a", Value: secret.New("value-of-a")}})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer value-of-a")
	tok, refusal := tokens.Authenticate(r)
	if refusal != nil {
		t.Fatal(refusal)
	}
	j, _ := json.Marshal(tok)
	for _, s := range []string{fmt.Sprintf("%v %+v %#v", *tokens, tokens, tokens), fmt.Sprintf("%v %+v %#v", *tok, tok, tok), string(j)} {
		if strings.Contains(s, "value-of-a") {
			t.Errorf("shown: %s", s)
		}
	}
}
