package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// changes is how often each kind of reconfiguration happens (issue: 50 each).
const changes = 50

// gatewayUnderLoad is a gateway whose configuration changes while it serves.
type gatewayUnderLoad struct {
	t     *testing.T
	caddy *harness.Caddy
	vault *vaulttest.Server
	port  int
	up    [2]*harness.Upstream

	// expect is what an upstream must have seen, told in the answer's body,
	// of requests that start from now on; earlier ones may still bear former.
	expect atomic.Pointer[expectation]
}

type expectation struct {
	since time.Time
	want  string
}

// startGatewayUnderLoad runs a gateway with one integration and one route, and
// two upstreams that answer with what they received of the key.
func startGatewayUnderLoad(t *testing.T) *gatewayUnderLoad {
	g := &gatewayUnderLoad{t: t, vault: vaulttest.Start(t), port: harness.Port(t)}
	g.vault.Put("acme/0", map[string]any{"apiKey": "key-zero"})
	g.vault.Put("acme/1", map[string]any{"apiKey": "key-one"})
	for i := range g.up {
		up := harness.NewUpstream(t, nil)
		up.CountOnly()
		up.Answer(func(r *harness.Request) harness.Answer {
			_, query, _ := strings.Cut(r.Target, "?")
			return harness.Text(200, fmt.Sprintf("u%d|%s|%s|%s|", i,
				strings.Join(r.Values("X-Api-Key"), ","), strings.Join(r.Values("X-Other-Key"), ","), query))
		})
		g.up[i] = up
	}
	g.caddy = harness.StartCaddy(t, g.config("300s", 0), harness.Env("VT="+g.vault.Token))
	return g
}

// config is the whole configuration, as JSON. Every route number makes another
// one that serves the same.
func (g *gatewayUnderLoad) config(ttl string, route int) string {
	return fmt.Sprintf(`{
		"apps": {
			"apikey_inject": {
				"stores": {"vault": {"store": "vault", "addresses": [%q], "ttl": %q, "auth": {"method": "token", "token": "{env.VT}"}}},
				"integrations": {"acme": {
					"@id": "acme",
					"base_url": %q, "key_placement": "header", "key_name": "X-Api-Key", "value_template": "T0 ${apiKey}",
					"key": {"path": "acme/0"}, "allow": {"anyone": true}
				}}
			},
			"http": {"servers": {"main": {
				"listen": ["127.0.0.1:%d"],
				"automatic_https": {"disable": true},
				"routes": [
					{"match": [{"path": ["/route-%d"]}], "handle": [{"handler": "static_response", "body": "hello"}]},
					{"handle": [{"handler": "apikey_inject", "integration": "acme"}]}
				]
			}}}
		}
	}`, g.vault.Addr, ttl, g.up[0].URL(), g.port, route)
}

func (g *gatewayUnderLoad) url() string { return fmt.Sprintf("http://127.0.0.1:%d/x", g.port) }

// want says what requests that start from now on must carry.
func (g *gatewayUnderLoad) want(s string) { g.expect.Store(&expectation{time.Now(), s}) }

// check fails an answer that is not an upstream's, or whose request started
// after the answer to a reconfiguration and does not carry the new value.
func (g *gatewayUnderLoad) check(r *harness.Reply) error {
	e := g.expect.Load()
	if r.Status != http.StatusOK || !strings.HasPrefix(r.Body, "u") {
		return fmt.Errorf("status %d, %s: %s", r.Status, r.Header.Get("Apikey-Inject-Error"), r.Body)
	}
	if !strings.Contains(r.Body, "key-") {
		return errors.New("without a key: " + r.Body)
	}
	if r.Started.After(e.since) && !strings.Contains(r.Body, e.want) {
		return fmt.Errorf("started %s after the change, carries %q, not %q", r.Started.Sub(e.since), r.Body, e.want)
	}
	return nil
}

// load starts 200 requests/s.
func (g *gatewayUnderLoad) load() *harness.Running {
	g.want("T0 key-zero")
	if err := g.waitServing(); err != nil {
		g.t.Fatal(err)
	}
	return harness.Load{URL: g.url(), Check: g.check}.Start(g.t)
}

