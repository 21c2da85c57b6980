// The Caddy that the leak tests share: every placement, every way of logging
// in, and every directive that could show what it should not see.

package integration

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// placement is one way of putting a key on a request.
type placement struct{ name, lines, store string }

var placements = []placement{
	{"header", "name X-Api-Key", "by_token"},
	{"bearer", "name Authorization\n template \"Bearer ${apiKey}\"", "by_env"},
	{"basic", "name Authorization\n template \"Basic ${base64(user:${apiKey})}\"", "by_file"},
	{"query", "placement query\n name key", "by_token"},
}

// leakRig is a Caddy with two servers, one of which logs credentials, an
// upstream that misbehaves on demand, and another that error routes go to.
type leakRig struct {
	vault   *vaulttest.Server
	caddy   *harness.Caddy
	up      *harness.Upstream
	backend *harness.Upstream
	config  string
	env     []string

	addrs []string // log_credentials off, on

	keys    []canary // what the placements inject
	logins  []canary // what Caddy logs in to Vault with
	secrets []canary // all of these
	markers []canary // what a caller sends: header X-Api-Key, query key
}

// everything that a directive can read of a request.
const seen = `{http.request.header.X-Api-Key}|{http.request.header.Authorization}|{http.request.header.*}|{http.request.uri}|{http.request.orig_uri}|{http.request.uri.query.key}|{http.apikey_inject.key_version}|{http.apikey_inject.outcome}`

// newLeakRig starts all of it.
func newLeakRig(t *testing.T) *leakRig {
	t.Helper()
	r := &leakRig{vault: vaulttest.Start(t), up: harness.NewUpstream(t, nil), backend: harness.NewUpstream(t, nil)}
	stores := r.logIn(t)
	var routes strings.Builder
	closed := fmt.Sprintf("http://127.0.0.1:%d", harness.Port(t))
	stranger := harness.NewUpstream(t, harness.NewCA(t).ServerTLS())
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	for _, p := range placements {
		key := newCanary("the key in " + p.name)
		r.keys = append(r.keys, key)
		r.vault.Put("leak/"+p.name, map[string]any{"apiKey": key.value})
		routes.WriteString(route("/"+p.name, r.up.URL()+"/"+p.name, p))
		routes.WriteString(route("/refused/"+p.name, closed, p))
		routes.WriteString(route("/notls/"+p.name, "https://"+plain.Listener.Addr().String(), p))
		routes.WriteString(route("/unknown/"+p.name, stranger.URL(), p))
	}
	r.secrets = append(append(r.secrets, r.keys...), r.logins...)
	r.markers = []canary{newCanary("the caller's header"), newCanary("the caller's query")}

	site := `	log
	log_append seen "` + seen + `"
	log_append <early "` + seen + `"
	tracing {
		span leaks
	}
	templates
` + routes.String() + `
	respond /own "` + seen + `"
	handle_errors {
		@backend header X-Want backend
		handle @backend {
			reverse_proxy ` + r.backend.Addr() + ` {
				header_up X-Copy "` + seen + `"
			}
		}
		handle {
			respond "{http.error}|{http.error.message}|{http.error.trace}|{http.apikey_inject.error}|` + seen + `"
		}
	}`
	quiet, loud := harness.Port(t), harness.Port(t)
	r.addrs = []string{fmt.Sprintf("127.0.0.1:%d", quiet), fmt.Sprintf("127.0.0.1:%d", loud)}
	r.config = fmt.Sprintf("{\n\tdebug\n\tmetrics {\n\t\tper_host\n\t}\n\tservers %s {\n\t\ttrace\n\t}\n\tservers %s {\n\t\ttrace\n\t\tlog_credentials\n\t}\n\tapikey_inject {\n%s\t}\n}\n",
		r.addrs[0], r.addrs[1], stores) + harness.Site(quiet, site) + harness.Site(loud, site)
	r.env = append(r.env, "OTEL_TRACES_EXPORTER=console", "OTEL_BSP_SCHEDULE_DELAY=100")
	r.caddy = harness.StartCaddy(t, r.config, harness.Env(r.env...))
	r.up.Answer(misbehave)
	return r
}

