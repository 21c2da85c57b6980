package connect

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/pgtest"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/session"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

func TestAKeyThatIsEnteredIsUsedAndNowhereElse(t *testing.T) {
	t.Parallel()
	const canary = "canary-4be1c7d09f"
	r := newRig(t)
	r.integration("acme")
	made := r.manage(http.StatusCreated, http.MethodPost, "/connect/sessions", `{"allowed_integrations": ["acme"], "end_user": {"id": "u-1"}}`)
	token := made.at("data", "token")
	if link := made.at("data", "connect_link"); link != fmt.Sprintf("http://127.0.0.1:%d/#session_token=%s", r.site, token) {
		t.Errorf("the link is %s", link)
	}
	answers := []*reply{
		r.send(r.site, token, http.MethodGet, "/connect/session", "").is(t, http.StatusOK, ""),
		r.send(r.site, token, http.MethodGet, "/integrations/acme", "").is(t, http.StatusOK, ""),
		r.send(r.site, token, http.MethodGet, "/connect/session?connect_session_token="+token, "").is(t, http.StatusBadRequest, "invalid_query_params"),
		r.enters(token, "acme", canary+"\x00").is(t, http.StatusBadRequest, "invalid_body"),
		r.enters(token, "acme", canary).is(t, http.StatusOK, ""),
		r.enters(token, "acme", canary).is(t, http.StatusUnauthorized, "connect_session_used"),
		r.send(r.api, "", http.MethodPost, "/%61pi-auth/api-key/acme?connect_session_token="+token, `{"apiKey": "`+canary+`"}`).is(t, http.StatusUnauthorized, "connect_session_used"),
		r.send(r.site, "", http.MethodGet, "/?session_token="+token, ""),
		r.send(r.site, "", http.MethodGet, "/integrations?connect_session%5Ftoken="+token, ""),
		r.send(r.site, "", http.MethodGet, "/integrations?connect_session%5Ftoken="+token+"&%", ""),
		r.send(r.site, "", http.MethodGet, "/?lang=de&session%5Ftoken="+token, ""),
		r.send(r.site, "", http.MethodGet, "/?%73ession_toke%6e="+token+"&x=%zz", ""),
	}
	id := answers[4].at("connectionId")
	if got := r.arrives("acme", id); got != "Api-Key "+canary {
		t.Errorf("the upstream got %q", got)
	}
	for _, a := range answers {
		if strings.Contains(a.body, canary) || strings.Contains(a.body, token) {
			t.Errorf("answered %s", a.body)
		}
	}
	if audit := r.caddy.Log.Entries("apikey_inject.audit", `"session.connect"`, id, `"status":200`); len(audit) != 1 {
		t.Errorf("%d audit lines: %v", len(audit), audit)
	}
	r.caddy.Stop()
	log := r.caddy.Log.String()
	if n := len(r.caddy.Log.Entries("http.log.access", "/integrations")); n == 0 {
		t.Error("there is no access log to look at")
	}
	for _, hidden := range []string{canary, token, strings.TrimPrefix(token, session.Prefix)[20:60]} {
		if strings.Contains(log, hidden) {
			t.Errorf("the log holds %s", hidden)
		}
	}
}

