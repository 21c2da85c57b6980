package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func TestMethods(t *testing.T) {
	r := newRig(t)
	for path, allow := range map[string]string{
		"/integrations":              "GET, HEAD, OPTIONS, POST",
		"/integrations/a":            "DELETE, GET, HEAD, OPTIONS, PATCH",
		"/integrations/a/disable":    "OPTIONS, POST",
		"/connections":               "GET, HEAD, OPTIONS, POST",
		"/connections/a":             "DELETE, GET, HEAD, OPTIONS, PATCH",
		"/connections/a/credentials": "OPTIONS, PUT",
		"/connections/metadata":      "OPTIONS, PATCH, POST",
		"/status":                    "GET, HEAD, OPTIONS",
	} {
		for _, method := range []string{"PURGE", "TRACE", "CONNECT"} {
			if got := r.do(method, path, "").is(405, "method_not_allowed").header.Get("Allow"); got != allow {
				t.Errorf("%s %s allows %q, want %q", method, path, got, allow)
			}
		}
		a := r.do("OPTIONS", path, "", func(a *ask) { a.token = "" })
		if a.status != 204 || a.header.Get("Allow") != allow || a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("OPTIONS %s: %d %v", path, a.status, a.header)
		}
	}
	get, head := r.do("GET", "/providers", "").ok(), r.do("HEAD", "/providers", "").ok()
	if get.header.Get("Content-Length") != head.header.Get("Content-Length") || get.header.Get("Content-Length") == "" {
		t.Errorf("GET and HEAD are of %s and %s bytes", get.header.Get("Content-Length"), head.header.Get("Content-Length"))
	}
}

func TestPathsWhereNothingIs(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"/", "/x", "/integrations/", "/integrations/a/b", "/integrations//disable", "//integrations", "/connections/a/b/c", "/Integrations", "/proxy/x", "/integrations/a/enable/"} {
		r.do("GET", path, "").is(404, "not_found")
	}
}

func TestBodiesThatAreNoJSON(t *testing.T) {
	r := newRig(t)
	for name, tc := range map[string]struct {
		body   string
		code   string
		status int
	}{
		"half of one":           {`{"provider":`, "invalid_json", 400},
		"not one":               {`provider=x`, "invalid_json", 400},
		"two":                   {acme + acme, "invalid_json", 400},
		"something behind":      {acme + "x", "invalid_json", 400},
		"blanks":                {"  \n", "invalid_json", 400},
		"a field twice":         {`{"provider":"a","provider":"b"}`, "invalid_json", 400},
		"twice, spelled apart":  {`{"provider":"a","provid\u0065r":"b"}`, "invalid_json", 400},
		"a field twice inside":  {`{"integration_config":{"baseUrl":"a","baseUrl":"b"}}`, "invalid_json", 400},
		"twice in what is kept": {`{"metadata":{"a":{"b":1,"b":2}}}`, "invalid_json", 400},
		"no UTF-8":              {"{\"provider\":\"\xff\"}", "invalid_json", 400},
		"half a character":      {`{"provider":"\ud800"}`, "invalid_json", 400},
		"too deep":              {strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000), "invalid_json", 400},
		"a list":                {`[]`, "invalid_body", 400},
		"null":                  {`null`, "invalid_body", 400},
		"text":                  {`"x"`, "invalid_body", 400},
		"a megabyte and more":   {`{"provider":"` + strings.Repeat("x", maxBody) + `"}`, "request_too_large", 413},
	} {
		t.Run(name, func(t *testing.T) {
			r.do("POST", "/integrations", tc.body).is(tc.status, tc.code)
		})
	}
	r.do("POST", "/integrations", "", with("Content-Type", "application/json")).is(400, "invalid_json")
	r.do("POST", "/integrations", `{"provider":"a","provider":"b"}`).want("The body has a field twice: /provider", "error", "message")
}

func TestOnlyJSONIsRead(t *testing.T) {
	r := newRig(t)
	for _, ct := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx", "json", "application/json, text/plain"} {
		r.do("POST", "/integrations", acme, with("Content-Type", ct)).is(415, "invalid_content_type")
	}
	r.do("POST", "/integrations", acme, with("Content-Type", "Application/JSON; charset=utf-8")).ok()
}

