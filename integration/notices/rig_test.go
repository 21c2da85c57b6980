// Package notices tests what a real Caddy tells of keys, stores and connections:
// in its log, as events, in webhooks, in Slack.
package notices

// This file holds what the cases share.

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

const (
	ops = "ops-token-3d55"

	// signing is what webhooks are signed with.
	signing = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

// rig is a Caddy that tells a receiver and a Slack.
type rig struct {
	t     *testing.T
	vault *vaulttest.Server // nil with the local store
	up    *harness.Upstream
	caddy *harness.Caddy
	port  int
	http  *http.Client
	hooks *receiver
	slack *receiver

	config string // the Caddyfile
}

// settings are what a rig may vary.
type settings struct {
	vault   *vaulttest.Server // keys are there. Default: in the local store
	token   string            // for it. Default: its root token
	vaultAt string            // its address, when it is asked through a proxy
	hooks   *receiver         // Default: one of its own
	slack   *receiver
	up      *harness.Upstream
	global  string // lines of the global option
	top     string // lines of the global options
	site    string // further lines of the site
	egress  string // what egress allows. Default: 127.0.0.1
	env     []string
	options []harness.Option
}

func newRig(t *testing.T, s settings) *rig {
	t.Helper()
	r := &rig{t: t, vault: s.vault, up: s.up, port: harness.Port(t), http: harness.HTTP1Client(t, nil), hooks: s.hooks, slack: s.slack}
	if r.up == nil {
		r.up = harness.NewUpstream(t, nil)
	}
	if r.hooks == nil {
		r.hooks = newReceiver(t)
	}
	if r.slack == nil {
		r.slack = newReceiver(t)
	}
	if s.egress == "" {
		s.egress = "127.0.0.1"
	}
	env := append([]string{"OPS=" + ops, "WEBHOOK_SECRET=" + signing, "SLACK=" + r.slack.srv.URL + "/services/T0/B0/slack-canary"}, s.env...)
	store := "store local"
	if s.vault != nil {
		if s.token == "" {
			s.token = s.vault.Token
		}
		if s.vaultAt == "" {
			s.vaultAt = s.vault.Addr
		}
		env = append(env, "VT="+s.token)
		store = "store vault {\n\t\t\taddress " + s.vaultAt + "\n\t\t\tauth token {env.VT}\n\t\t\tttl 1s\n\t\t}"
	}
	r.config = fmt.Sprintf("{\n%s\tapikey_inject {\n\t\t%s\n\t\tegress {\n\t\t\tallow %s\n\t\t}\n%s\t}\n}\n%s", s.top, store, s.egress, s.global,
		harness.Site(r.port, "\tapikey_inject_api {\n\t\ttoken ops {env.OPS}\n\t\twebhook "+r.hooks.srv.URL+"/hooks {\n\t\t\tsecret {env.WEBHOOK_SECRET}\n\t\t}\n\t\tslack {env.SLACK}\n\t}\n"+s.site))
	r.caddy = harness.StartCaddy(t, r.config, append(s.options, harness.Env(env...))...)
	return r
}

// do sends a request with the token of ops, and returns the status, 0 for no
// answer, and the body.
func (r *rig) do(method, path, body string, lines ...string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, fmt.Sprintf("http://127.0.0.1:%d%s", r.port, path), strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+ops)
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		req.Header.Set(name, value)
	}
	res, err := r.http.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	b, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(b)
}

func (r *rig) must(method, path, body string) string {
	r.t.Helper()
	status, answer := r.do(method, path, body)
	if status/100 != 2 {
		r.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	return answer
}

// integration makes an integration that leads to the upstream. More fields may
// follow.
func (r *rig) integration(key string, more ...string) {
	r.t.Helper()
	r.must(http.MethodPost, "/integrations", fmt.Sprintf(
		`{"provider": "private-api-generic", "unique_key": %q, "integration_config": {"baseUrl": %q, "keyName": "X-Api-Key"}%s}`,
		key, r.up.URL(), strings.Join(append([]string{""}, more...), ", ")))
}

// connection enters a key. More fields of the connection may follow.
func (r *rig) connection(integration, id, key string, more ...string) {
	r.t.Helper()
	r.must(http.MethodPost, "/connections", fmt.Sprintf(
		`{"provider_config_key": %q, "connection_id": %q, "credentials": {"type": "API_KEY", "apiKey": %q}%s}`,
		integration, id, key, strings.Join(append([]string{""}, more...), ", ")))
}

// call goes through the gateway.
func (r *rig) call(integration, id string) int {
	r.t.Helper()
	status, _ := r.do(http.MethodGet, "/proxy/", "", "Provider-Config-Key: "+integration, "Connection-Id: "+id)
	return status
}

// refuse has the upstream refuse this key.
func refuse(key string) func(*harness.Request) harness.Answer {
	return func(q *harness.Request) harness.Answer {
		if slices.Equal(q.Values("X-Api-Key"), []string{key}) {
			return harness.Text(http.StatusUnauthorized, "refused")
		}
		return harness.Text(http.StatusOK, "ok")
	}
}

// got is what a receiver got.
type got struct {
	at     time.Time
	path   string
	header http.Header
	raw    string
}

// receiver notes what is posted to it, on a port of this machine.
type receiver struct {
	srv *httptest.Server

	mu     sync.Mutex
	all    []got
	answer func(n int) int // status; nil: 200
}

func newReceiver(t testing.TB) *receiver {
	v := &receiver{}
	v.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		v.mu.Lock()
		n, answer := len(v.all), v.answer
		v.all = append(v.all, got{time.Now(), r.URL.Path, r.Header.Clone(), string(b)})
		v.mu.Unlock()
		if answer != nil {
			w.WriteHeader(answer(n))
		}
	}))
	t.Cleanup(v.srv.Close)
	return v
}

func (v *receiver) set(answer func(n int) int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answer = answer
}

func (v *receiver) got() []got {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.all)
}

// with returns those that have all parts in their bodies.
func (v *receiver) with(parts ...string) (list []got) {
	for _, g := range v.got() {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(g.raw, p) }) {
			list = append(list, g)
		}
	}
	return list
}

// body decodes a webhook.
func (g got) body(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(g.raw), &m); err != nil {
		t.Fatalf("%v: %s", err, g.raw)
	}
	return m
}

func (g got) id() string { return g.header.Get("Webhook-Id") }

// signed fails unless both signatures are good.
func (g got) signed(t *testing.T) {
	t.Helper()
	wh, err := standard.NewWebhook(signing)
	if err != nil {
		t.Fatal(err)
	}
	if err := wh.Verify([]byte(g.raw), g.header); err != nil {
		t.Errorf("%v: %v %s", err, g.header, g.raw)
	}
	if want := nangoSignature(g.raw); g.header.Get("X-Nango-Hmac-Sha256") != want {
		t.Errorf("Nango's signature is %s, want %s", g.header.Get("X-Nango-Hmac-Sha256"), want)
	}
}

// until looks until f is content. The limit is for a machine that does ten
// things at once; what matters is how often things come, and in which order.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	within(t, 30*time.Second, what, f)
}

func within(t *testing.T, limit time.Duration, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(limit); !f(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%s: not within %s", what, limit)
		}
	}
}
