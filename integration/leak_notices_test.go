// What webhooks, alerts and events could show: what signs, where Slack is, the
// keys they tell of.

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

func TestLeaksOfWebhooksAndAlerts(t *testing.T) {
	t.Parallel()
	signs := canaryOf("what signs", "signs-"+newCanary("").cores[0])
	slack, token := canaryOf("Slack's URL", newCanary("").cores[0]), canaryOf("the token of the API", newCanary("").cores[0])
	hookToken := canaryOf("the token in the receiver's URL", newCanary("").cores[0])
	first, second := newCanary("the first key"), newCanary("the second key")
	secrets := []canary{signs, slack, token, hookToken, first, second}

	up, hooks, people := harness.NewUpstream(t, nil), harness.NewUpstream(t, nil), harness.NewUpstream(t, nil)
	port := harness.Port(t)
	config := fmt.Sprintf("{\n\tdebug\n\tapikey_inject {\n\t\tstore local\n\t\tegress {\n\t\t\tallow 127.0.0.1\n\t\t}\n\t\tintegration acme %s {\n\t\t\tname X-Api-Key\n\t\t}\n\t}\n}\n%s", up.URL(),
		harness.Site(port, "\tlog\n\tapikey_inject_api {\n\t\ttoken ops {env.OPS}\n\t\twebhook {env.HOOKS} {\n\t\t\tsecret {env.SIGNS}\n\t\t}\n\t\tslack {env.SLACK}\n\t}\n"))
	caddy := harness.StartCaddy(t, config, harness.Env("OPS="+token.value, "SIGNS="+signs.value,
		"HOOKS="+hooks.URL()+"/hooks?t="+hookToken.value, "SLACK="+people.URL()+"/services/"+slack.value))
	var answers strings.Builder
	call := func(method, path, body string, lines ...string) int {
		res := harness.Exchange(t, fmt.Sprintf("127.0.0.1:%d", port), nil, fmt.Sprintf(
			"%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s",
			method, path, port, token.value, len(body), strings.Join(append(lines, ""), "\r\n"), body))
		answers.WriteString(res.Raw)
		return res.Status
	}
	enter := func(id string, key canary) {
		t.Helper()
		if status := call("POST", "/connections", fmt.Sprintf(`{"provider_config_key": "acme", "connection_id": %q, "credentials": {"type": "API_KEY", "apiKey": %s}}`, id, inJSON(key.value))); status != http.StatusCreated {
			t.Fatal(status)
		}
	}
	proxied := func(id string) int {
		return call("GET", "/proxy/x", "", "Provider-Config-Key: acme", "Connection-Id: "+id)
	}
	logged := func(parts ...string) {
		t.Helper()
		until(t, fmt.Sprintf("a line with %q", parts), 30*time.Second, func() bool { return len(caddy.Log.Entries("apikey_inject", parts...)) > 0 })
	}

	// Receivers that refuse, that break off, that answer with what they got.
	hooks.Answer(func(q *harness.Request) harness.Answer {
		return harness.Text(500, q.String(), "Location: /again?"+q.Target)
	})
	people.Always(harness.Reset())
	up.Always(harness.Text(401, "refused"))
	enter("marked-connection", first)
	proxied("marked-connection")
	logged("a receiver of webhooks does not take them")
	logged("Slack does not take an alert")

	hooks.Always(harness.Text(200, "ok"))
	people.Always(harness.Text(200, "ok"))
	up.Always(harness.Text(200, "ok"))
	enter("marked-connection", second)
	proxied("marked-connection")
	up.Always(harness.Text(401, "refused"))
	enter("another", second)
	proxied("another")
	logged("takes them again")
	until(t, "a message in Slack", 60*time.Second, func() bool {
		for _, q := range people.Requests() {
			if strings.Contains(string(q.Body), "another") {
				return true
			}
		}
		return false
	})

	marker := []canary{canaryOf("the connection", "marked-connection")}
	var told strings.Builder
	for _, q := range append(hooks.Requests(), people.Requests()...) {
		fmt.Fprintf(&told, "%v\n%s\n", q.Fields, q.Body) // the targets have the tokens that they are for
	}
	noLeak(t, channel{"what receivers got", told.String()}, marker, secrets)
	noLeak(t, channel{"the answers", answers.String()}, marker, secrets)
	for _, path := range []string{"/config/", "/metrics", "/apikey_inject/status", "/apikey_inject/connections", "/debug/pprof/goroutine?debug=2"} {
		_, body, err := caddy.Do("GET", path, "")
		if err != nil {
			t.Fatal(err)
		}
		noLeak(t, channel{path, body}, nil, secrets)
	}
	for env, value := range map[string]string{"SIGNS": "short", "SLACK": "http://hooks.slack.example/" + slack.value, "HOOKS": "ftp://x/" + hookToken.value} {
		out := harness.Validate(t, config, harness.Env("OPS="+token.value, "SIGNS="+signs.value, "HOOKS="+hooks.URL()+"/?t="+hookToken.value, "SLACK="+people.URL()+"/"+slack.value, env+"="+value))
		if out.Code == 0 {
			t.Errorf("%s=%s was accepted", env, value)
		}
		noLeak(t, channel{"what validate says of " + env, out.Stdout + out.Stderr}, nil, secrets)
	}
	caddy.Stop()
	noLeak(t, channel{"the log", caddy.Log.String()}, append(marker, canaryOf("an event", "apikey_auth_failed")), secrets)
	noLeak(t, channel{"the files in Caddy's home", filesBelow(t, caddy.Home)}, append(marker, canaryOf("the variable", "env.SIGNS")), secrets)
}
