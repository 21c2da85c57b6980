// What the traces of requests could show.

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// TestLeakTraces exports the spans of requests that get a key, that get another
// one, whose upstream sends the key back, breaks off or is not there, and whose
// Vault is away.
func TestLeakTraces(t *testing.T) {
	t.Parallel()
	vault := vaulttest.Start(t)
	proxy := vault.Proxy(t)
	up := harness.NewUpstream(t, nil)
	c := harness.NewCollector(t)
	port := harness.Port(t)
	// The path of a document and what a caller sends are nobody's business
	// either; Caddy's own spans show the path of a request, not its query.
	document := newCanary("the path of the document")
	query := newCanary("the caller's query")
	secrets := []canary{canaryOf("the Vault token", vault.Token), canaryOf(document.name, document.cores[0]), canaryOf(query.name, query.cores[0])}
	var site strings.Builder
	keys := map[string]canary{}
	closed := fmt.Sprintf("http://127.0.0.1:%d", harness.Port(t))
	for _, p := range placements {
		keys[p.name] = newCanary("the key in " + p.name)
		secrets = append(secrets, keys[p.name])
		path := document.cores[0] + "/" + p.name
		vault.Put(path, map[string]any{"apiKey": keys[p.name].value})
		for route, base := range map[string]string{p.name: up.URL(), p.name + "-down": closed, p.name + "-unread": up.URL()} {
			path := path
			if strings.HasSuffix(route, "-unread") {
				path += "-unread"
			}
			fmt.Fprintf(&site, "\thandle /%[1]s/* {\n\t\ttracing {\n\t\t\tspan gateway\n\t\t}\n\t\tapikey_inject %[2]s {\n\t\t\tlabel_as %[1]s\n\t\t\tkey %[3]s\n%[4]s\t\t}\n\t}\n", route, base, path, p.lines+"\n")
		}
	}
	config := fmt.Sprintf("{\n\tapikey_inject {\n\t\tstore vault {\n\t\t\taddress %s\n\t\t\tstartup lazy\n\t\t\tttl 1s\n\t\t}\n\t}\n}\n", proxy.Addr) + harness.Site(port, site.String())
	harness.StartCaddy(t, config, harness.Env("VAULT_TOKEN="+vault.Token), c.Env())
	client := harness.HTTP1Client(t, nil)
	ask := func(path string) {
		req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/%s?q=%s", port, path, query.cores[0]), nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := client.Do(req); err == nil {
			_ = res.Body.Close()
		}
	}
	up.Answer(misbehave)
	for _, p := range placements {
		for _, kind := range []string{"plain", "truncated", "reset", "unsolicited", "500", "no-http", "header-name", "chunk", "trailer"} {
			ask(p.name + "/do/" + kind)
		}
		ask(p.name + "-down/x")
		former := keys[p.name]
		up.Answer(func(q *harness.Request) harness.Answer {
			if key, _ := received(q); key == former.value {
				return harness.Text(401, "refused: "+key)
			}
			return misbehave(q)
		})
		next := newCanary("the next key in " + p.name)
		secrets = append(secrets, next)
		vault.Put(document.cores[0]+"/"+p.name, map[string]any{"apiKey": next.value})
		ask(p.name + "/do/rotated")
		up.Answer(misbehave)
	}
	proxy.Fault(vaulttest.Reset)
	for _, p := range placements {
		ask(p.name + "-unread/do/plain")
	}
	for _, must := range []string{`"vault read"`, `"apikey_inject wait for key"`, "http.request.method", "no answer", "resend_count", "query-down", "unavailable"} {
		until(t, "spans with "+must, 20*time.Second, func() bool { return strings.Contains(strings.ReplaceAll(c.Text(), ":  ", ": "), must) })
	}
	noLeak(t, channel{"the spans", c.Text()}, []canary{canaryOf("the name of a route", "query-down")}, secrets)
}
