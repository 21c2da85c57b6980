package connect

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/browser"
)

func (r *rig) link(token string) string {
	return fmt.Sprintf("http://127.0.0.1:%d/#session_token=%s", r.site, token)
}

func (r *rig) siteURL() string { return fmt.Sprintf("http://127.0.0.1:%d/", r.site) }

// only returns the id of the only connection.
func (r *rig) only(integration string) string {
	r.t.Helper()
	_, rest, _ := strings.Cut(r.manage(http.StatusOK, http.MethodGet, "/connections?integrationId="+integration, "").body, `"connection_id":"`)
	id, rest, ok := strings.Cut(rest, `"`)
	if !ok || strings.Contains(rest, `"connection_id"`) {
		r.t.Fatalf("there is not one connection of %s", integration)
	}
	return id
}

func TestAnEndUserEntersAKeyByKeyboardAlone(t *testing.T) {
	t.Parallel()
	const canary = "canary-77ab31f5"
	r, b := newRig(t), browser.New(t)
	r.integration("acme")
	token := r.session("acme")
	b.Opens(r.link(token))
	b.Sees("#title", "Connect The acme API")
	b.Sees("#label", "acme key")
	if at := b.Eval("location.href"); at != r.siteURL() {
		t.Errorf("the address holds %s", at)
	}
	b.Presses(browser.Enter)
	b.Sees("#error", "Enter the key.")
	if b.Eval("document.activeElement.id") != "key" || b.Eval("document.activeElement.getAttribute('aria-invalid')") != "true" {
		t.Error("the focus is not in the field that is wrong")
	}
	b.Types("  " + canary + " ")
	b.Presses(browser.Tab, " ")
	b.Says("how to hide it", `show.getAttribute("aria-label") === "Hide"`)
	if b.Eval("document.getElementById('key').type") != "text" {
		t.Error("the key is not shown")
	}
	b.Presses(browser.Tab, browser.Enter)
	b.Sees("#success h1", "Connected")
	b.Sees("#done", "The acme API is ready to use.")
	for what, script := range map[string]string{
		"the page": "document.documentElement.outerHTML", "the storage": "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])",
		"the history": "location.href + JSON.stringify(history.state) + document.referrer", "the fields": "[...document.querySelectorAll('input')].map((e) => e.value)",
	} {
		if got := b.Eval(script); strings.Contains(got, canary) || strings.Contains(got, token) {
			t.Errorf("%s holds it: %s", what, got)
		}
	}
	if got := r.arrives("acme", r.only("acme")); got != "Api-Key "+canary {
		t.Errorf("the upstream got %q", got)
	}
	b.Quiet(r.siteURL())
	if n := b.Received(); n < 10_000 || n > 60_000 {
		t.Errorf("all of it was %d bytes", n)
	}

	b.Opens("about:blank")
	b.Opens(r.link(token))
	b.Sees("#what", "This link was used already")
	r.caddy.Stop()
	if log := r.caddy.Log.String(); strings.Contains(log, canary) || strings.Contains(log, token) {
		t.Error("the log holds it")
	}
}

func TestL5WhatIsPastedIsTrimmedAndThePageSaysSo(t *testing.T) {
	t.Parallel()
	r, b := newRig(t), browser.New(t)
	r.integration("acme")
	b.Opens(r.link(r.session("acme")))
	b.Sees("#title", "acme")
	b.Pastes("two\nlines")
	b.Sees("#error", "The key has a line break")
	if b.Eval("document.getElementById('key').value") != "" {
		t.Error("half a key is in the field")
	}
	b.Pastes(" \tkey-1\r\n")
	b.Sees("#note", "Spaces around the key were removed.")
	b.Presses(browser.Enter)
	b.Sees("#trimmed", "Spaces around the key were removed.")
	if got := r.arrives("acme", r.only("acme")); got != "Api-Key key-1" {
		t.Errorf("the upstream got %q", got)
	}
}

func TestOfSeveralIntegrationsOneIsPickedFirst(t *testing.T) {
	t.Parallel()
	r, b := newRig(t), browser.New(t)
	for _, key := range []string{"acme", "other", "hidden"} {
		r.integration(key)
	}
	b.Opens(r.link(r.session("acme", "other")))
	b.Sees("#list h1", "What do you want to connect?")
	if got := b.Eval("[...document.querySelectorAll('#integrations button')].map((e) => e.textContent)"); got != "The acme API,The other API" {
		t.Errorf("it lists %s", got)
	}
	b.Presses(browser.Tab, browser.Enter)
	b.Sees("#title", "The acme API")
	b.Clicks("#back")
	b.Sees("#list h1", "What do you want to connect?")
	b.Clicks("#integrations li:nth-child(2) button")
	b.Sees("#label", "other key")
	b.Types("key-2")
	b.Clicks("#submit")
	b.Sees("#success h1", "Connected")
	if got := r.arrives("other", r.only("other")); got != "Api-Key key-2" {
		t.Errorf("the upstream got %q", got)
	}
}

// A key is pasted, which needs no keyboard.
func TestAnEndUserEntersAKeyByMouseAlone(t *testing.T) {
	t.Parallel()
	r, b := newRig(t), browser.New(t)
	r.integration("acme")
	r.integration("other")
	b.Opens(r.link(r.session("acme", "other")))
	b.Clicks("#integrations li:nth-child(2) button")
	b.Clicks("#submit")
	b.Sees("#error", "Enter the key.")
	b.Eval(`key.value = "wrong\u0001key"`) // as no clipboard brings it past the page
	b.Clicks("#submit")
	b.Sees("#error", "another character that keys cannot have")
	if b.Eval("document.activeElement.id") != "key" || b.Eval("key.value.length") != "9" {
		t.Error("what was entered is not there to be mended")
	}
	b.Eval("key.select()")
	b.Pastes("key-2")
	if got := b.Eval("error.textContent + key.hasAttribute('aria-invalid')"); got != "false" {
		t.Errorf("it says still %s", got)
	}
	b.Clicks("#show")
	b.Clicks("#submit")
	b.Sees("#done", "The other API is ready to use.")
	if got := r.arrives("other", r.only("other")); got != "Api-Key key-2" {
		t.Errorf("the upstream got %q", got)
	}
}