func TestUnknownQueryParameters(t *testing.T) {
	r := newRig(t)
	for _, c := range [][3]string{
		{"GET", "/integrations?x=1", ""},
		{"POST", "/integrations?x=1", acme},
		{"DELETE", "/integrations/a?forse=true", ""},
		{"GET", "/openapi.json?x", ""},
		{"POST", "/integrations/a/disable?x", ""},
		{"DELETE", "/integrations/a?force=yes", ""},
		{"GET", "/connections/a", ""},
		{"GET", "/connections/a?provider_config_key=", ""},
		{"GET", "/connections/a?provider_config_key=a&force_refresh=1", ""},
		{"GET", "/integrations/a?include=all", ""},
	} {
		r.do(c[0], c[1], c[2]).is(400, "invalid_query_params")
	}
	r.do("GET", "/integrations?x=1&y=2", "").want(`["x"]`, "error", "errors", 0, "path").want(`["y"]`, "error", "errors", 1, "path")
	if len(r.ints) > 0 {
		t.Error("one was made")
	}
}

func TestFaultsAreBounded(t *testing.T) {
	r := newRig(t)
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, `"%s%d":1,`, strings.Repeat("x", 150), i)
	}
	a := r.do("POST", "/integrations", "{"+b.String()+strings.TrimPrefix(acme, "{")).is(400, "invalid_body")
	if n := len(a.json["error"].(map[string]any)["errors"].([]any)); n != maxFaults {
		t.Errorf("%d faults", n)
	}
	a = r.do("POST", "/integrations", `{"`+strings.Repeat("é", 10000)+`":1}`).is(400, "invalid_body")
	if n := len(a.at("error", "errors", 0, "message")); n > 300 {
		t.Errorf("a message of %d bytes", n)
	}
}

// everyCall is one good request of each operation that takes a token of the API,
// for connection c of acme.
var everyCall = [][3]string{
	{"GET", "/integrations", ""},
	{"GET", "/integrations/acme", ""},
	{"POST", "/integrations", strings.Replace(acme, "acme", "new", 1)},
	{"PATCH", "/integrations/acme", `{}`},
	{"DELETE", "/integrations/acme?force=true", ""},
	{"POST", "/integrations/acme/confirm_origin", ""},
	{"POST", "/integrations/acme/disable", ""},
	{"POST", "/integrations/acme/enable", ""},
	{"GET", "/connections", ""},
	{"GET", "/connections/c?provider_config_key=acme", ""},
	{"POST", "/connections", enterBody("")},
	{"PATCH", "/connections/c?provider_config_key=acme", `{}`},
	{"DELETE", "/connections/c?provider_config_key=acme", ""},
	{"PUT", "/connections/c/credentials?provider_config_key=acme", `{"apiKey":"` + canary + `"}`},
	{"POST", "/connections/c/disable?provider_config_key=acme", ""},
	{"POST", "/connections/c/enable?provider_config_key=acme", ""},
	{"POST", "/connections/metadata", `{"provider_config_key":"acme","connection_id":"c","metadata":{}}`},
	{"PATCH", "/connections/metadata", `{"provider_config_key":"acme","connection_id":"c","metadata":{}}`},
	{"POST", "/connect/sessions", `{"allowed_integrations":["acme"],"end_user":{"id":"u-1"}}`},
	{"POST", "/connect/sessions/reconnect", `{"connection_id":"c","integration_id":"acme"}`},
	{"GET", "/status", ""},
	{"GET", "/providers", ""},
	{"GET", "/providers/private-api-generic", ""},
	{"GET", "/token", ""},
	{"GET", "/openapi.json", ""},
}

func TestEveryCallIsInTheList(t *testing.T) {
	n := 0
	for _, o := range operations() {
		if !o.bySession {
			n++
		}
	}
	if len(everyCall) != n {
		t.Errorf("%d calls for %d operations", len(everyCall), n)
	}
}

