package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func TestAnIntegrationIsMadeAndRead(t *testing.T) {
	r := newRig(t)
	made := r.integration("acme")
	read := r.do("GET", "/integrations/acme", "").ok()
	if string(made.body) != string(read.body) {
		t.Errorf("made %s, read %s", made.body, read.body)
	}
	if made.header.Get("ETag") == "" || made.header.Get("ETag") != read.header.Get("ETag") {
		t.Errorf("tags %q, %q", made.header.Get("ETag"), read.header.Get("ETag"))
	}
	for path, want := range map[string]string{
		"unique_key": "acme", "provider": generic, "display_name": "acme", "logo": "", "forward_webhooks": "true",
		"created_at": "2026-05-01T12:00:00.000Z", "credentials_label": `{"apiKey":"Acme key"}`, "disabled": "false", "source": "api",
		"integration_config": `{"baseUrl":"https://api.acme.example/v1","keyLabel":"Acme key","keyName":"Authorization","keyPlacement":"header","valueTemplate":"Api-Key ${apiKey}"}`,
	} {
		read.want(want, "data", path)
	}
	r.do("GET", "/integrations", "").ok().want("acme", "data", 0, "unique_key").want("fixed", "data", 1, "unique_key").want("config", "data", 1, "source")
}

func TestDefaultsOfAnIntegration(t *testing.T) {
	r := newRig(t)
	r.do("POST", "/integrations", `{"provider":"private-api-generic","unique_key":"a","integration_config":{"baseUrl":"https://a.example","keyName":"X-Key","keyPlacement":"","valueTemplate":"","keyLabel":""}}`).ok().
		want("header", "data", "integration_config", "keyPlacement").
		want("${apiKey}", "data", "integration_config", "valueTemplate").
		want("API Key", "data", "credentials_label", "apiKey")
	r.do("POST", "/integrations", `{"provider":"private-api-bearer","unique_key":"b","integration_config":{"baseUrl":"https://b.example"}}`).ok().
		want("Authorization", "data", "integration_config", "keyName").
		want("Bearer ${apiKey}", "data", "integration_config", "valueTemplate")
}

func TestEveryFieldOfAnIntegration(t *testing.T) {
	r := newRig(t)
	r.do("POST", "/integrations", `{"provider":"private-api-generic","unique_key":"a: b@c.d~e","display_name":"A","forward_webhooks":true,"disabled":true,"max_age":"90d","refused_statuses":[401,403],"refused_after":3,
		"connect":{"help_text":"two\nlines","help_url":"https://h.example/x","logo_url":"https://h.example/l.png"},
		"verification":{"method":"HEAD","path":"/me?x=1","headers":{"Accept":"text/plain"},"success":[200,403]},
		"integration_config":{"baseUrl":"https://a.example","keyName":"key","keyPlacement":"query"}}`).ok().
		want(queryWarning, "warnings", 0).want("90d", "data", "max_age").want("true", "data", "disabled").want("true", "data", "forward_webhooks").
		want("[401,403]", "data", "refused_statuses").want("3", "data", "refused_after").
		want("https://h.example/l.png", "data", "logo").want("two\nlines", "data", "connect", "help_text").
		want(`{"headers":{"Accept":"text/plain"},"method":"HEAD","path":"/me?x=1","success":[200,403]}`, "data", "verification")
	r.do("GET", "/integrations/a:%20b@c.d~e", "").ok().want("A", "data", "display_name").want(queryWarning, "warnings", 0)
}

func TestWhatNangoClientsAskForBesides(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	if a := r.do("GET", "/integrations/acme?include=webhook", "").ok(); !strings.Contains(string(a.body), `"webhook_url":null`) {
		t.Errorf("no webhook_url in %s", a.body)
	}
	if a := r.do("GET", "/integrations/acme?include=credentials", "").ok(); !strings.Contains(string(a.body), `"credentials":null`) {
		t.Errorf("no credentials in %s", a.body)
	}
}

func TestIntegrationsThatAreNotThere(t *testing.T) {
	r := newRig(t)
	for method, body := range map[string]string{"GET": "", "DELETE": "", "PATCH": `{}`} {
		r.do(method, "/integrations/zzz", body).is(http.StatusNotFound, "not_found").want(`Integration "zzz" does not exist`, "error", "message")
	}
}

func TestAUniqueKeyIsTakenOnce(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	for _, body := range []string{acme, strings.Replace(acme, "https://", "ftp://", 1)} {
		a := r.do("POST", "/integrations", body).is(http.StatusBadRequest, "invalid_body")
		if !a.faults()[`Unique key already exists @ ["unique_key"]`] {
			t.Errorf("got %v", a.faults())
		}
	}
}

