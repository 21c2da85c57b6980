package connect

// This file holds what a product does with Nango's SDK for browsers, as it is
// published: nothing of it is changed, and it knows nothing of Caddy.

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/browser"
	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// productPage is a page of a product. Its script is told what its server would
// tell it.
const productPage = `<!doctype html>
<meta charset="utf-8">
<title>Product</title>
<script type="importmap">{"imports": {"@nangohq/frontend": "/sdk/index.js"}}</script>
<body>
<script type="module">
import Nango, { AuthError } from "@nangohq/frontend";
const site = %q;
window.product = (connectSessionToken) => new Nango({ host: site, connectSessionToken });
window.events = [];
window.opens = (token, more) => product(token).openConnectUI({ baseURL: site, apiURL: site, ...more, onEvent: (e) => events.push(e) });
window.auths = (token, integration, apiKey) => product(token).auth(integration, { credentials: { apiKey } }).then(
	(answer) => JSON.stringify(answer),
	(e) => (e instanceof AuthError ? "AuthError " + e.type + ": " + e.message : "" + e),
);
</script>`

// product serves the page of a product and the SDK. Its origin is of another
// site than Caddy's.
func product(t *testing.T) (origin string, shows func(site string)) {
	t.Helper()
	dist := filepath.Join(harness.Root(t), "integration", "sdk", "node_modules", "@nangohq", "frontend", "dist")
	if _, err := os.Stat(dist); err != nil {
		t.Fatal("the SDK is not installed: run tools/make/sdk.sh, as make test does")
	}
	page := ""
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, page) })
	mux.Handle("GET /sdk/", http.StripPrefix("/sdk/", http.FileServer(http.Dir(dist))))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	_, port, _ := strings.Cut(server.Listener.Addr().String(), ":")
	return "http://product.localhost:" + port, func(site string) { page = fmt.Sprintf(productPage, strings.TrimSuffix(site, "/")) }
}

// told returns the event of a type that the product's page was told, as JSON.
func told(b *browser.Page, kind string) string {
	script := fmt.Sprintf("events.find((e) => e.type === %q)", kind)
	b.Says("the event "+kind, script)
	return b.Eval("JSON.stringify(" + script + ")")
}

func TestAProductOpensThePageWithNangosFrontend(t *testing.T) {
	t.Parallel()
	const canary = "canary-5d20e8a1"
	origin, shows := product(t)
	r, b := newRigOf(t, setting{parents: []string{origin}}), browser.New(t)
	shows(r.siteURL())
	r.integration("acme")
	b.Opens(origin)
	b.Says("the SDK", "window.opens")
	b.Eval(fmt.Sprintf(`void opens(%q, { lang: "de", themeOverride: "dark" })`, r.session("acme")))
	b.InFrame("the form", `(d) => d.querySelector("#key")?.checkVisibility() && d.documentElement.lang === "de" && d.documentElement.dataset.theme === "dark"`)

	b.ClicksInFrame("#key")
	b.Types(canary)
	b.ClicksInFrame("#submit")
	if got, want := told(b, "connect"), fmt.Sprintf(`{"type":"connect","payload":{"connectionId":%q,"providerConfigKey":"acme"}}`, r.only("acme")); got != want {
		t.Errorf("it was told %s, want %s", got, want)
	}
	b.ClicksInFrame("#finish")
	told(b, "close")
	if n := b.Eval("document.querySelectorAll('iframe').length"); n != "0" {
		t.Errorf("there are %s frames still", n)
	}
	if got := b.Eval("JSON.stringify(events) + document.documentElement.outerHTML"); strings.Contains(got, canary) {
		t.Errorf("the product was told the key: %s", got)
	}
	b.Quiet(origin, r.siteURL())
	if got := r.arrives("acme", r.only("acme")); got != "Api-Key "+canary {
		t.Errorf("the upstream got %q", got)
	}
}

func TestTheFrameTellsTheProductWhatWentWrong(t *testing.T) {
	t.Parallel()
	origin, shows := product(t)
	r, b := newRigOf(t, setting{parents: []string{origin}}), browser.New(t)
	shows(r.siteURL())
	b.Opens(origin)
	b.Says("the SDK", "window.opens")
	b.Eval(`void opens("nango_connect_session_made-up")`)
	if got, want := told(b, "error"), `{"type":"error","payload":{"errorType":"unknown_connect_session_token","errorMessage":"This is no token of a connect session"}}`; got != want {
		t.Errorf("it was told %s, want %s", got, want)
	}
	b.InFrame("the end", `(d) => d.querySelector("#message")?.checkVisibility()`)
	b.ClicksInFrame("#close")
	told(b, "close")
}

func TestAFormOfTheProductsOwnEntersAKeyWithNangosFrontend(t *testing.T) {
	t.Parallel()
	origin, shows := product(t)
	r, b := newRigOf(t, setting{origins: []string{origin}}), browser.New(t)
	shows(r.siteURL())
	r.integration("acme")
	r.integration("other")
	token := r.session("acme")
	b.Opens(origin)
	b.Says("the SDK", "window.auths")
	auths := func(token, integration, key string) string {
		return b.Eval(fmt.Sprintf("await auths(%q, %q, %q)", token, integration, key))
	}
	if got := auths(token, "acme", "key\twith a tab"); !strings.HasPrefix(got, "AuthError invalid_body: API key has a control character") {
		t.Errorf("a wrong key: %s", got)
	}
	if got := auths(token, "other", "key-1"); !strings.HasPrefix(got, "AuthError integration_not_allowed: ") {
		t.Errorf("another integration: %s", got)
	}
	var answer struct{ ConnectionID, ProviderConfigKey string }
	if got := auths(token, "acme", "key-1"); json.Unmarshal([]byte(got), &answer) != nil || answer.ProviderConfigKey != "acme" {
		t.Errorf("answered %s", got)
	}
	if got := auths(token, "acme", "key-2"); !strings.HasPrefix(got, "AuthError connect_session_used: ") {
		t.Errorf("again: %s", got)
	}
	if got := r.arrives("acme", answer.ConnectionID); got != "Api-Key key-1" {
		t.Errorf("the upstream got %q", got)
	}
}

// CASES.md L3: a foreign origin.
func TestL3TheBrowserRefusesAFormOfAForeignOrigin(t *testing.T) {
	t.Parallel()
	origin, shows := product(t)
	foreign, showsForeign := product(t)
	r, b := newRigOf(t, setting{origins: []string{origin}}), browser.New(t)
	shows(r.siteURL())
	showsForeign(r.siteURL())
	r.integration("acme")
	token := r.session("acme")
	b.Opens(foreign)
	b.Says("the SDK", "window.auths")
	auth := fmt.Sprintf(`await auths(%q, "acme", "key-1")`, token)
	if got := b.Eval(auth); got != "TypeError: Failed to fetch" {
		t.Errorf("answered %s", got)
	}
	if list := r.manage(http.StatusOK, http.MethodGet, "/connections", "").body; strings.Contains(list, "connection_id") {
		t.Errorf("it has made %s", list)
	}
	b.Opens(origin) // the session was not touched
	b.Says("the SDK", "window.auths")
	if got := b.Eval(auth); !strings.Contains(got, "connectionId") {
		t.Errorf("answered %s", got)
	}
}
