package connect

import (
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
	b.Sees("#show", "Hide")
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

	b.Opens("about:blank")
	b.Opens(r.link(token))
	b.Sees("#what", "This link was used already")
	r.caddy.Stop()
	if log := r.caddy.Log.String(); strings.Contains(log, canary) || strings.Contains(log, token) {
		t.Error("the log holds it")
	}
}

// CASES.md L5, in the page.
func TestWhatIsPastedIsTrimmedAndThePageSaysSo(t *testing.T) {
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

// CASES.md L3: a foreign apiURL.
func TestALinkCannotSayWhereTheKeyGoes(t *testing.T) {
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

func TestEveryLanguageAndTheme(t *testing.T) {
	t.Parallel()
	r, b := newRig(t), browser.New(t)
	r.integration("acme")
	for lang, title := range map[string]string{"en": "Connect The acme API", "de": "The acme API verbinden", "es": "Conectar The acme API", "fr": "Connecter The acme API", "ja": "The acme API を接続", "xx": "Connect The acme API"} {
		for theme, dark := range map[string]bool{"light": false, "dark": true} {
			b.Opens(r.siteURL() + "?lang=" + lang + "&theme=" + theme + "&session_token=" + r.session("acme"))
			b.Sees("#title", title)
			if got := b.Eval("getComputedStyle(document.querySelector('.card')).backgroundColor"); (got == "rgb(23, 25, 29)") != dark {
				t.Errorf("%s %s: the card is %s", lang, theme, got)
			}
			b.Accessible(lang + " " + theme)
			if got := b.Eval("document.documentElement.lang"); got != lang && lang != "xx" {
				t.Errorf("the page is in %s, not %s", got, lang)
			}
		}
	}
	b.Opens(r.siteURL())
	b.Sees("#what", "This link does not work")
	b.Quiet(r.siteURL())
}

// parent is a page that shows the site in a frame as Nango's client does: it
// waits for ready, and answers with the token.
const parent = `<!doctype html><iframe id="frame"></iframe><script>
const token = %q;
window.heard = [];
window.addEventListener("message", (event) => {
	heard.push(event.data);
	if (event.data.type === "ready") {
		document.getElementById("frame").contentWindow.postMessage({ type: "session_token", sessionToken: token }, "*");
	}
	if (event.data.type === "close") {
		document.getElementById("frame").remove();
	}
});
document.getElementById("frame").src = %q;
</script>`

func TestAProductShowsThePageInAFrame(t *testing.T) {
	t.Parallel()
	var text string
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, text) }))
	defer page.Close()
	r, b := newRigOf(t, setting{parents: []string{page.URL}}), browser.New(t)
	r.integration("acme")
	token := r.session("acme")
	text = fmt.Sprintf(parent, token, r.siteURL()+"?lang=en&theme=light")
	b.Opens(page.URL)
	hears(b, "ready")
	b.InFrame("the form", `(d) => d.querySelector("#key")?.checkVisibility()`)
	b.InFrame("the key", `(d) => { d.querySelector("#key").value = "key-1"; d.querySelector("#entry").requestSubmit(); return true; }`)
	hears(b, "connect")
	id := r.only("acme")
	if got := b.Eval(`JSON.stringify(heard.find((m) => m.type === "connect"))`); got != fmt.Sprintf(`{"type":"connect","payload":{"connectionId":%q,"providerConfigKey":"acme"}}`, id) {
		t.Errorf("it was told %s", got)
	}
	b.InFrame("the end", `(d) => { d.querySelector("#finish").click(); return true; }`)
	hears(b, "close")
}

// CASES.md L3: a foreign parent.
func TestAForeignPageCannotShowIt(t *testing.T) {
	t.Parallel()
	var text string
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, text) }))
	defer page.Close()
	r, b := newRig(t), browser.New(t)
	r.integration("acme")
	text = fmt.Sprintf(parent, r.session("acme"), r.siteURL())
	b.Opens(page.URL)
	b.Complains("frame-ancestors")
	if got := b.Eval("JSON.stringify(heard)"); got != "[]" {
		t.Errorf("it was told %s", got)
	}
}

// hears waits until a page that shows the site was told something.
func hears(b *browser.Page, kind string) {
	b.Says("the message "+kind, fmt.Sprintf(`window.heard.some((m) => m.type === %q)`, kind))
}