func TestTheCaddyConfigWins(t *testing.T) {
	r := newRig(t)
	r.ints["fixed"] = catalog.Integration{UniqueKey: "fixed", BaseURL: "https://hidden.example", Revision: 3}
	r.integration("acme")
	where := `Integration "fixed" is defined in the Caddy config (Caddyfile:12) and can only be changed there`
	for _, c := range [][3]string{
		{"POST", "/integrations", strings.Replace(acme, "acme", "fixed", 1)},
		{"PATCH", "/integrations/fixed", `{"display_name":"x"}`},
		{"PATCH", "/integrations/acme", `{"unique_key":"fixed"}`},
		{"DELETE", "/integrations/fixed", ""},
		{"POST", "/integrations/fixed/disable", ""},
	} {
		r.do(c[0], c[1], c[2]).is(http.StatusConflict, "conflict").want(where, "error", "message")
	}
	r.do("GET", "/integrations/fixed", "").ok().want("https://fixed.example", "data", "integration_config", "baseUrl")
	if n := strings.Count(string(r.do("GET", "/integrations", "").ok().body), `"fixed"`); n != 1 {
		t.Errorf("fixed is listed %d times", n)
	}
}

func TestAnIntegrationWithConnectionsIsOnlyDeletedByForce(t *testing.T) {
	r := newRig(t, limited("half", ScopeIntegrationsWrite))
	r.integration("acme")
	r.connection("acme", "one")
	r.do("DELETE", "/integrations/acme", "").is(http.StatusConflict, "conflict")
	r.do("DELETE", "/integrations/acme?force=true", "", as("half")).is(http.StatusForbidden, "forbidden")
	if len(r.conns) != 1 || len(r.ints) != 1 {
		t.Fatal("a refused delete deleted")
	}
	r.do("DELETE", "/integrations/acme?force=true", "").ok().want("true", "success")
	if len(r.conns)+len(r.ints)+len(r.keys) != 0 {
		t.Errorf("left are %d connections, %d integrations, %d keys", len(r.conns), len(r.ints), len(r.keys))
	}
	r.integration("acme")
	r.do("DELETE", "/integrations/acme", "", as("half")).ok()
}

func TestAForcedDeleteSaysWhatItCouldNotDestroy(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	r.connection("acme", "one")
	r.keyDown = store.ErrUnavailable
	if a := r.do("DELETE", "/integrations/acme?force=true", "").ok(); !strings.Contains(a.at("warnings", 0), "tried again") {
		t.Errorf("got %s", a.body)
	}
}

func TestAConnectionMadeMeanwhileIsNotForcedAway(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	r.between = func(call string) {
		if call == "DeleteIntegration" {
			r.between = func(string) {}
			r.connection("acme", "new")
		}
	}
	r.do("DELETE", "/integrations/acme?force=true", "").is(http.StatusConflict, "conflict")
	if len(r.conns) != 1 {
		t.Error("the new connection is gone")
	}
}

func TestDisableAndEnableAnIntegration(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	for _, path := range []string{"disable", "disable", "enable", "enable"} {
		r.do("POST", "/integrations/acme/"+path, "").ok().want("true", "success")
		if got := r.ints["acme"].Disabled; got != (path == "disable") {
			t.Errorf("after %s disabled is %v", path, got)
		}
	}
	if got := r.ints["acme"].Revision; got != 3 {
		t.Errorf("%d writes, want 3: what is already so is not written", got)
	}
	r.do("PATCH", "/integrations/acme", `{"disabled":true}`).ok().want("true", "data", "disabled")
	r.do("PATCH", "/integrations/acme", `{"disabled":false}`).ok().want("false", "data", "disabled")
}

func TestAFormerIntegrationsConnectionsAreNotAdoptedLightly(t *testing.T) {
	r := newRig(t, limited("half", ScopeIntegrationsWrite))
	r.connection("fixed", "one")
	r.static = nil // taken out of the Caddy config
	body := strings.Replace(acme, "acme", "fixed", 1)
	r.do("POST", "/integrations", body, as("half")).is(http.StatusForbidden, "forbidden")
	if len(r.ints) != 0 {
		t.Error("it was made all the same")
	}
	r.do("POST", "/integrations", strings.Replace(acme, "acme", "other", 1), as("half")).ok()
	r.do("PATCH", "/integrations/other", `{"unique_key":"fixed"}`, as("half")).is(http.StatusForbidden, "forbidden")
	if _, ok := r.ints["fixed"]; ok {
		t.Error("another was renamed all the same")
	}
	r.do("PATCH", "/integrations/other", `{"unique_key":"fixed"}`).ok()
	r.do("PATCH", "/integrations/fixed", `{"unique_key":"other"}`).is(http.StatusBadRequest, "invalid_body")
}

func TestProviders(t *testing.T) {
	r := newRig(t, limited("nothing", ScopeProxy))
	r.do("GET", "/providers", "", as("nothing")).ok().want(generic, "data", 0, "name").want(asBearer, "data", 1, "name")
	r.do("GET", "/providers?search=BEARER", "").ok().want(asBearer, "data", 0, "name").want("", "data", 1, "name")
	r.do("GET", "/providers/private-api-generic", "").ok().want("API_KEY", "data", "auth_mode").want("API Key", "data", "credentials", "apiKey", "title")
	r.do("GET", "/providers/github", "").is(http.StatusNotFound, "not_found")
}
