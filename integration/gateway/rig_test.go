// Package gateway tests integrations and connections that are made through the
// API, and the gateway that calls them: a real Caddy, a real Vault or the local
// store, an upstream on a raw socket.
package gateway

// This file holds what the cases share.

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// ops may do everything.
const ops = "ops-token-7c1e"

// rig is a Caddy with the API, between a store of keys and an upstream.
type rig struct {
	t     *testing.T
	vault *vaulttest.Server // nil with the local store
	reads *vaulttest.Proxy  // before it, where settings.counted
	up    *harness.Upstream
	caddy *harness.Caddy
	port  int
	http  *http.Client

	config string // the Caddyfile
}

// settings are what a rig may vary.
type settings struct {
	local   bool              // keys in the local store, not in Vault
	counted bool              // Vault is asked through a proxy that notes each request
	keys    map[string]string // documents in Vault before Caddy starts: path and key
	global  string            // lines of the global option
	api     string            // lines of apikey_inject_api
	site    string            // further lines of the site
	sites   string            // further sites
	egress  string            // what egress allows. Default: 127.0.0.1
	tls     *tls.Config       // of the upstream. Default: in clear
	env     []string
	options []harness.Option
}

// newRig starts a Caddy whose egress leads to the upstream.
func newRig(t *testing.T, s settings) *rig {
	t.Helper()
	r := &rig{t: t, up: harness.NewUpstream(t, s.tls), port: harness.Port(t), http: harness.HTTP1Client(t, nil)}
	env := append([]string{"OPS=" + ops}, s.env...)
	store := "store local"
	if !s.local {
		r.vault = vaulttest.Start(t)
		for path, key := range s.keys {
			r.vault.Put(path, map[string]any{"apiKey": key})
		}
		env = append(env, "VT="+r.vault.Token)
		address := r.vault.Addr
		if s.counted {
			r.reads = r.vault.Proxy(t)
			address = r.reads.Addr
		}
		store = "store vault {\n\t\t\taddress " + address + "\n\t\t\tauth token {env.VT}\n\t\t}"
	}
	if s.egress == "" {
		s.egress = "127.0.0.1"
	}
	r.config = fmt.Sprintf("{\n\tapikey_inject {\n\t\t%s\n\t\tegress {\n\t\t\tallow %s\n\t\t}\n%s\t}\n}\n%s", store, s.egress, s.global,
		harness.Site(r.port, "\tapikey_inject_api {\n\t\ttoken ops {env.OPS}\n"+s.api+"\t}\n"+s.site)) + s.sites
	r.caddy = harness.StartCaddy(t, r.config, append(s.options, harness.Env(env...))...)
	return r
}

// reply is an answer, read whole.
type reply struct {
	status int
	header http.Header
	body   string
}

// json decodes the body.
func (a *reply) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("%d %q: %v", a.status, a.body, err)
	}
	return v
}

// as sends a request with a token and header lines ("Name: value").
func (r *rig) as(token, method, path, body string, lines ...string) *reply {
	r.t.Helper()
	status, header, answer := harness.Call(r.t, r.http, method, fmt.Sprintf("http://127.0.0.1:%d%s", r.port, path), token, body, lines...)
	return &reply{status, header, answer}
}

