package api

// This file holds how tests ask the API and look at its answers. Every answer
// is held against the OpenAPI document and searched for keys.

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/session"
)

// canary is the key that tests enter, and that nothing may show.
const canary = "canary-9f31c0d27b"

// full is the value of the token that may do everything.
const full = "full-token-0001"

// start is when tests begin.
var start = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// rig is an API over a fake.
type rig struct {
	*fake
	t     testing.TB
	api   *API
	clock time.Time
	audit []AuditEntry
}

func newRig(t testing.TB, tokens ...Token) *rig {
	t.Helper()
	r := &rig{t: t, clock: start}
	r.fake = newFake(func() time.Time { return r.clock })
	list, err := NewTokens(append([]Token{{Name: "ops", Value: secret.New(full)}}, tokens...))
	if err != nil {
		t.Fatal(err)
	}
	r.static = []*catalog.Integration{{
		UniqueKey: "fixed", Provider: generic, DisplayName: "Fixed", BaseURL: "https://fixed.example", KeyPlacement: "header",
		KeyName: "X-Api-Key", ValueTemplate: "${apiKey}", KeyLabel: "API Key",
	}}
	r.api = New(r.config(list))
	return r
}

func (r *rig) config(tokens *Tokens) Config {
	return Config{
		Catalog: r.fake, Keys: r.fake, Static: config{r.fake}, Status: health{r.fake}, Tokens: tokens,
		Sessions: session.New(r.fake, func() time.Time { return r.clock }), ConnectURL: "https://connect.example",
		Now:   func() time.Time { return r.clock },
		Audit: func(e AuditEntry) { r.audit = append(r.audit, e) },
	}
}

// limited is a token with scopes; its value is its name, made long.
func limited(name string, scopes ...string) Token {
	return Token{Name: name, Value: secret.New(name + "-token-0002"), Scopes: scopes}
}

// ask is a request before it is sent.
type ask struct {
	token  string // default: full
	header http.Header
}

// as sends a token of [limited].
func as(name string) func(*ask) { return func(a *ask) { a.token = name + "-token-0002" } }

// with sends a header, or with an empty value none of that name.
func with(name, value string) func(*ask) {
	return func(a *ask) {
		a.header.Set(name, value)
		if value == "" {
			a.header.Del(name)
		}
	}
}

// answer is what came back.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
	json   map[string]any
}

// do sends a request. body is JSON, or empty for none.
func (r *rig) do(method, target, body string, opts ...func(*ask)) *answer {
	r.t.Helper()
	a := &ask{token: full, header: http.Header{}}
	if body != "" {
		a.header.Set("Content-Type", "application/json")
	}
	for _, o := range opts {
		o(a)
	}
	if a.token != "" && a.header.Get("Authorization") == "" {
		a.header.Set("Authorization", "Bearer "+a.token)
	}
	request := func() *http.Request {
		var in io.Reader
		if body != "" {
			in = strings.NewReader(body)
		}
		req := httptest.NewRequest(method, target, in)
		req.Header = a.header.Clone()
		return req
	}
	rec := httptest.NewRecorder()
	r.api.ServeHTTP(rec, request())
	res := rec.Result()
	out := &answer{t: r.t, status: res.StatusCode, header: res.Header, body: rec.Body.Bytes()}
	if len(out.body) > 0 && json.Unmarshal(out.body, &out.json) != nil {
		r.t.Errorf("%s %s: the answer is no JSON object: %s", method, target, out.body)
	}
	r.look(method+" "+target, out)
	if method != http.MethodOptions && method != http.MethodHead && len(find(operations(), r.api.segments(request()))) > 0 && out.status != http.StatusMethodNotAllowed {
		r.compare(request(), res, out)
	}
	return out
}

