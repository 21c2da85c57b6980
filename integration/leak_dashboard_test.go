// What a person leaves behind who works with the dashboard: the token typed in, and
// the links that were made.

package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/browser"
	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

func TestLeaksOfTheDashboard(t *testing.T) {
	t.Parallel()
	vault := vaulttest.Start(t)
	ops := canaryOf("the API token", "ops"+strings.ToLower(newCanary("").cores[0]))
	wrong := canaryOf("a token that is none", "none"+strings.ToLower(newCanary("").cores[0]))
	key := newCanary("a key")
	secrets := append(make([]canary, 0, 5), ops, wrong, key, canaryOf("the Vault token", vault.Token))
	port := harness.Port(t)
	at := fmt.Sprintf("http://127.0.0.1:%d/", port)
	// The caller's own Authorization holds the token, and is the caller's to show.
	seen := strings.ReplaceAll(seen, "{http.request.header.Authorization}|", "")
	c := harness.StartCaddy(t, fmt.Sprintf("{\n\tdebug\n\tservers 127.0.0.1:%d {\n\t\ttrace\n\t}\n\tapikey_inject {\n\t\tstore vault {\n\t\t\taddress %s\n\t\t\tauth token {env.VT}\n\t\t}\n\t}\n}\n", port, vault.Addr)+
		harness.Site(port, "\tlog\n\tlog_append seen \""+seen+"\"\n\tapikey_inject_api {\n\t\ttoken ops {env.OPS}\n\t\tconnect_url https://connect.example\n\t\tdashboard on\n\t}\n"),
		harness.Env("OPS="+ops.value, "VT="+vault.Token))

	b := browser.New(t)
	b.Opens(at)
	b.Sees("label", "Token of the API")
	b.Types(wrong.value)
	b.Presses(browser.Enter)
	b.Sees("[role=alert]", "There is no such token.")
	b.Eval(`document.getElementById("token").select()`)
	b.Types(ops.value)
	b.Presses(browser.Enter)
	b.Sees("h1", "Overview")
	// What a person does, and an answer that is wrong about it.
	b.Eval(`location.hash = "#/new"`)
	b.Sees("h1", "New integration")
	for _, f := range [][2]string{{"unique_key", "marked"}, {"baseUrl", "https://api.example"}, {"keyName", "X-Key"}} {
		b.Eval(fmt.Sprintf(`document.getElementById(%q).focus()`, f[0]))
		b.Types(f[1])
	}
	b.Presses(browser.Enter)
	b.Sees("#notice", "It was created.")
	b.Sees("h1", "marked")
	b.Clicks("button.main")
	b.Sees("dialog", "Id of the end user")
	b.Types("marked-user")
	b.Presses(browser.Enter)
	b.Sees("dialog", "It is not shown again.")
	_, session, _ := strings.Cut(b.Eval(`document.getElementById("link").value`), "#session_token=")
	if !strings.HasPrefix(session, "nango_connect_session_") {
		t.Fatalf("the link has no token: %q", session)
	}
	token := canaryOf("the token of the session", strings.TrimPrefix(session, "nango_connect_session_"))
	b.Presses("\u001b")
	b.Says("the dialog to go", `!document.querySelector("dialog")`)
	// A key that somebody pastes where a name belongs is refused, and goes nowhere.
	b.Eval(`location.hash = "#/new"`)
	b.Sees("h1", "New integration")
	b.Eval(`document.getElementById("valueTemplate").focus()`)
	b.Types(key.value)
	b.Presses(browser.Enter)
	b.Sees("#valueTemplate-error", "Value template has an invalid format")
	b.Clicks("#leave")
	b.Sees("label", "Token of the API")

	secrets = append(secrets, token)
	noLeak(t, channel{"the page", b.Eval("document.documentElement.outerHTML + JSON.stringify([...document.querySelectorAll('input')].map((e) => e.value))")}, []canary{canaryOf("the page", "Token of the API")}, secrets)
	noLeak(t, channel{"the browser's storage", b.Eval("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href, history.state, document.referrer, document.title])")}, []canary{canaryOf("the address", at)}, secrets)
	noLeak(t, channel{"the URLs it asked for", strings.Join(b.Asked(), "\n")}, []canary{canaryOf("the path of the session", "connect/sessions")}, secrets)
	for _, path := range []string{"/apikey_inject/health", "/apikey_inject/token", "/apikey_inject/status", "/config/", "/metrics"} {
		if _, body, err := c.Do("GET", path, ""); err != nil || body == "" {
			t.Errorf("%s: %v", path, err)
		} else {
			noLeak(t, channel{"GET " + path, body}, nil, secrets)
		}
	}
	c.Stop()
	noLeak(t, channel{"the log", c.Log.String()}, []canary{canaryOf("the action", "session.create"), canaryOf("the access log", "/dashboard/assets/main.js")}, secrets)
	noLeak(t, channel{"the files in Caddy's home", filesBelow(t, c.Home)}, nil, secrets)
}
