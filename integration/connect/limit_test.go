package connect

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
)

func TestAnAddressThatFailsTooOftenIsRefused(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, setting{
		global: "\tservers {\n\t\ttrusted_proxies static 127.0.0.1\n\t}\n", site: "\t\tfailures 3 1h\n",
	})
	r.integration("acme")
	token := r.session("acme")
	from := func(addr string) string { return "X-Forwarded-For: " + addr }
	r.send(r.site, token, http.MethodGet, "/zzz", "", from("2001:db8:0:1::1")).is(t, http.StatusNotFound, "not_found") // is no try
	r.send(r.site, token, http.MethodPatch, "/integrations/acme", "{}", from("2001:db8:0:1::1")).is(t, http.StatusMethodNotAllowed, "method_not_allowed")
	for n := range 3 {
		r.send(r.site, "made-up", http.MethodGet, "/connect/session", "", from(fmt.Sprintf("2001:db8:0:1::%d", n))).is(t, http.StatusUnauthorized, "unknown_connect_session_token")
	}
	const line = "2001:db8:0:1::4"
	a := r.enters(token, "acme", "key-1", from(line), "Origin: "+app).is(t, http.StatusTooManyRequests, "too_many_failures")
	if after, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || after < 1000 || after > 1200 || a.header.Get("Access-Control-Allow-Origin") != app {
		t.Errorf("answered %v", a.header)
	}
	r.send(r.site, token, http.MethodGet, "/connect/session", "", from(line)).is(t, http.StatusTooManyRequests, "too_many_failures")
	r.send(r.site, "", http.MethodGet, "/", "", from(line)).is(t, http.StatusOK, "") // which says why
	if n := len(r.caddy.Log.Entries("http.handlers.apikey_inject_connect", `"2001:db8:0:1::/64"`)); n != 1 {
		t.Errorf("the log has %d lines of it", n)
	}

	r.send(r.site, token, http.MethodGet, "/connect/session", "", from("2001:db8:0:2::1")).is(t, http.StatusOK, "")
	id := r.enters(token, "acme", "key-1", from("192.0.2.1")).is(t, http.StatusOK, "").at("connectionId")
	if got := r.arrives("acme", id); got != "Api-Key key-1" {
		t.Errorf("the upstream got %q", got)
	}
}

// The API's own site takes keys with the token of a session as well.
func TestAnAddressThatFailsTooOftenIsRefusedByTheAPIToo(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, setting{
		global: "\tservers {\n\t\ttrusted_proxies static 127.0.0.1\n\t}\n", api: "\t\tfailures 3 1h\n",
	})
	r.integration("acme")
	token := r.session("acme")
	const line, other = "X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 192.0.2.2"
	enters := func(token, from string) *reply {
		return r.send(r.api, "", http.MethodPost, "/api-auth/api-key/acme?connect_session_token="+token, `{"apiKey": "key-1"}`, from)
	}
	for range 5 {
		r.send(r.api, "no-token-of-the-api", http.MethodGet, "/integrations", "", line).is(t, http.StatusUnauthorized, "unknown_account") // is not counted
	}
	r.send(r.api, "made-up", http.MethodGet, "/connect/session", "", line).is(t, http.StatusUnauthorized, "unknown_connect_session_token")
	for range 2 {
		enters("made-up", line).is(t, http.StatusUnauthorized, "unknown_connect_session_token")
	}
	a := enters(token, line).is(t, http.StatusTooManyRequests, "too_many_failures")
	if after, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || after < 1000 || after > 1200 {
		t.Errorf("answered %v", a.header)
	}
	r.send(r.api, token, http.MethodGet, "/connect/session", "", line).is(t, http.StatusTooManyRequests, "too_many_failures")
	r.send(r.api, ops, http.MethodGet, "/integrations", "", line).is(t, http.StatusOK, "") // who has a token of the API is no guesser
	r.send(r.site, token, http.MethodGet, "/connect/session", "", line).is(t, http.StatusOK, "")
	if n := len(r.caddy.Log.Entries("http.handlers.apikey_inject_api", `"192.0.2.1/32"`)); n != 1 {
		t.Errorf("the log has %d lines of it", n)
	}
	id := enters(token, other).is(t, http.StatusOK, "").at("connectionId")
	if got := r.arrives("acme", id); got != "Api-Key key-1" {
		t.Errorf("the upstream got %q", got)
	}
}

// A page that somebody opens could otherwise have its browser fail until the
// Connect page is refused, too.
func TestPagesOfOthersDoNotSpendTheFailuresOfTheirVisitors(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, setting{site: "\t\tfailures 2 1h\n"})
	r.integration("acme")
	token := r.session("acme")
	for _, lines := range [][]string{
		{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Origin: https://evil.example"},
		{"Sec-Fetch-Site: same-site", "Origin: null"},
		{"Sec-Fetch-Site: cross-site"}, // a picture
	} {
		r.send(r.site, "", http.MethodPost, "/api-auth/api-key/acme?connect_session_token=made-up", "x", lines...).is(t, http.StatusForbidden, "forbidden")
	}
	r.send(r.site, "", http.MethodGet, "/connect/session", "", "Sec-Fetch-Site: cross-site", "Origin: "+app).is(t, http.StatusUnauthorized, "missing_auth_header")
	r.send(r.site, token, http.MethodGet, "/connect/session", "", "Sec-Fetch-Site: same-origin").is(t, http.StatusOK, "")
	r.enters(token, "acme", "key-1", "Sec-Fetch-Site: cross-site", "Origin: "+app).is(t, http.StatusOK, "")
}

// An outage is nobody's failure.
func TestAnOutageCountsForNoAddress(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, setting{site: "\t\tfailures 1 1h\n"})
	r.integration("acme")
	token := r.session("acme")
	r.vault.Seal()
	for range 3 {
		r.enters(token, "acme", "key-1").is(t, http.StatusServiceUnavailable, "key_store_unavailable")
	}
}
