// Package connect tests how an end user enters a key: a real Caddy with the API
// on one port and the Connect page's site on another, a real Vault, an upstream
// on a raw socket.
package connect

// This file holds what the cases share.

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// ops may do everything.
const ops = "ops-token-7c1e"

// app is the origin of the product, whose pages may show and use the site.
const app = "https://app.example"

// rig is a Caddy between a store of keys and an upstream.
type rig struct {
	t     *testing.T
	vault *vaulttest.Server
	up    *harness.Upstream
	caddy *harness.Caddy
	http  *http.Client

	api, site int // ports
}

// setting is what is particular about a Caddy.
type setting struct {
	catalog string   // URL of its database; its own one without
	parents []string // origins of further pages that may show the site
	origins []string // of further pages that may use it
	alone   bool     // nobody may show or use it from elsewhere
	site    string   // further lines of it
	api     string   // further lines of the API
	global  string   // further lines of Caddy's own options
}

// newRig starts a Caddy that logs all it can, with a Vault of its own.
func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigOf(t, setting{})
}

func newRigOf(t *testing.T, s setting) *rig {
	t.Helper()
	return startRig(t, vaulttest.Start(t), harness.NewUpstream(t, nil), s)
}

func startRig(t *testing.T, vault *vaulttest.Server, up *harness.Upstream, s setting) *rig {
	t.Helper()
	r := &rig{t: t, vault: vault, up: up, http: harness.HTTP1Client(t, nil), api: harness.Port(t), site: harness.Port(t)}
	env := []string{"OPS=" + ops, "VT=" + vault.Token}
	catalog := ""
	if s.catalog != "" {
		catalog = "\t\tcatalog postgres {env.DB}\n"
		env = append(env, "DB="+s.catalog)
	}
	others := "\t\tframe_ancestors " + strings.Join(append([]string{app}, s.parents...), " ") +
		"\n\t\tallowed_origins " + strings.Join(append([]string{app}, s.origins...), " ") + "\n"
	if s.alone {
		others = ""
	}
	config := fmt.Sprintf("{\n\tdebug\n%s\tapikey_inject {\n\t\tstore vault {\n\t\t\taddress %s\n\t\t\tauth token {env.VT}\n\t\t}\n%s\t\tegress {\n\t\t\tallow 127.0.0.1\n\t\t}\n\t}\n}\n", s.global, vault.Addr, catalog) +
		harness.Site(r.api, fmt.Sprintf("\tlog\n\tapikey_inject_api {\n\t\ttoken ops {env.OPS}\n\t\tconnect_url http://127.0.0.1:%d/\n%s\t}\n", r.site, s.api)) +
		harness.Site(r.site, "\tlog\n\tapikey_inject_connect {\n"+others+s.site+"\t}\n")
	r.caddy = harness.StartCaddy(t, config, harness.Env(env...))
	return r
}

// reply is an answer, read whole.
type reply struct {
	status int
	header http.Header
	body   string
}

// at returns the text at a path of the body.
func (a *reply) at(path ...string) string {
	var v any
	if json.Unmarshal([]byte(a.body), &v) != nil {
		return ""
	}
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// is asserts the status, and of a refusal the code.
func (a *reply) is(t *testing.T, status int, code string) *reply {
	t.Helper()
	if a.status != status || a.at("error", "code") != code {
		t.Fatalf("%d %s, want %d %s", a.status, a.body, status, code)
	}
	return a
}

// send sends a request to a port, with header lines ("Name: value").
func (r *rig) send(port int, token, method, path, body string, lines ...string) *reply {
	r.t.Helper()
	status, header, answer := harness.Call(r.t, r.http, method, fmt.Sprintf("http://127.0.0.1:%d%s", port, path), token, body, lines...)
	return &reply{status, header, answer}
}

// manage calls the management API, which must answer with this status.
func (r *rig) manage(status int, method, path, body string) *reply {
	r.t.Helper()
	a := r.send(r.api, ops, method, path, body)
	if a.status != status {
		r.t.Fatalf("%s %s: %d %s, want %d", method, path, a.status, a.body, status)
	}
	return a
}

// integration makes an integration that leads to the upstream.
func (r *rig) integration(key string) {
	r.t.Helper()
	r.manage(http.StatusOK, http.MethodPost, "/integrations", fmt.Sprintf(
		`{"provider": "private-api-generic", "unique_key": %q, "display_name": "The %s API", "integration_config": {"baseUrl": %q, "keyName": "Authorization", "valueTemplate": "Api-Key ${apiKey}", "keyLabel": "%s key"}}`,
		key, key, r.up.URL(), key))
}

// session makes a connect session and returns its token.
func (r *rig) session(integrations ...string) string {
	r.t.Helper()
	body, _ := json.Marshal(map[string]any{"allowed_integrations": integrations, "end_user": map[string]string{"id": "u-1"}})
	return r.manage(http.StatusCreated, http.MethodPost, "/connect/sessions", string(body)).at("data", "token")
}

// enters sends a key to the site, as Nango's clients do.
func (r *rig) enters(token, integration, key string, lines ...string) *reply {
	r.t.Helper()
	body, _ := json.Marshal(map[string]string{"apiKey": key})
	return r.send(r.site, "", http.MethodPost, "/api-auth/api-key/"+integration+"?connect_session_token="+token, string(body), lines...)
}

// arrives calls through the gateway and returns the key that the upstream got.
func (r *rig) arrives(integration, id string) string {
	r.t.Helper()
	r.up.Forget()
	r.send(r.api, ops, http.MethodGet, "/proxy/x", "", "Provider-Config-Key: "+integration, "Connection-Id: "+id)
	return strings.Join(r.up.Only().Values("Authorization"), ", ")
}
