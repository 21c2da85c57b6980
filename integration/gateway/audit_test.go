package gateway

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestTheGatewayAuditsWhoCalledWithWhoseKey looks for the lines of the audit
// log: one for each request when it is on, with the token's name as the caller.
func TestTheGatewayAuditsWhoCalledWithWhoseKey(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{local: true, api: "\t\taudit on\n"})
	r.integration("acme", "")
	r.connection("acme", "cust-1", "key-of-1")
	r.proxy("acme", "cust-1", http.MethodGet, "/users?secret=x", "")
	r.proxy("acme", "cust-2", http.MethodGet, "/users", "")
	r.as("no-token-of-ours", http.MethodGet, "/proxy/users", "", "Provider-Config-Key: acme")
	type line struct {
		Logger, Msg, Caller, Integration, Connection, Method, Path, Outcome string
		Status, KeyVersion                                                  int
	}
	var got []line
	for text := range strings.Lines(r.caddy.Log.String()) {
		var l line
		if json.Unmarshal([]byte(text), &l) == nil && l.Logger == "apikey_inject.audit" && l.Msg == "request" {
			got = append(got, l)
		}
	}
	want := []line{
		{"apikey_inject.audit", "request", "ops", "acme", "cust-1", "GET", "/proxy/users", "injected", 200, 0},
		{"apikey_inject.audit", "request", "ops", "acme", "cust-2", "GET", "/proxy/users", "unknown_connection", 404, 0},
	}
	if len(got) != len(want) {
		t.Fatalf("got %+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %+v, want %+v", got[i], want[i])
		}
	}
	if log := r.caddy.Log.String(); strings.Contains(log, "key-of-1") || strings.Contains(log, ops) {
		t.Error("the log holds a key or a token")
	}
}
