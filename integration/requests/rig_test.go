// Package requests sends exact bytes through a real Caddy with a key from a
// real Vault, and looks at the bytes that come out at the upstream.
//
// Tests are named by the case of the conformance list they hold for: A is plain
// injection, B the building of URLs, D what would take the key off again, E
// placement in the query.
package requests

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// key is what Vault holds at prod for all routes that name no other.
const key = "k-5f2A9c"

// rig is one Caddy with one Vault behind it, and as many sites as a test adds
// before it starts.
type rig struct {
	t       *testing.T
	vault   *vaulttest.Server
	caddy   *harness.Caddy
	options strings.Builder // global
	sites   strings.Builder
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, vault: vaulttest.Start(t)}
	r.vault.Put("prod", map[string]any{"apiKey": key})
	return r
}

// site adds a site in clear and returns its address. It serves every host name:
// which one the client names is part of some cases.
func (r *rig) site(body string) (addr string) {
	r.t.Helper()
	port := harness.Port(r.t)
	fmt.Fprintf(&r.sites, "http://:%d {\n\tbind 127.0.0.1\n%s\n}\n", port, body)
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// secureSite adds a site over TLS, for HTTP/1.1, 2 and 3.
func (r *rig) secureSite(ca *harness.CA, body string) (addr string) {
	r.t.Helper()
	port, cert := harness.Port(r.t), ca.Server()
	fmt.Fprintf(&r.sites, "https://localhost:%d, https://127.0.0.1:%d {\n\tbind 127.0.0.1\n\ttls %s %s\n%s\n}\n",
		port, port, cert.CertFile, cert.KeyFile, body)
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// start runs Caddy. The store is Vault, by its environment.
func (r *rig) start(env ...string) {
	r.t.Helper()
	config := "{\n\tauto_https disable_redirects\n\tservers {\n\t\tprotocols h1 h2 h2c h3\n\t}\n" + r.options.String() + "}\n" + r.sites.String()
	env = append([]string{"VAULT_ADDR=" + r.vault.Addr, "VAULT_TOKEN=" + r.vault.Token}, env...)
	r.caddy = harness.StartCaddy(r.t, config, harness.Env(env...))
}

// route is an apikey_inject block that carries its own integration and lets
// everybody call. Lines may add to it; a key line replaces the one here.
func route(match, baseURL string, lines ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\tapikey_inject %s %s {\n\t\tallow anyone\n", match, baseURL)
	if !strings.Contains("\n"+strings.Join(lines, "\n"), "\nkey ") {
		b.WriteString("\t\tkey prod\n")
	}
	for _, l := range lines {
		b.WriteString("\t\t" + l + "\n")
	}
	b.WriteString("\t}")
	return b.String()
}

// inHeader are the lines that place the bare key in X-Api-Key.
const inHeader = "name X-Api-Key"

// get is a request for a target with these header lines and no others.
func get(addr, target string, lines ...string) string {
	return request("GET", addr, target, "", lines...)
}

func request(method, addr, target, body string, lines ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, target, addr)
	for _, l := range lines {
		b.WriteString(l + "\r\n")
	}
	b.WriteString("\r\n" + body)
	return b.String()
}

// wantLines fails unless the upstream received exactly these header lines of
// that name.
func wantLines(t *testing.T, got *harness.Request, name string, want ...string) {
	t.Helper()
	if lines := got.Lines(name); strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("the upstream received %q, want %q", lines, want)
	}
}

// wantRefusal fails unless the answer is ours with that status and code, and
// the upstream was not asked.
func wantRefusal(t *testing.T, answer *harness.RawResponse, hits, status int, code string) {
	t.Helper()
	if answer.Status != status || answer.Header.Get("Apikey-Inject-Error") != code {
		t.Errorf("answered %q, want %d %s", answer.Raw, status, code)
	}
	if hits != 0 {
		t.Errorf("the upstream was hit %d times, want 0", hits)
	}
}
