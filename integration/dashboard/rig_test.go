// Package dashboard tests what a gateway shows of itself: whether it is ready, and
// the dashboard, by a person with a browser. A real Caddy with the API on one port
// and the Connect page on another, a real Vault, an upstream on a raw socket.
package dashboard

// This file holds what the cases share.

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// Values of the tokens. Ops may do everything, watch only look, half only the
// status.
const (
	ops   = "ops-token-7c1e"
	watch = "watch-token-11fa"
	half  = "half-token-90d2"
)

// rig is a Caddy between a store of keys and an upstream.
type rig struct {
	t     *testing.T
	vault *vaulttest.Server
	up    *harness.Upstream
	caddy *harness.Caddy
	http  *http.Client

	api, connect, route int // ports
}

// settings are what a rig may vary.
type settings struct {
	store  string // further lines of the store
	global string // further lines of the global option
	routes string // of a further site
	seal   bool   // Vault, before Caddy starts
	keys   map[string]string
	env    []string

	// catalog fills a database before Caddy starts, for integrations that lead to
	// a URL, and returns a line of the global option.
	catalog func(t *testing.T, url string, env *[]string) string
}

func newRig(t *testing.T, s settings) *rig {
	t.Helper()
	r := &rig{t: t, vault: vaulttest.Start(t), up: harness.NewUpstream(t, nil), http: harness.HTTP1Client(t, nil)}
	if s.catalog != nil {
		s.global += s.catalog(t, r.up.URL(), &s.env)
	}
	r.api, r.connect, r.route = harness.Port(t), harness.Port(t), harness.Port(t)
	for path, key := range s.keys {
		r.vault.Put(path, map[string]any{"apiKey": key})
	}
	if s.seal {
		r.vault.Seal()
	}
	config := fmt.Sprintf("{\n\tdebug\n\tapikey_inject {\n\t\tstore vault {\n\t\t\taddress %s\n\t\t\tauth token {env.VT}\n%s\t\t}\n\t\tegress {\n\t\t\tallow 127.0.0.1\n\t\t}\n%s\t}\n}\n", r.vault.Addr, s.store, s.global) +
		harness.Site(r.api, fmt.Sprintf("\tlog\n\tapikey_inject_api {\n\t\ttoken ops {env.OPS}\n"+
			"\t\ttoken watch {env.WATCH} {\n\t\t\tscopes integrations:read connections:read status\n\t\t}\n"+
			"\t\ttoken half {env.HALF} {\n\t\t\tscopes status\n\t\t}\n"+
			"\t\tconnect_url http://127.0.0.1:%d/\n\t\tdashboard on\n\t}\n", r.connect)) +
		harness.Site(r.connect, "\tlog\n\tapikey_inject_connect {\n\t}\n")
	if s.routes != "" {
		config += harness.Site(r.route, s.routes)
	}
	env := append([]string{"OPS=" + ops, "WATCH=" + watch, "HALF=" + half, "VT=" + r.vault.Token}, s.env...)
	r.caddy = harness.StartCaddy(t, config, harness.Env(env...))
	return r
}

// reply is an answer, read whole.
type reply struct {
	status int
	header http.Header
	body   string
}

// as sends a request to the API with a token.
func (r *rig) as(token, method, path, body string) *reply {
	r.t.Helper()
	status, header, answer := harness.Call(r.t, r.http, method, fmt.Sprintf("http://127.0.0.1:%d%s", r.api, path), token, body)
	return &reply{status, header, answer}
}

// manage calls the API, which must answer with this status.
func (r *rig) manage(status int, method, path, body string) *reply {
	r.t.Helper()
	a := r.as(ops, method, path, body)
	if a.status != status {
		r.t.Fatalf("%s %s: %d %s, want %d", method, path, a.status, a.body, status)
	}
	return a
}

// integration makes an integration that leads to the upstream.
func (r *rig) integration(key, name string) {
	r.t.Helper()
	r.manage(http.StatusOK, http.MethodPost, "/integrations", fmt.Sprintf(
		`{"provider": "private-api-generic", "unique_key": %q, "display_name": %q, "integration_config": {"baseUrl": %q, "keyName": "Authorization", "valueTemplate": "Api-Key ${apiKey}"}}`,
		key, name, r.up.URL()))
}

// connection enters a key.
func (r *rig) connection(integration, id, key string) {
	r.t.Helper()
	r.manage(http.StatusCreated, http.MethodPost, "/connections", fmt.Sprintf(
		`{"provider_config_key": %q, "connection_id": %q, "credentials": {"type": "API_KEY", "apiKey": %q}}`, integration, id, key))
}

// until looks every 20 ms whether f is content.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
