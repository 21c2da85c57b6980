package connect

// This file holds what an end user is told about a key that its upstream was
// asked about.

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// onlyTakes makes the upstream refuse every key but one.
func (r *rig) onlyTakes(key string) {
	r.up.Answer(func(q *harness.Request) harness.Answer {
		if strings.Join(q.Values("Authorization"), "") == "Api-Key "+key {
			return harness.Text(http.StatusOK, "welcome")
		}
		return harness.Text(http.StatusUnauthorized, "who are you?")
	})
}

// verified makes an integration whose keys are tried by GET /me.
func (r *rig) verified(key string) {
	r.t.Helper()
	r.integration(key)
	r.manage(http.StatusOK, http.MethodPatch, "/integrations/"+key, `{"verification": {"path": "/me"}}`)
}

func TestL6AWrongKeyLeavesTheSessionToTheRightOne(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.verified("acme")
	r.onlyTakes("right")
	token := r.session("acme")
	a := r.enters(token, "acme", "wrong").is(t, http.StatusBadRequest, "connection_test_failed")
	if !strings.Contains(a.body, `"path":["apiKey"]`) || !strings.Contains(a.at("error", "message"), "The acme API does not accept this API key") || strings.Contains(a.body, "who are you") {
		t.Errorf("answered %s", a.body)
	}
	if list := r.manage(http.StatusOK, http.MethodGet, "/connections", "").body; strings.Contains(list, "connection_id") {
		t.Errorf("stored: %s", list)
	}
	a = r.enters(token, "acme", " right ").is(t, http.StatusOK, "")
	if a.at("verified") != "true" || a.at("trimmed") != "true" {
		t.Errorf("answered %s", a.body)
	}
	if got := r.arrives("acme", a.at("connectionId")); got != "Api-Key right" {
		t.Errorf("the upstream got %q", got)
	}
	r.enters(token, "acme", "right").is(t, http.StatusUnauthorized, "connect_session_used")
}

func TestL6AKeyOfAnUpstreamThatIsDownIsStored(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.verified("acme")
	r.up.Always(harness.Close())
	a := r.enters(r.session("acme"), "acme", "key-1").is(t, http.StatusOK, "")
	if a.at("verified") != "" {
		t.Errorf("answered %s", a.body)
	}
	if s := r.manage(http.StatusOK, http.MethodGet, "/connections/"+a.at("connectionId")+"?provider_config_key=acme", "").at("status"); s != "unknown" {
		t.Errorf("the status is %s", s)
	}
}

func TestASessionIsNotToGuessKeysWith(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.verified("acme")
	r.onlyTakes("right")
	token := r.session("acme")
	for n := range 20 {
		r.enters(token, "acme", fmt.Sprintf("guess-%d", n)).is(t, http.StatusBadRequest, "connection_test_failed")
	}
	r.up.Forget()
	r.enters(token, "acme", "right").is(t, http.StatusUnauthorized, "connect_session_blocked")
	if n := r.up.Hits(); n != 0 {
		t.Errorf("the upstream was asked %d times more", n)
	}
}

func TestAReconnectWithAWrongKeyLeavesTheFormerOne(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.verified("acme")
	r.onlyTakes("key-1")
	id := r.enters(r.session("acme"), "acme", "key-1").is(t, http.StatusOK, "").at("connectionId")
	token := r.manage(http.StatusCreated, http.MethodPost, "/connect/sessions/reconnect", fmt.Sprintf(`{"connection_id": %q, "integration_id": "acme"}`, id)).at("data", "token")
	r.enters(token, "acme", "wrong").is(t, http.StatusBadRequest, "connection_test_failed")
	if got := r.arrives("acme", id); got != "Api-Key key-1" {
		t.Errorf("the upstream got %q", got)
	}
	r.onlyTakes("key-2")
	r.enters(token, "acme", "key-2").is(t, http.StatusOK, "")
	if got := r.arrives("acme", id); got != "Api-Key key-2" {
		t.Errorf("the upstream got %q", got)
	}
}