func (g *gatewayUnderLoad) waitServing() error {
	for deadline := time.Now().Add(20 * time.Second); ; {
		res, err := http.Get(g.url())
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("gateway does not serve: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (g *gatewayUnderLoad) done(load *harness.Running) {
	g.t.Helper()
	rep := load.Stop()
	g.t.Log(rep)
	if rep.Failed() != 0 {
		g.t.Errorf("%d failed requests", rep.Failed())
	}
	if rep.Sent < 100 {
		g.t.Errorf("only %d requests were sent", rep.Sent)
	}
}

// TestPatchUnderLoad patches one field of the integration back and forth. No
// request fails, and every one that starts after the answer to a PATCH carries
// the new value.
func TestPatchUnderLoad(t *testing.T) {
	g := startGatewayUnderLoad(t)
	const at = "/config/apps/apikey_inject/integrations/acme/"
	quote := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	for _, c := range []struct {
		name, path string
		values     [2]string // the first is there at the start
		wants      [2]string
	}{
		{"base_url", at + "base_url", [2]string{quote(g.up[0].URL()), quote(g.up[1].URL())}, [2]string{"u0|", "u1|"}},
		{"placement", at + "key_placement", [2]string{`"header"`, `"query"`}, [2]string{"|T0 key-zero||", "|||X-Api-Key=T0%20key-zero"}},
		{"name", at + "key_name", [2]string{`"X-Api-Key"`, `"X-Other-Key"`}, [2]string{"|T0 key-zero||", "||T0 key-zero|"}},
		{"template", at + "value_template", [2]string{`"T0 ${apiKey}"`, `"T1 ${apiKey}"`}, [2]string{"T0 key-zero", "T1 key-zero"}},
		{"key", at + "key/path", [2]string{`"acme/0"`, `"acme/1"`}, [2]string{"key-zero", "key-one"}},
		{"by @id", "/id/acme/value_template", [2]string{`"T0 ${apiKey}"`, `"T1 ${apiKey}"`}, [2]string{"T0 key-zero", "T1 key-zero"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g.t = t
			load := g.load()
			for n := 1; n <= changes; n++ {
				g.want("key-") // until the answer, both are right
				if err := g.caddy.Patch(c.path, c.values[n%2]); err != nil {
					t.Fatal(err)
				}
				g.want(c.wants[n%2])
				time.Sleep(20 * time.Millisecond) // some requests between two changes
			}
			g.done(load)
		})
	}
}

// TestLoadUnderLoad replaces the whole configuration, with another ttl and
// another route each time.
func TestLoadUnderLoad(t *testing.T) {
	g := startGatewayUnderLoad(t)
	load := g.load()
	for n := 1; n <= changes; n++ {
		if err := g.caddy.Load(g.config(fmt.Sprintf("%ds", 60+n), n)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	g.done(load)
}

// TestBrokenConfigUnderLoad loads configurations that fail, some while parsing,
// some in Provision, some in the Start of another app. The old configuration
// serves on, and still refreshes: a new value in Vault arrives.
func TestBrokenConfigUnderLoad(t *testing.T) {
	g := startGatewayUnderLoad(t)
	good := g.config("2s", 0)
	if err := g.caddy.Load(good); err != nil {
		t.Fatal(err)
	}
	taken := harness.NewUpstream(t, nil).Addr()
	broken := []string{
		strings.Replace(good, `"key_name": "X-Api-Key"`, `"key_name": "Host"`, 1),
		strings.Replace(good, `"integration": "acme"`, `"integration": "acne"`, 1),
		strings.Replace(good, `{env.VT}`, `{env.NOT_THERE}`, 1),
		strings.Replace(good, fmt.Sprintf("127.0.0.1:%d", g.port), taken, 1),
	}
	load := g.load()
	for n := range changes {
		if err := g.caddy.Load(broken[n%len(broken)]); err == nil {
			t.Fatalf("broken configuration %d was accepted", n%len(broken))
		}
		time.Sleep(20 * time.Millisecond)
	}
	g.want("T0 key-")
	g.vault.Put("acme/0", map[string]any{"apiKey": "key-new"})
	time.Sleep(2500 * time.Millisecond) // the ttl, and time for a read
	g.want("T0 key-new")
	time.Sleep(500 * time.Millisecond)
	g.done(load)
}