// tries sends a request to a Caddy that may be killed meanwhile, and returns the
// status, 0 for no answer.
func (r *rig) tries(method, path, body string) int {
	req, err := http.NewRequestWithContext(r.t.Context(), method, fmt.Sprintf("http://127.0.0.1:%d%s", r.port, path), strings.NewReader(body))
	if err != nil {
		r.t.Error(err)
		return 0
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+ops)
	res, err := r.http.Do(req)
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// api calls the management API, which must answer with this status.
func (r *rig) api(status int, method, path, body string, lines ...string) *reply {
	r.t.Helper()
	a := r.as(ops, method, path, body, lines...)
	if a.status != status {
		r.t.Fatalf("%s %s: %d %s, want %d", method, path, a.status, a.body, status)
	}
	return a
}

// integration makes an integration that leads to the upstream.
func (r *rig) integration(key, config string) {
	r.t.Helper()
	r.api(http.StatusOK, http.MethodPost, "/integrations", fmt.Sprintf(
		`{"provider": "private-api-generic", "unique_key": %q, "integration_config": {"baseUrl": %q, "keyName": "Authorization", "valueTemplate": "Api-Key ${apiKey}"%s}}`,
		key, r.up.URL(), config))
}

// connection enters a key. More fields of the connection may follow.
func (r *rig) connection(integration, id, key string, more ...string) *reply {
	r.t.Helper()
	return r.api(http.StatusCreated, http.MethodPost, "/connections", entering(integration, id, key, more...))
}

// entering is a body that enters a key.
func entering(integration, id, key string, more ...string) string {
	body, err := json.Marshal(map[string]any{
		"provider_config_key": integration, "connection_id": id, "credentials": map[string]string{"type": "API_KEY", "apiKey": key},
	})
	if err != nil {
		panic(err)
	}
	return strings.Join(append([]string{strings.TrimSuffix(string(body), "}")}, more...), ", ") + "}"
}

// creating is a body that makes an integration.
func creating(key, baseURL string) string {
	return fmt.Sprintf(`{"provider": "private-api-generic", "unique_key": %q, "integration_config": {"baseUrl": %q, "keyName": "Authorization", "valueTemplate": "Api-Key ${apiKey}"}}`, key, baseURL)
}

// connectionPath names a connection in the API.
func connectionPath(integration, id string) string {
	return "/connections/" + url.PathEscape(id) + "?provider_config_key=" + url.QueryEscape(integration)
}

// proxy calls through the gateway.
func (r *rig) proxy(integration, id, method, path, body string, lines ...string) *reply {
	r.t.Helper()
	return r.as(ops, method, "/proxy"+path, body, append([]string{"Provider-Config-Key: " + integration, "Connection-Id: " + id}, lines...)...)
}

// wantRefusal fails unless the answer is the gateway's, with that status and
// code, and the upstream was not asked.
func (r *rig) wantRefusal(t *testing.T, a *reply, status int, code string) {
	t.Helper()
	header := code
	if code == "unknown_provider_config" { // Nango's word, in the body only
		header = "unknown_integration"
	}
	if a.status != status || a.code(t) != code || a.header.Get("Apikey-Inject-Error") != header {
		t.Errorf("answered %d %v %s, want %d %s", a.status, a.header, a.body, status, code)
	}
	if hits := r.up.Hits(); hits != 0 {
		t.Errorf("the upstream was hit %d times, want 0", hits)
	}
}

// wantKey fails unless the upstream received one request, which carries this
// value in the header Authorization and nowhere else.
func (r *rig) wantKey(t *testing.T, value string) *harness.Request {
	t.Helper()
	got := r.up.Only()
	if v := got.Values("Authorization"); len(v) != 1 || v[0] != value || strings.Count(got.String(), value) != 1 {
		t.Errorf("the upstream received %s, want one Authorization: %s", got, value)
	}
	return got
}

// wantAudit fails unless the audit gets at least n lines with these parts.
func (r *rig) wantAudit(t *testing.T, n int, parts ...string) {
	t.Helper()
	r.wantLog(t, "apikey_inject.audit", n, parts...)
}

// wantLog fails unless a logger writes at least n lines with these parts: they
// come through a pipe, after the answers that they are about.
func (r *rig) wantLog(t *testing.T, logger string, n int, parts ...string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for {
		have := len(r.caddy.Log.Entries(logger, parts...))
		if have >= n {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Errorf("%d lines of %s have %q, want %d", have, logger, parts, n)
			return
		}
	}
}

// addr is where the API and the gateway are.
func (r *rig) addr() string { return fmt.Sprintf("127.0.0.1:%d", r.port) }

// send sends the exact bytes of a request for a target with these header lines,
// and the token of ops.
func (r *rig) send(t *testing.T, method, target, body string, lines ...string) *harness.RawResponse {
	t.Helper()
	return r.sendBare(t, method, target, body, append([]string{"Authorization: Bearer " + ops}, lines...)...)
}

// sendBare is send without a token.
func (r *rig) sendBare(t *testing.T, method, target, body string, lines ...string) *harness.RawResponse {
	t.Helper()
	if body != "" {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	return harness.Exchange(t, r.addr(), nil, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n%s", method, target, r.addr(), strings.Join(lines, "\r\n"), body))
}

// code returns the code of an error.
func (a *reply) code(t *testing.T) string {
	t.Helper()
	e, _ := a.json(t)["error"].(map[string]any)
	code, _ := e["code"].(string)
	return code
}