func TestI10ASessionThatIsUsedExpiredOrForAnotherIntegrationIsRefused(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	r := startRig(t, vaulttest.Start(t), harness.NewUpstream(t, nil), setting{catalog: url})
	r.integration("acme")
	r.integration("other")
	token := r.session("acme")
	r.enters(token, "other", "key-1").is(t, http.StatusBadRequest, "integration_not_allowed")
	r.enters(token, "acme", "key-1").is(t, http.StatusOK, "")
	r.enters(token, "acme", "key-2").is(t, http.StatusUnauthorized, "connect_session_used")

	db, err := catalog.Open(t.Context(), catalog.Config{Driver: "postgres", URL: secret.New(url)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	past := session.New(db, func() time.Time { return time.Now().Add(-session.Lifetime) })
	old, err := past.Seal(t.Context(), &session.Session{Integrations: []string{"acme"}, Connection: "c-old"})
	if err != nil {
		t.Fatal(err)
	}
	r.enters(old, "acme", "key-3").is(t, http.StatusUnauthorized, "connect_session_expired")
	r.send(r.site, old, http.MethodGet, "/connect/session", "").is(t, http.StatusUnauthorized, "connect_session_expired")
	if list := r.manage(http.StatusOK, http.MethodGet, "/connections", "").body; strings.Count(list, `"connection_id"`) != 1 {
		t.Errorf("there are %s", list)
	}
}

func TestL2ASessionStaysUsedWhenItsConnectionIsDeleted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.integration("acme")
	token := r.session("acme")
	id := r.enters(token, "acme", "key-1").is(t, http.StatusOK, "").at("connectionId")
	r.manage(http.StatusOK, http.MethodDelete, "/connections/"+id+"?provider_config_key=acme", "")
	r.enters(token, "acme", "key-1").is(t, http.StatusUnauthorized, "connect_session_used")
}

func TestL5WhatIsAroundAKeyIsTakenOffAndWhatIsInsideRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.integration("acme")
	token := r.session("acme")
	r.enters(token, "acme", "key\twith a tab").is(t, http.StatusBadRequest, "invalid_body")
	a := r.enters(token, "acme", "\n  key-1 \r\n").is(t, http.StatusOK, "")
	if a.at("trimmed") != "true" {
		t.Errorf("does not say so: %s", a.body)
	}
	if got := r.arrives("acme", a.at("connectionId")); got != "Api-Key key-1" {
		t.Errorf("the upstream got %q", got)
	}
}

func TestReconnectEntersAnotherKeyForTheConnection(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.integration("acme")
	r.manage(http.StatusCreated, http.MethodPost, "/connections", `{"provider_config_key": "acme", "connection_id": "c-1", "credentials": {"type": "API_KEY", "apiKey": "key-1"}, "metadata": {"m": 1}, "tags": {"team": "blue"}}`)
	if got := r.arrives("acme", "c-1"); got != "Api-Key key-1" {
		t.Errorf("before: %q", got)
	}
	token := r.manage(http.StatusCreated, http.MethodPost, "/connect/sessions/reconnect", `{"connection_id": "c-1", "integration_id": "acme"}`).at("data", "token")
	r.enters(token, "acme", "key-2").is(t, http.StatusOK, "")
	if got := r.arrives("acme", "c-1"); got != "Api-Key key-2" {
		t.Errorf("after: %q", got)
	}
	if a := r.manage(http.StatusOK, http.MethodGet, "/connections/c-1?provider_config_key=acme", ""); a.at("metadata", "m") != "1" || a.at("tags", "team") != "blue" {
		t.Errorf("left: %s", a.body)
	}
}

func TestASealedVaultDoesNotUseASession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.integration("acme")
	token := r.session("acme")
	r.vault.Seal()
	r.enters(token, "acme", "key-1").is(t, http.StatusServiceUnavailable, "key_store_unavailable")
	r.vault.Unseal()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(30 * time.Second)
	a := r.enters(token, "acme", "key-1")
	for ; a.status == http.StatusServiceUnavailable && time.Now().Before(deadline); <-tick.C {
		a = r.enters(token, "acme", "key-1")
	}
	if got := r.arrives("acme", a.is(t, http.StatusOK, "").at("connectionId")); got != "Api-Key key-1" {
		t.Errorf("the upstream got %q", got)
	}
}

