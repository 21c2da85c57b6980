// What trying a key could show: at its entry and later, of upstreams that take
// it, refuse it, break off and send it back.

package integration

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

func TestLeaksOfTriedKeys(t *testing.T) {
	t.Parallel()
	r := newGatewayRig(t, false)
	r.up.Answer(func(q *harness.Request) harness.Answer {
		if key, value := received(q); strings.Contains(q.Target, "/do/refuse") {
			return harness.Text(http.StatusUnauthorized, "no such key: "+key, "WWW-Authenticate: Key realm=\"x\", error=\""+encodings["path"](value)+"\"")
		}
		return misbehave(q)
	})
	kinds := append(slices.Collect(maps.Keys(broken)), "refuse", "plain", "500", "close", "truncated", "reset", "redirect-query", "switch", "unsolicited")
	for name := range broken {
		kinds = append(kinds, name+"-value")
	}
	slices.Sort(kinds)
	for _, p := range placements {
		r.must(t, "POST", "/integrations", fmt.Sprintf(`{"provider": "private-api-generic", "unique_key": %q, "integration_config": {"baseUrl": %q, %s}}`, p.name, r.up.URL()+"/"+p.name, wayIn[p.name]))
		for _, kind := range kinds {
			r.must(t, "PATCH", "/integrations/"+p.name, fmt.Sprintf(`{"verification": {"path": "/do/%s", "headers": {"X-Marked": "marked"}}}`, kind))
			r.up.Forget()
			status, want := r.do(t, "POST", "/connections", r.entered(p.name)), http.StatusCreated
			if kind == "refuse" {
				want = http.StatusBadRequest
			}
			if status != want {
				t.Errorf("%s, %s: entering a key: %d", p.name, kind, status)
			}
			if got, _ := received(r.up.Requests()[0]); got != r.keys[p.name].value {
				t.Fatalf("%s, %s: the upstream received the key %q", p.name, kind, got)
			}
		}
		// The newest key is refused from now on, and breaks what it is answered by.
		kind := map[string]string{"header": "refuse", "query": kinds[0]}[p.name]
		if kind != "" {
			r.must(t, "PATCH", "/integrations/"+p.name, fmt.Sprintf(`{"verification": {"path": "/do/%s", "interval": "10s"}}`, kind))
		}
	}
	until(t, "known keys to be tried", 60*time.Second, func() bool {
		return len(r.caddy.Log.Entries("apikey_inject.verification", "no verdict on a key", "marked-connection")) > 0 &&
			len(r.caddy.Log.Entries("apikey_inject", "the upstream refuses the key of a connection", "marked-connection")) > 0
	})
	r.must(t, "GET", "/status", "")
	connection := []canary{canaryOf("the connection", "marked-connection")}
	noLeak(t, channel{"the answers", r.answers.String()}, append(connection, canaryOf("the refusal", "connection_test_failed")), r.secrets)
	r.caddy.Stop()
	noLeak(t, channel{"the log", r.caddy.Log.String()}, append(connection, canaryOf("a trial", "no verdict on a key")), r.secrets)
	noLeak(t, channel{"the files in Caddy's home", filesBelow(t, r.caddy.Home)}, connection, r.secrets)
}
