package gateway

// This file holds the figures of the API, of connect sessions, and of the
// catalog.

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
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

func TestFiguresOfTrialsWebhooksAndAlerts(t *testing.T) {
	var slack atomic.Int32
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slack" && slack.Add(1) == 1 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer receiver.Close()
	r := newRig(t, settings{
		local: true, api: "\t\twebhook " + receiver.URL + "/hook {\n\t\t\tsecret {env.HOOK}\n\t\t}\n\t\tslack {env.SLACK}\n",
		env: []string{"HOOK=whsec_c2VjcmV0LW9mLTE2LWJ5dGVz", "SLACK=" + receiver.URL + "/slack"},
	})
	r.up.Answer(func(q *harness.Request) harness.Answer {
		if strings.Contains(strings.Join(q.Values("Authorization"), ""), "wrong") {
			return harness.Text(http.StatusUnauthorized, "no")
		}
		return harness.Text(http.StatusOK, "yes")
	})
	r.api(http.StatusOK, http.MethodPost, "/integrations", strings.TrimSuffix(creating("acme", r.up.URL()), "}")+`, "verification": {"method": "GET", "path": "/me"}}`)
	r.api(http.StatusBadRequest, http.MethodPost, "/connections", entering("acme", "c-1", "wrong"))
	r.connection("acme", "c-1", "right")
	r.up.Answer(func(*harness.Request) harness.Answer { return harness.Text(http.StatusUnauthorized, "no longer") })
	r.proxy("acme", "c-1", http.MethodGet, "/x", "")
	for _, f := range []struct {
		name, labels string
		want         float64
	}{
		{"verifications_total", `integration="acme",result="refused"`, 1},
		{"verifications_total", `integration="acme",result="ok"`, 1},
		{"upstream_auth_failures_total", `action="relayed",integration="acme"`, 1},
		{"webhooks_total", `result="delivered"`, 2}, // made, and refused
		{"alerts_total", `result="failed"`, 1},
		{"alerts_total", `result="delivered"`, 1},
	} {
		deadline := time.Now().Add(30 * time.Second)
		for r.caddy.Metric("caddy_apikey_inject_"+f.name, f.labels) < f.want && time.Now().Before(deadline) {
			time.Sleep(50 * time.Millisecond)
		}
		if got := r.caddy.Metric("caddy_apikey_inject_"+f.name, f.labels); got != f.want {
			t.Errorf("%s{%s} is %v, want %v", f.name, f.labels, got, f.want)
		}
	}
}