func TestNoManagementPathAnswersOnTheSite(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.integration("acme")
	token := r.session("acme")
	for _, bearer := range []string{"", ops, token} {
		for _, c := range [][2]string{
			{"GET", "/connections"},
			{"POST", "/connections"},
			{"GET", "/connections/c?provider_config_key=acme"},
			{"PUT", "/connections/c/credentials"},
			{"POST", "/connections/metadata"},
			{"POST", "/connect/sessions"},
			{"POST", "/connect/sessions/reconnect"},
			{"GET", "/status"},
			{"GET", "/providers"},
			{"GET", "/openapi.json"},
			{"POST", "/integrations/acme/confirm_origin"},
			{"POST", "/integrations/acme/disable"},
			{"GET", "/proxy/x"},
			{"GET", "/config/"},
			{"GET", "/.env"},
			{"GET", "/assets/"},
			{"GET", "/assets/zzz.js"},
			{"GET", "/index.html"},
		} {
			r.send(r.site, bearer, c[0], c[1], "").is(t, http.StatusNotFound, "not_found")
		}
		for _, c := range [][2]string{{"POST", "/integrations"}, {"PATCH", "/integrations/acme"}, {"DELETE", "/integrations/acme"}} {
			r.send(r.site, bearer, c[0], c[1], "{}").is(t, http.StatusMethodNotAllowed, "method_not_allowed")
		}
	}
	r.send(r.site, ops, http.MethodGet, "/integrations", "").is(t, http.StatusUnauthorized, "unknown_connect_session_token")
}

// CASES.md L3: a foreign origin.
func TestL3OnlyPagesOfAllowedOriginsMayUseTheSite(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.integration("acme")
	token := r.session("acme")
	preflight := func(origin string) *reply {
		return r.send(r.site, "", http.MethodOptions, "/api-auth/api-key/acme?connect_session_token="+token, "",
			"Origin: "+origin, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")
	}
	a := preflight(app)
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": app, "Access-Control-Allow-Methods": "GET, POST, DELETE", "Access-Control-Allow-Headers": "Authorization, Content-Type",
		"Access-Control-Allow-Credentials": "", "Vary": "Origin",
	} {
		if got := strings.Join(a.header.Values(name), "|"); a.status != http.StatusNoContent || got != want {
			t.Errorf("%d %s: %q, want %q", a.status, name, got, want)
		}
	}
	for _, origin := range []string{"https://app.example:8443", "http://app.example", "https://evil.example", "https://app.example.evil.example", "null"} {
		for _, a := range []*reply{preflight(origin), r.send(r.site, token, http.MethodGet, "/connect/session", "", "Origin: "+origin)} {
			if got := a.header.Get("Access-Control-Allow-Origin"); got != "" || a.header.Get("Vary") != "Origin" {
				t.Errorf("%s may read: %q", origin, got)
			}
		}
	}
	if a := r.send(r.site, token, http.MethodGet, "/connect/session", "", "Origin: "+app, "Origin: https://evil.example"); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a page of two origins may read: %v", a.header)
	}
	if a := r.enters(token, "acme", "key-1", "Origin: "+app).is(t, http.StatusOK, ""); a.header.Get("Access-Control-Allow-Origin") != app {
		t.Errorf("the page cannot read the answer: %v", a.header)
	}
}

func TestBrowsersAreToldWhatTheyMayDo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, path := range []string{"/", "/connect/session", "/zzz"} {
		h := r.send(r.site, "", http.MethodGet, path, "").header
		for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "X-Frame-Options": ""} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		if got := h.Get("Content-Security-Policy"); got != sitePolicy+app {
			t.Errorf("%s: the policy is %s", path, got)
		}
	}
}

// sitePolicy is the policy of the site, but for who may show it.
const sitePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors "

// CASES.md L3: without a word of the operator every page is a foreign one.
func TestL3NobodyShowsOrUsesASiteThatNamesNobody(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, setting{alone: true})
	r.integration("acme")
	token := r.session("acme")
	h := r.send(r.site, "", http.MethodGet, "/", "").header
	if policy, older := h.Get("Content-Security-Policy"), h.Get("X-Frame-Options"); policy != sitePolicy+"'none'" || older != "DENY" {
		t.Errorf("the policy is %s, and for older browsers %q", policy, older)
	}
	for _, origin := range []string{app, "null", r.siteURL()} {
		if got := r.send(r.site, token, http.MethodGet, "/connect/session", "", "Origin: "+origin).header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s may read: %q", origin, got)
		}
	}
}
