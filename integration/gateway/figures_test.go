package gateway

// This file holds the figures of the API, of connect sessions, and of the
// catalog.

import (
	"net/http"
	"testing"
)

func TestFiguresOfTheAPIAndTheCatalog(t *testing.T) {
	r := newRig(t, settings{local: true, api: "\t\tconnect_url http://127.0.0.1:1/\n"})
	r.integration("acme", "")
	r.connection("acme", "customer-7", "key-7")
	r.api(http.StatusNotFound, http.MethodGet, "/connections/nobody?provider_config_key=acme", "")
	r.api(http.StatusNotFound, http.MethodGet, "/nothing/here", "")
	if a := r.proxy("acme", "customer-7", http.MethodGet, "/x", ""); a.status != http.StatusOK {
		t.Fatal(a.status, a.body)
	}
	made := r.api(http.StatusCreated, http.MethodPost, "/connect/sessions", `{"allowed_integrations": ["acme"], "end_user": {"id": "u-7"}}`)
	token, _ := made.json(t)["data"].(map[string]any)["token"].(string)
	enter := func(status int, token string) {
		t.Helper()
		if a := r.as(token, http.MethodPost, "/api-auth/api-key/acme", `{"apiKey": "key-8"}`); a.status != status {
			t.Fatalf("%d %s, want %d", a.status, a.body, status)
		}
	}
	enter(http.StatusOK, token)
	enter(http.StatusUnauthorized, token)
	enter(http.StatusUnauthorized, "nango_connect_session_made-up")
	for _, f := range []struct {
		name, labels string
		want         float64
	}{
		{"api_requests_total", `class="2xx",operation="createIntegration"`, 1},
		{"api_requests_total", `class="2xx",operation="importConnection"`, 1},
		{"api_requests_total", `class="4xx",operation="getConnection"`, 1},
		{"api_requests_total", `class="4xx",operation="none"`, 1},
		{"api_requests_total", `class="2xx",operation="enterKey"`, 1},
		{"api_requests_total", `class="4xx",operation="enterKey"`, 2},
		{"connect_sessions_total", `event="made"`, 1},
		{"connect_sessions_total", `event="used"`, 1},
		{"connect_sessions_total", `event="refused"`, 2},
		{"requests_total", `integration="acme",outcome="injected"`, 1},
		{"catalog_up", "", 1},
		{"catalog_connections", "", 2},
	} {
		if got := r.caddy.Metric("caddy_apikey_inject_"+f.name, f.labels); got != f.want {
			t.Errorf("%s{%s} is %v, want %v", f.name, f.labels, got, f.want)
		}
	}
	for _, op := range []string{"read", "write"} {
		n := r.caddy.Metric("caddy_apikey_inject_catalog_queries_total", `op="`+op+`",result="ok"`)
		if n < 2 {
			t.Errorf("%v questions of kind %s", n, op)
		}
		if timed := r.caddy.Metric("caddy_apikey_inject_catalog_query_seconds_count", `op="`+op+`"`); timed < n {
			t.Errorf("%v of %v questions of kind %s are timed", timed, n, op)
		}
	}
}
