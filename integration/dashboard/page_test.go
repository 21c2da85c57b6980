package dashboard

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/browser"
)

func (r *rig) site() string { return fmt.Sprintf("http://127.0.0.1:%d/", r.api) }

// signsIn opens the dashboard as a person does who knows where the API is.
func (r *rig) signsIn(b *browser.Page, token string) {
	r.t.Helper()
	b.Opens(r.site())
	b.Sees("label", "Token of the API")
	b.Types(token)
	b.Presses(browser.Enter)
	b.Sees("h1", "Overview")
}

// fills puts texts into fields, by keyboard.
func fills(b *browser.Page, fields map[string]string) {
	for id, text := range fields {
		b.Eval(fmt.Sprintf(`(() => { const e = document.getElementById(%q); e.focus(); e.select?.(); })()`, id))
		b.Types(text)
	}
}

// clicksText clicks the button or link in the page, or in its dialog, that says
// exactly this.
func clicksText(b *browser.Page, text string) {
	find := fmt.Sprintf(`[...(document.querySelector("dialog") || document).querySelectorAll("button, a")].find((e) => e.textContent === %q && e.checkVisibility())`, text)
	b.Says("the button "+text, find)
	b.Eval(`document.querySelectorAll("[data-click]").forEach((e) => delete e.dataset.click)`)
	b.Eval(find + `.dataset.click = "here"`)
	b.Clicks("[data-click=here]")
}

// wantNothingOf fails when anything of the page holds a secret: what it shows, its
// fields, what it stores, its address.
func wantNothingOf(t *testing.T, b *browser.Page, secrets ...string) {
	t.Helper()
	for what, script := range map[string]string{
		"the page":    "document.documentElement.outerHTML",
		"a field":     "JSON.stringify([...document.querySelectorAll('input')].map((e) => e.value))",
		"the storage": "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])",
		"the address": "location.href + JSON.stringify(history.state) + document.referrer",
	} {
		got := b.Eval(script)
		for _, s := range secrets {
			if strings.Contains(got, s) {
				t.Errorf("%s holds %s: %s", what, s, got)
			}
		}
	}
	for _, url := range b.Asked() {
		for _, s := range secrets {
			if strings.Contains(url, s) {
				t.Errorf("it asked for %s", url)
			}
		}
	}
}

// The seed's integration, from nothing to a connection that works.
func TestAPersonMakesAnIntegrationAndSendsALink(t *testing.T) {
	t.Parallel()
	const canary = "canary-5be2f901"
	r, b := newRig(t, settings{}), browser.New(t)
	b.Shows(1000, 800, false)
	r.signsIn(b, ops)
	clicksText(b, "Integrations")
	b.Sees("main", "There are no integrations yet.")
	clicksText(b, "New integration")
	b.Sees("h1", "New integration")
	clicksText(b, "Create")
	b.Sees("#unique_key-error", "Unique key")
	b.Sees("#baseUrl-error", "Base URL is required")
	b.Sees("#keyName-error", "Key name is required")
	if got := b.Eval("document.activeElement.id"); got != "unique_key" {
		t.Errorf("the focus is on %s, not on the first field that is wrong", got)
	}
	fills(b, map[string]string{
		"unique_key": "acme-internal", "display_name": "Acme Internal API", "baseUrl": r.up.URL(),
		"keyName": "Authorization", "valueTemplate": "Api-Key ${apiKey}", "keyLabel": "Acme API Key",
	})
	b.Presses(browser.Enter)
	b.Sees("#notice", "It was created.")
	b.Sees("h1", "Acme Internal API")
	var made struct {
		Data struct {
			DisplayName string            `json:"display_name"`
			Config      map[string]string `json:"integration_config"`
		}
	}
	if err := json.Unmarshal([]byte(r.manage(http.StatusOK, http.MethodGet, "/integrations/acme-internal", "").body), &made); err != nil || made.Data.DisplayName != "Acme Internal API" ||
		made.Data.Config["valueTemplate"] != "Api-Key ${apiKey}" || made.Data.Config["keyName"] != "Authorization" || made.Data.Config["keyLabel"] != "Acme API Key" {
		t.Errorf("it made %+v, %v", made, err)
	}

	clicksText(b, "Make a Connect link")
	b.Sees("dialog h2", "Connect link for Acme Internal API")
	clicksText(b, "Make the link")
	b.Sees("#end_user-error", "Enter an id.")
	b.Types("customer-7")
	b.Presses(browser.Enter)
	b.Sees("dialog", "It is not shown again.")
	link := b.Eval(`document.getElementById("link").value`)
	token, _ := strings.CutPrefix(link, fmt.Sprintf("http://127.0.0.1:%d/#session_token=", r.connect))
	if token == link || token == "" {
		t.Fatalf("the link is %q", link)
	}
	clicksText(b, "Close")
	b.Says("the dialog to go", `!document.querySelector("dialog")`)
	wantNothingOf(t, b, ops, token)

	user := browser.New(t)
	user.Opens(link)
	user.Sees("#label", "Acme API Key")
	user.Types(canary)
	user.Presses(browser.Enter)
	user.Sees("#success h1", "Connected")

	// The dashboard hears of it by itself.
	b.Sees("tbody", "ok")
	clicksText(b, "Overview")
	b.Sees("h1", "Overview")
	b.Sees("tbody", "reachable")
	b.Eval(`[...document.querySelectorAll('a[href^="#/connections/"]')][0].click()`)
	b.Sees("main", "customer-7")
	b.Sees(".state", "ok")
	b.Sees("dl", "version 1")
	id := b.Eval(`document.querySelector("h1").textContent`)
	if a := r.as(ops, http.MethodGet, "/connections/"+id+"?provider_config_key=acme-internal", ""); a.status != http.StatusOK {
		t.Errorf("there is no connection %q: %s", id, a.body)
	}
	wantNothingOf(t, b, ops, token, canary)
	b.Quiet(r.site())
	r.caddy.Stop()
	for _, s := range []string{ops, token, canary} {
		if strings.Contains(r.caddy.Log.String(), s) {
			t.Errorf("the log holds %s", s)
		}
	}
}