func TestAnOutageIsTold(t *testing.T) {
	for name, tc := range map[string]struct {
		catalog, store error
		status         int
		code, after    string
	}{
		"the catalog is away":      {catalog.ErrUnavailable, nil, 503, "catalog_unavailable", "5"},
		"the store is away":        {nil, store.ErrUnavailable, 503, "key_store_unavailable", "5"},
		"the store refuses us":     {nil, store.ErrRefused, 503, "key_store_unavailable", "5"},
		"the store's policy does":  {nil, store.ErrDenied, 503, "key_store_unavailable", "5"},
		"the store is none":        {nil, store.ErrMisconfigured, 503, "key_store_unavailable", "5"},
		"the store asks to wait":   {nil, &store.ThrottledError{After: 90500 * time.Millisecond}, 503, "key_store_unavailable", "91"},
		"the store has another":    {nil, store.ErrConflict, 409, "conflict", ""},
		"the caller has left":      {context.Canceled, nil, 503, "timeout", "5"},
		"something else is broken": {errors.New("secret canary-9f31c0d27b of db.internal"), nil, 500, "server_error", ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, c := range everyCall {
				r := newRig(t)
				r.integration("acme")
				r.connection("acme", "c")
				r.down, r.keyDown = tc.catalog, tc.store
				entersKey := strings.HasSuffix(c[1], "/credentials?provider_config_key=acme") || c[0]+c[1] == "POST/connections" || c[0]+c[1] == "DELETE/connections/c?provider_config_key=acme"
				rec := r.quiet(c[0], c[1], c[2], full)
				body := rec.Body.String()
				if tc.store != nil && !entersKey || strings.HasPrefix(c[1], "/providers") || c[1] == "/openapi.json" || c[1] == "/token" {
					if rec.Code >= 300 {
						t.Errorf("%s %s: %d %s", c[0], c[1], rec.Code, body)
					}
					continue
				}
				if rec.Code != tc.status || !strings.Contains(body, `"`+tc.code+`"`) || rec.Header().Get("Retry-After") != tc.after {
					t.Errorf("%s %s: %d %s, Retry-After %q", c[0], c[1], rec.Code, body, rec.Header().Get("Retry-After"))
				}
				if strings.Contains(body, "internal") || strings.Contains(body, canary) {
					t.Errorf("%s %s tells of the inside: %s", c[0], c[1], body)
				}
			}
		})
	}
}

func TestTheLogSaysWhy(t *testing.T) {
	r := newRig(t)
	var b strings.Builder
	r.api.cfg.Log = slog.New(slog.NewTextHandler(&b, nil))
	r.down = catalog.ErrUnavailable
	r.do("GET", "/integrations", "").is(503, "catalog_unavailable")
	if !strings.Contains(b.String(), "db.internal") || !strings.Contains(b.String(), "listIntegrations") {
		t.Errorf("logged: %s", b.String())
	}
	b.Reset()
	r.down = context.Canceled
	r.do("GET", "/integrations", "")
	r.down = nil
	r.do("GET", "/integrations/zzz", "")
	if b.Len() > 0 {
		t.Errorf("logged: %s", b.String())
	}
}

func TestAnswersAreNotForPages(t *testing.T) {
	a := newRig(t).do("GET", "/providers", "").ok()
	if a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("got %v", a.header)
	}
}

// PostgreSQL refuses them, which would look like a catalog that is away.
func TestTextThatNoDatabaseTakes(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	for _, odd := range []string{"%ff", "%00", "a%00b", "%c0%ae", "%ed%a0%80"} {
		for _, query := range []string{
			"connections?search=", "connections?connectionId=", "connections?endUserId=", "connections?endUserOrganizationId=",
			"connections?integrationId=acme,", "connections?tags[a]=", "connections/c?provider_config_key=", "status?integration=",
		} {
			r.do("GET", "/"+query+odd, "").is(http.StatusBadRequest, "invalid_query_params")
		}
		r.do("GET", "/connections?tags["+odd+"]=x", "").is(http.StatusBadRequest, "invalid_query_params")
		for _, c := range [][2]string{{"GET", ""}, {"DELETE", ""}, {"POST", "/disable"}, {"POST", "/confirm_origin"}} {
			r.do(c[0], "/integrations/"+odd+c[1], "").is(http.StatusBadRequest, "invalid_uri_params")
		}
		r.do("GET", "/connections/"+odd+"?provider_config_key=acme", "").is(http.StatusBadRequest, "invalid_uri_params")
		r.do("GET", "/providers/"+odd, "").is(http.StatusBadRequest, "invalid_uri_params")
	}
	for target, body := range map[string]string{
		"/connections":                `{"provider_config_key":"a\u0000","credentials":{"type":"API_KEY","apiKey":"` + canary + `"}}`,
		"/connections/metadata":       `{"provider_config_key":"a\u0000","connection_id":"c","metadata":{}}`,
		"/connect/sessions/reconnect": `{"integration_id":"a\u0000","connection_id":"c"}`,
		"/connect/sessions":           `{"tags":{"a":"b"},"allowed_integrations":["a\u0000"]}`,
	} {
		r.do("POST", target, body).is(http.StatusBadRequest, "invalid_body")
	}
}

func TestPathsOfTheAPI(t *testing.T) {
	r := newRig(t)
	for path, want := range map[string]bool{"/integrations": true, "/connections/x": true, "/proxy/x": false, "/": false, "/integrations/": false} {
		a := r.do("OPTIONS", path, "")
		if got := a.status == http.StatusNoContent; got != want || !want && a.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}