func TestL6AKeyThatTheUpstreamRefusesIsNotStored(t *testing.T) {
	t.Parallel()
	const wrong = "canary-wrong-90be"
	r, b := newRig(t), browser.New(t)
	r.verified("acme")
	r.onlyTakes("right")
	b.Opens(r.link(r.session("acme")))
	b.Sees("#label", "acme key")
	b.Types(wrong)
	b.Presses(browser.Enter)
	b.Sees("#error", "The acme API does not accept this key.")
	if b.Eval("document.activeElement.id + key.getAttribute('aria-invalid') + submit.hasAttribute('aria-busy')") != "keytruefalse" {
		t.Error("the focus is not in the field that is wrong")
	}
	if list := r.manage(http.StatusOK, http.MethodGet, "/connections", "").body; strings.Contains(list, "connection_id") {
		t.Errorf("it is stored: %s", list)
	}
	b.Eval("key.select()")
	b.Types("right")
	b.Presses(browser.Enter)
	b.Sees("#success h1", "Connected")
	if got := r.arrives("acme", r.only("acme")); got != "Api-Key right" {
		t.Errorf("the upstream got %q", got)
	}
	b.Quiet(r.siteURL())
	r.caddy.Stop()
	if strings.Contains(r.caddy.Log.String(), wrong) {
		t.Error("the log holds the wrong key")
	}
}

func TestAnEndUserEntersAnotherKeyForTheirConnection(t *testing.T) {
	t.Parallel()
	r, b := newRig(t), browser.New(t)
	r.integration("acme")
	r.manage(http.StatusCreated, http.MethodPost, "/connections", `{"provider_config_key": "acme", "connection_id": "c-1", "credentials": {"type": "API_KEY", "apiKey": "key-1"}, "metadata": {"m": 1}, "tags": {"team": "blue"}, "connection_config": {"tenant": "t-1"}}`)
	b.Opens(r.manage(http.StatusCreated, http.MethodPost, "/connect/sessions/reconnect", `{"connection_id": "c-1", "integration_id": "acme"}`).at("data", "connect_link"))
	b.Sees("#again", "Enter a new key for this connection.")
	b.Types("key-2")
	b.Presses(browser.Enter)
	b.Sees("#success h1", "Connected")
	if got := r.arrives("acme", "c-1"); got != "Api-Key key-2" {
		t.Errorf("the upstream got %q", got)
	}
	if a := r.manage(http.StatusOK, http.MethodGet, "/connections/c-1?provider_config_key=acme", ""); a.at("metadata", "m") != "1" || a.at("tags", "team") != "blue" || a.at("connection_config", "tenant") != "t-1" {
		t.Errorf("left: %s", a.body)
	}
}

func TestL4MarkupInNamesIsTextAndALinkIsHTTPS(t *testing.T) {
	t.Parallel()
	const name, label, help = `<img src=x onerror=alert(1)>`, `<b>key</b>`, `"><script>alert(2)</script>`
	r, b := newRig(t), browser.New(t)
	for _, key := range []string{"acme", "other"} {
		r.integration(key)
	}
	change := func(status int, connect map[string]string) *reply {
		t.Helper()
		body, _ := json.Marshal(map[string]any{"display_name": name, "integration_config": map[string]string{"keyLabel": label}, "connect": connect})
		return r.manage(status, http.MethodPatch, "/integrations/acme", string(body))
	}
	for _, url := range []string{"javascript:alert(3)", "JavaScript:alert(3)", "data:text/html,x", "http://x.example", "//x.example"} {
		change(http.StatusBadRequest, map[string]string{"help_url": url})
	}
	change(http.StatusOK, map[string]string{"help_text": help})
	l := newLine(t, r.siteURL())
	l.rewrite = strings.NewReplacer(`"help_text":`, `"help_url":"javascript:alert(3)","help_text":`) // as if one had got there all the same
	b.Opens(l.url + "?session_token=" + r.session("acme", "other"))
	b.Sees("#integrations li:first-child", name)
	b.Clicks("#integrations li:first-child button")
	b.Sees("#title", "Connect "+name)
	b.Sees("#label", label)
	b.Sees("#help", help)
	if got := b.Eval("document.querySelectorAll('img, b, body script, a').length"); got != "0" {
		t.Errorf("there are %s elements of it", got)
	}
	b.Types("key-1")
	b.Presses(browser.Enter)
	b.Sees("#done", name+" is ready to use.")
	b.Quiet(l.url)
}

// CASES.md L3: a foreign apiURL.
func TestL3ALinkCannotSayWhereTheKeyGoes(t *testing.T) {
	t.Parallel()
	r, b := newRig(t), browser.New(t)
	r.integration("acme")
	foreign := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the foreign host was asked") }))
	defer foreign.Close()
	b.Opens(r.siteURL() + "?apiURL=" + foreign.URL + "&session_token=" + r.session("acme"))
	b.Sees("#title", "acme")
	if at := b.Eval("location.href"); strings.Contains(at, "session_token") {
		t.Errorf("the address holds %s", at)
	}
	b.Types("key-1")
	b.Presses(browser.Enter)
	b.Sees("#success h1", "Connected")
	b.Quiet(r.siteURL())
}