func TestTwoPeopleWhoEditTheSameLearnOfEachOther(t *testing.T) {
	t.Parallel()
	r, b := newRig(t, settings{}), browser.New(t)
	r.integration("acme", "Acme")
	r.signsIn(b, ops)
	b.Opens("about:blank")
	b.Opens(r.site() + "dashboard/#/integrations/acme")
	b.Sees("label", "Token of the API") // it is a new page: the token is gone
	b.Types(ops)
	b.Presses(browser.Enter)
	b.Sees("h1", "Acme")
	r.manage(http.StatusOK, http.MethodPatch, "/integrations/acme", `{"integration_config": {"keyLabel": "Theirs"}}`)
	fills(b, map[string]string{"keyName": "X-Mine"})
	b.Presses(browser.Enter)
	b.Sees("form [role=alert]", "Somebody else changed it meanwhile.")
	if got := r.manage(http.StatusOK, http.MethodGet, "/integrations/acme", "").body; strings.Contains(got, "X-Mine") {
		t.Errorf("it was saved: %s", got)
	}
	clicksText(b, "Load it as it is now")
	b.Says("theirs", `document.getElementById("keyLabel")?.value === "Theirs"`)
	fills(b, map[string]string{"keyName": "X-Mine", "baseUrl": "ftp://nowhere"})
	b.Presses(browser.Enter)
	b.Sees("#baseUrl-error", "Base URL")
	fills(b, map[string]string{"baseUrl": r.up.URL() + "/v2"})
	b.Presses(browser.Enter)
	b.Sees("#notice", "It was saved.")
	if got := r.manage(http.StatusOK, http.MethodGet, "/integrations/acme", "").body; !strings.Contains(got, "X-Mine") || !strings.Contains(got, "Theirs") || !strings.Contains(got, "/v2") {
		t.Errorf("it saved %s", got)
	}
	b.Eval(`(() => { document.getElementById("keyPlacement").value = "query"; })()`)
	clicksText(b, "Save")
	b.Sees("#notice", "keys in a query can show in upstream, proxy and CDN logs")
	b.Quiet(r.site())
}