// logIn makes a store for each place that a credential can come from.
func (r *leakRig) logIn(t *testing.T) string {
	t.Helper()
	r.vault.Policy("reader", `path "secret/*" { capabilities = ["read"] } path "sys/internal/ui/mounts/*" { capabilities = ["read"] }`)
	token := r.vault.NewToken(time.Hour, "reader")
	role1, secret1 := r.vault.AppRole("by-env", "reader", nil)
	role2, secret2 := r.vault.AppRole("by-file", "reader", nil)
	dir := t.TempDir()
	for name, text := range map[string]string{"role_id": role2, "secret_id": secret2} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.env = []string{"LEAK_TOKEN=" + token, "LEAK_ROLE=" + role1, "LEAK_SECRET=" + secret1}
	r.logins = []canary{
		canaryOf("the Vault token", token), canaryOf("the root token", r.vault.Token),
		canaryOf("the role_id of the environment", role1), canaryOf("the secret_id of the environment", secret1),
		canaryOf("the role_id of a file", role2), canaryOf("the secret_id of a file", secret2),
	}
	return fmt.Sprintf(`
		store vault by_token {
			address %[1]s
			auth token {env.LEAK_TOKEN}
		}
		store vault by_env {
			address %[1]s
			auth approle {
				role_id {env.LEAK_ROLE}
				secret_id {env.LEAK_SECRET}
			}
		}
		store vault by_file {
			address %[1]s
			auth approle {
				role_id {file.%[2]s/role_id}
				secret_id_file %[2]s/secret_id
			}
		}
`, r.vault.Addr, dir)
}

// route is an injecting route whose proxy does all that a proxy can with what
// it sees.
func route(prefix, base string, p placement) string {
	return fmt.Sprintf(`	apikey_inject %[1]s/* %[2]s {
		strip_prefix %[1]s
		%[3]s
		key leak/%[4]s {
			store %[5]s
		}
		allow anyone
		audit on
		header_up X-Copy "%[6]s"
		header_up X-Marker {http.request.header.X-Marker}
		header_down X-Down "%[6]s"
		lb_retries 1
		lb_try_interval 10ms
		verbose_logs
		health_uri /health
		health_interval 200ms
		health_headers {
			X-Health "%[6]s"
		}
		transport http {
			response_header_timeout 300ms
		}
		@own header X-Handle own
		handle_response @own {
			respond "%[6]s"
		}
		@next header X-Handle next
		handle_response @next {
			header X-Next "%[6]s"
			copy_response
		}
	}
`, prefix, base, p.lines, p.name, p.store, seen)
}

// request is what a caller sends: its own header and parameter of the injected
// names are the markers.
func (r *leakRig) request(addr, method, target string, lines ...string) string {
	sep := "?"
	if strings.Contains(target, "?") {
		sep = "&"
	}
	body := ""
	if method == "POST" {
		lines = append(lines, "Content-Length: 4")
		body = "body"
	}
	extra := ""
	for _, l := range lines {
		extra += l + "\r\n"
	}
	return fmt.Sprintf("%s %s%skey=%s HTTP/1.1\r\nHost: %s\r\nX-Api-Key: %s\r\nAuthorization: Bearer %[6]s\r\n%sConnection: close\r\n\r\n%s",
		method, target, sep, url.QueryEscape(r.markers[1].value), addr, r.markers[0].value, extra, body)
}

// arrived returns the one request of a caller that the upstream received since
// it last forgot; health checks arrive all the time.
func (r *leakRig) arrived(t *testing.T) *harness.Request {
	t.Helper()
	var found []*harness.Request
	for _, req := range r.up.Requests() {
		if strings.Contains(req.Target, "/do/") {
			found = append(found, req)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d requests arrived, want 1", len(found))
	}
	return found[0]
}

// ask sends a request and returns the whole answer, cut or not.
func (r *leakRig) ask(t *testing.T, addr, method, target string, lines ...string) string {
	t.Helper()
	c := harness.DialRaw(t, addr, nil)
	defer c.Close()
	c.Send(r.request(addr, method, target, lines...))
	var all strings.Builder
	for {
		answer, err := c.TryReceive(method)
		if answer != nil {
			all.WriteString(answer.Raw)
		}
		if err != nil || answer.Status >= 200 {
			return all.String()
		}
	}
}
