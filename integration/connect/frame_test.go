package connect

// This file holds how the page behaves in a frame, and whom it listens to.

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/apikeyinject/caddy-apikey-inject/integration/browser"
)

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
func TestL3AForeignPageCannotShowIt(t *testing.T) {
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

// servePage serves a text under another host name.
func servePage(t *testing.T, host string) (origin string, says func(format string, args ...any)) {
	t.Helper()
	text := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprint(w, text)
	}))
	t.Cleanup(server.Close)
	_, port, _ := strings.Cut(server.Listener.Addr().String(), ":")
	return "http://" + host + ":" + port, func(format string, args ...any) { text = fmt.Sprintf(format, args...) }
}

// CASES.md L3: a foreign parent, of a browser that knows no frame-ancestors.
// With a token of its own it would get what the end user enters.
func TestL3AForeignPageCannotGiveThePageItsToken(t *testing.T) {
	t.Parallel()
	origin, says := servePage(t, "foreign.localhost")
	r, b := newRig(t), browser.New(t)
	r.integration("acme")
	l := newLine(t, r.siteURL())
	l.unguarded = true
	says(`<!doctype html><iframe id="frame" src=%q></iframe><script>
window.heard = [];
window.addEventListener("message", (event) => heard.push(event.data));
window.gives = () => document.getElementById("frame").contentWindow.postMessage({ type: "session_token", sessionToken: %q }, "*");
</script>`, l.url, r.session("acme"))
	b.Opens(origin)
	b.InFrame("that it waits", `(d) => d.querySelector("#loading h1").textContent === "Loading…"`)
	// A request behind the message: whatever the page asks for because of that,
	// it has asked for before.
	b.InFrame("listening", `(d) => { addEventListener("message", () => fetch("behind")); return true; }`)
	b.Eval("gives()")
	b.Until("a request behind", func(context.Context, *chromedp.Target) bool { return asked(b, "/behind") == 1 })
	if got := b.Eval("JSON.stringify(heard)"); got != "[]" {
		t.Errorf("it was told %s", got)
	}
	if asked(b, "/connect/session") > 0 {
		t.Error("the page has taken the token")
	}
}

// asked counts how often a path was asked for.
func asked(b *browser.Page, path string) int {
	return len(slices.DeleteFunc(b.Asked(), func(url string) bool { return !strings.HasSuffix(url, path) }))
}

// A page that may show it is not the one that shows it: what is beside it in the
// product's page has no say.
func TestAnotherFrameCannotGiveThePageItsToken(t *testing.T) {
	t.Parallel()
	product, saysProduct := servePage(t, "product.localhost")
	beside, saysBeside := servePage(t, "beside.localhost")
	r, b := newRigOf(t, setting{parents: []string{product, beside}}), browser.New(t)
	r.integration("acme")
	r.integration("other")
	saysBeside(`<script>
window.addEventListener("message", () => {
	parent.frames[0].postMessage({ type: "session_token", sessionToken: %q }, "*");
	parent.postMessage("given", "*");
});
</script>`, r.session("other"))
	saysProduct(`<!doctype html><iframe src=%q></iframe><iframe src=%q></iframe><script>
window.heard = [];
window.addEventListener("message", (event) => {
	heard.push(event.data);
	if (event.data.type === "ready") { frames[1].postMessage("give", "*"); }
	if (event.data === "given") { frames[0].postMessage({ type: "session_token", sessionToken: %q }, "*"); }
});
</script>`, r.siteURL(), beside, r.session("acme"))
	b.Opens(product)
	b.InFrame("the form", `(d) => d.querySelector("#key")?.checkVisibility()`)
	b.InFrame("the integration of the product's session", `(d) => d.querySelector("#label").textContent === "acme key"`)
	if n := asked(b, "/connect/session"); n != 1 {
		t.Errorf("it has asked for %d sessions", n)
	}
}