func TestWhatIsThereIsDisabledEnabledAndDeleted(t *testing.T) {
	t.Parallel()
	r, b := newRig(t, settings{}), browser.New(t)
	r.integration("acme", "Acme")
	r.connection("acme", "cust-1", "key-1")
	r.signsIn(b, ops)
	b.Sees("tbody a[href='#/connections/acme/cust-1']", "cust-1")
	b.Clicks("a[href='#/connections/acme/cust-1']")
	b.Sees("h1", "cust-1")
	clicksText(b, "Disable")
	b.Sees("#notice", "It is disabled")
	b.Sees(".state", "disabled")
	b.Sees("main", "Enable")
	clicksText(b, "Enable")
	b.Sees("#notice", "It is enabled.")
	b.Sees(".state", "ok")

	clicksText(b, "Delete")
	b.Sees("dialog", "To delete it, type cust-1")
	b.Types("cust")
	b.Presses(browser.Enter)
	b.Sees("#name-error", "This is not the name.")
	b.Types("cust-1")
	r.manage(http.StatusOK, http.MethodGet, "/connections/cust-1?provider_config_key=acme", "")
	fills(b, map[string]string{"name": "cust-1"})
	b.Presses(browser.Enter)
	b.Sees("#notice", "Deleted connection cust-1.")
	b.Sees("h1", "Acme")
	if a := r.as(ops, http.MethodGet, "/connections/cust-1?provider_config_key=acme", ""); a.status != http.StatusNotFound {
		t.Errorf("it is still there: %s", a.body)
	}

	r.connection("acme", "cust-2", "key-2")
	r.manage(http.StatusOK, http.MethodPatch, "/integrations/acme", `{"integration_config": {"baseUrl": "https://elsewhere.example"}}`)
	b.Sees("[aria-label='Filter by state']", "moved 1")
	clicksText(b, "Overview")
	b.Sees("h1", "Overview")
	b.Sees("tbody .state.bad", "moved")
	clicksText(b, "acme")
	b.Sees("h1", "Acme")
	clicksText(b, "Confirm the origin")
	b.Sees("dialog", "https://elsewhere.example")
	clicksText(b, "Send the keys there")
	b.Sees("#notice", "One connection follows.")
	b.Sees("[aria-label='Filter by state']", "ok 1")

	clicksText(b, "Disable")
	b.Sees("#notice", "It is disabled")
	b.Sees("main", "Enable")
	clicksText(b, "Delete")
	b.Types("acme")
	b.Presses(browser.Enter)
	b.Sees("#notice", "Deleted integration Acme.")
	b.Sees("main", "There are no integrations yet.")
	if a := r.as(ops, http.MethodGet, "/connections/cust-2?provider_config_key=acme", ""); a.status != http.StatusNotFound {
		t.Errorf("its connection is still there: %s", a.body)
	}
	b.Quiet(r.site())
}

func TestATokenIsOfferedWhatItMayDo(t *testing.T) {
	t.Parallel()
	r, b := newRig(t, settings{}), browser.New(t)
	r.integration("acme", "Acme")
	r.connection("acme", "cust-1", "key-1")
	b.Opens(r.site())
	b.Sees("label", "Token of the API")
	b.Presses(browser.Enter)
	b.Sees("[role=alert]", "Enter a token.")
	b.Types("no-token-of-ours")
	b.Presses(browser.Enter)
	b.Sees("[role=alert]", "There is no such token.")
	fills(b, map[string]string{"token": watch})
	b.Presses(browser.Enter)
	b.Sees("#who", "watch")
	b.Clicks("a[href='#/connections/acme/cust-1']")
	b.Sees("h1", "cust-1")
	if got := b.Eval(`[...document.querySelectorAll("main button")].map((e) => e.textContent)`); got != "" {
		t.Errorf("it is offered to %s", got)
	}
	b.Clicks("a[href='#/integrations']")
	b.Sees("tbody", "Acme")
	b.Clicks("a[href='#/integrations/acme']")
	b.Sees("main", "The token may not change it.")
	if got := b.Eval(`document.querySelectorAll("main form, main .main, main .danger").length`); got != "0" {
		t.Errorf("it is offered %s things to do", got)
	}
	clicksText(b, "Sign out")
	b.Sees("label", "Token of the API")
	if got := b.Eval(`document.querySelectorAll("table, dl").length`); got != "0" {
		t.Error("something is left of what it showed")
	}
	wantNothingOf(t, b, watch, "no-token-of-ours")

	b.Types(half)
	b.Presses(browser.Enter)
	b.Sees("#who", "half")
	clicksText(b, "Integrations")
	b.Sees("[role=alert]", "The token may not do that: This needs a token with the scope integrations:read")
	b.Quiet(r.site())
}

// Whoever names things cannot have the page do anything.
func TestNamesAreText(t *testing.T) {
	t.Parallel()
	r, b := newRig(t, settings{}), browser.New(t)
	const bad = `<img src=x onerror=document.title=1>"'&`
	r.integration("acme", bad)
	r.manage(http.StatusCreated, http.MethodPost, "/connections", fmt.Sprintf(
		`{"provider_config_key": "acme", "connection_id": %q, "credentials": {"type": "API_KEY", "apiKey": "k"}, "tags": {"a": %q}, "metadata": {"m": %q}, "end_user": {"id": %q}}`, bad, bad, bad, bad))
	r.signsIn(b, ops)
	b.Sees("a[href^='#/connections/']", bad)
	clicksText(b, bad)
	b.Sees("h1", bad)
	b.Sees("dl", "a: "+bad)
	clicksText(b, "Delete")
	b.Sees("dialog h2", bad)
	b.Presses("\u001b")
	b.Says("the dialog to go", `!document.querySelector("dialog")`)
	clicksText(b, "acme")
	b.Sees("h1", bad)
	if got := b.Eval(`document.querySelectorAll("img, main script").length`); got != "0" {
		t.Errorf("there are %s elements of theirs", got)
	}
	b.Opens("about:blank")
	b.Opens(r.site() + "dashboard/#/integrations/" + url.PathEscape(bad))
	b.Sees("label", "Token of the API")
	b.Types(ops)
	b.Presses(browser.Enter)
	b.Sees("h1", "It is not there")
	b.Sees("[role=alert]", "<img src=x onerror=document.title=1>")
	b.Quiet(r.site())
}