// look finds in an answer what must never be in one, and what must be in all.
func (r *rig) look(what string, a *answer) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	hidden := slices.AppendSeq([]string{canary, full, "-token-0002", "vault.internal", "db.internal"}, maps.Values(r.keys))
	for _, h := range hidden {
		for _, form := range []string{h, base64.StdEncoding.EncodeToString([]byte(h)), url.QueryEscape(h)} {
			if strings.Contains(string(a.body), form) || strings.Contains(headers(a.header), form) {
				r.t.Errorf("%s: %q is in the answer", what, form)
			}
		}
	}
	if a.header.Get("Cache-Control") != "no-store" {
		r.t.Errorf("%s: Cache-Control is %q", what, a.header.Get("Cache-Control"))
	}
}

func headers(h http.Header) string {
	var b strings.Builder
	_ = h.Write(&b)
	return b.String()
}

// reader returns the OpenAPI document, as a tool reads it.
var reader = sync.OnceValues(func() (validator.Validator, error) {
	doc, err := libopenapi.NewDocument(document())
	if err != nil {
		return nil, err
	}
	v, errs := validator.NewValidator(doc)
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return v, nil
})

// compare holds an exchange against the document: every answer must be one that
// it promises, and a request that is obeyed one that it allows.
func (r *rig) compare(req *http.Request, res *http.Response, a *answer) {
	r.t.Helper()
	v, err := reader()
	if err != nil {
		r.t.Fatal(err)
	}
	res.Body = io.NopCloser(strings.NewReader(string(a.body)))
	if ok, errs := v.ValidateHttpResponse(req, res); !ok {
		r.t.Errorf("%s %s: the document knows no such answer: %v\n%s", req.Method, req.URL, errs[0], a.body)
	}
	if a.status >= 300 {
		return
	}
	if ok, errs := v.ValidateHttpRequest(req); !ok {
		r.t.Errorf("%s %s: obeyed, and the document forbids it: %v", req.Method, req.URL, errs[0])
	}
}

// is asserts the status, and of a refusal the code.
func (a *answer) is(status int, code string) *answer {
	a.t.Helper()
	if a.status != status || a.at("error", "code") != code && code != "" {
		a.t.Fatalf("got %d, want %d %s: %s", a.status, status, code, a.body)
	}
	return a
}

// ok asserts 200.
func (a *answer) ok() *answer {
	a.t.Helper()
	return a.is(http.StatusOK, "")
}

// at returns the text at a path of the answer, empty for none. Numbers and the
// like are written as JSON.
func (a *answer) at(path ...any) string {
	a.t.Helper()
	var v any = a.json
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			list, _ := v.([]any)
			if p >= len(list) {
				return ""
			}
			v = list[p]
		}
	}
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// want asserts what stands at a path.
func (a *answer) want(text string, path ...any) *answer {
	a.t.Helper()
	if got := a.at(path...); got != text {
		a.t.Errorf("%v is %q, want %q: %s", path, got, text, a.body)
	}
	return a
}

// faults returns the faults of a refusal: "message @ path".
func (a *answer) faults() map[string]bool {
	found := map[string]bool{}
	list, _ := a.json["error"].(map[string]any)["errors"].([]any)
	for _, f := range list {
		m := f.(map[string]any)
		path, _ := json.Marshal(m["path"])
		found[m["message"].(string)+" @ "+string(path)] = true
	}
	return found
}

const acme = `{"provider":"private-api-generic","unique_key":"acme","integration_config":{"baseUrl":"https://api.acme.example/v1","keyName":"Authorization","valueTemplate":"Api-Key ${apiKey}","keyLabel":"Acme key"}}`

// integration makes an integration.
func (r *rig) integration(key string) *answer {
	r.t.Helper()
	return r.do("POST", "/integrations", strings.Replace(acme, `"acme"`, `"`+key+`"`, 1)).ok()
}

// connection makes a connection of an integration, with the canary.
func (r *rig) connection(integration, id string) *answer {
	r.t.Helper()
	body, _ := json.Marshal(map[string]any{
		"provider_config_key": integration, "connection_id": id, "credentials": map[string]string{"type": "API_KEY", "apiKey": canary},
	})
	return r.do("POST", "/connections", string(body)).is(http.StatusCreated, "")
}

// quiet sends a request and looks at nothing.
func (r *rig) quiet(method, target, body, token string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	rec := httptest.NewRecorder()
	r.api.ServeHTTP(rec, req)
	return rec
}