func TestManyConnectionsAreFilteredSearchedAndPaged(t *testing.T) {
	t.Parallel()
	r, b := newRig(t, settings{}), browser.New(t)
	r.integration("acme", "Acme")
	for n := range 60 {
		r.connection("acme", fmt.Sprintf("cust-%02d", n), "key")
	}
	r.manage(http.StatusOK, http.MethodPost, "/connections/cust-07/disable?provider_config_key=acme", "")
	r.signsIn(b, ops)
	b.Sees("[role=group]", "all 60")
	b.Says("a page", `document.querySelectorAll("a[href^='#/connections/']").length === 50`)
	clicksText(b, "Next")
	b.Says("the last page", `document.querySelectorAll("a[href^='#/connections/']").length === 10`)
	clicksText(b, "disabled 1")
	b.Says("the one", `document.querySelectorAll("a[href^='#/connections/']").length === 1`)
	b.Sees("tbody a[href='#/connections/acme/cust-07']", "cust-07")
	if got := b.Eval("document.activeElement.textContent"); got != "disabled 1" {
		t.Errorf("the focus went to %q", got)
	}
	fills(b, map[string]string{"search": "cust-5"})
	b.Says("those found", `document.querySelectorAll("a[href^='#/connections/']").length === 10`)
	fills(b, map[string]string{"search": "nobody"})
	b.Sees("main", "There are no such connections.")
	clicksText(b, "all 60")
	b.Says("all again", `document.querySelectorAll("a[href^='#/connections/']").length === 50`)
}

func TestTheKeysOfTheConfigurationAreShownAndNotChanged(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{
		global: "\t\tintegration own https://own.example {\n\t\t\tname X-Key\n\t\t\tkey fixed/one\n\t\t}\n", keys: both,
		routes: "\tapikey_inject /own/* own {\n\t\tallow anyone\n\t}\n",
	})
	b := browser.New(t)
	r.signsIn(b, ops)
	b.Sees("section[aria-labelledby=own] tbody", "own")
	b.Sees("section[aria-labelledby=own] .state", "ok")
	clicksText(b, "own")
	b.Sees("main", "It is defined in the Caddy config, and can be changed there only.")
	if got := b.Eval(`[...document.querySelectorAll("main [aria-label=Actions] button")].map((e) => e.textContent)`); got != "Make a Connect link" {
		t.Errorf("it is offered to %s", got)
	}
	b.Quiet(r.site())
}

func TestTheDashboardIsThereOnlyWhereItIsOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{routes: "\tapikey_inject_api /keys/* {\n\t\ttoken ops {env.OPS}\n\t\tstrip_prefix /keys\n\t\tdashboard on\n\t}\n" +
		"\tapikey_inject_api {\n\t\ttoken ops {env.OPS}\n\t}\n"})
	for path, want := range map[string]int{"/dashboard/": 200, "/dashboard/assets/main.js": 200, "/dashboard": 302, "/dashboard/x": 404, "/dashboard/assets/": 404, "/dashboard/../dashboard/assets/../index.html": 404} {
		if a := r.as("", http.MethodGet, path, ""); a.status != want {
			t.Errorf("%s answers %d, want %d", path, a.status, want)
		}
	}
	a := r.as("", http.MethodGet, "/dashboard/", "")
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
			"require-trusted-types-for 'script'; trusted-types 'none'",
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Cross-Origin-Opener-Policy": "same-origin",
	} {
		if a.header.Get(name) != want {
			t.Errorf("%s is %q", name, a.header.Get(name))
		}
	}
	if a := r.as(ops, http.MethodPost, "/dashboard/", "{}"); a.status != http.StatusNotFound {
		t.Errorf("POST answers %d", a.status)
	}
	if a := r.as("", http.MethodGet, "/", ""); a.status != http.StatusNotFound {
		t.Errorf("the root of the API answers %d to a program", a.status)
	}
	r.api = r.route
	b := browser.New(t) // below a prefix all is relative to that
	b.Opens(r.site() + "keys/")
	b.Sees("label", "Token of the API")
	b.Types(ops)
	b.Presses(browser.Enter)
	b.Sees("h1", "Overview")
	b.Quiet(r.site() + "keys/")
	// Where it is off:
	for _, path := range []string{"/dashboard/", "/dashboard", "/dashboard/assets/main.js"} {
		if a := r.as(ops, http.MethodGet, path, ""); a.status != http.StatusNotFound {
			t.Errorf("where it is off %s answers %d", path, a.status)
		}
	}
}
