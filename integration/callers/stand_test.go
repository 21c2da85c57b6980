// Package callers tests who may use an injecting route, what of a caller's
// request reaches the upstream, and what of its answer comes back: the built
// Caddy, a real Vault behind a counting proxy, an upstream on a raw socket.
package callers

// This file holds what the cases share.

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// key is the key of an integration, passHash bcrypt of "pass" at the lowest
// cost.
const (
	key      = "K-real-1234567890"
	passHash = "$2a$04$KfsSCXdUkNWGv3AFotAn2.Kq.x1WuM/22PVLIhbvDrLDVjTzUMFWa"
)

// stand is a Vault behind a counting proxy, an upstream, and the Caddy between.
type stand struct {
	t        *testing.T
	vault    *vaulttest.Server
	reads    *vaulttest.Proxy
	upstream *harness.Upstream
	caddy    *harness.Caddy
}

func newStand(t *testing.T) *stand {
	t.Helper()
	s := &stand{t: t, vault: vaulttest.Start(t), upstream: harness.NewUpstream(t, nil)}
	s.reads = s.vault.Proxy(t)
	s.vault.Put("acme", map[string]any{"apiKey": key})
	return s
}

// start runs Caddy; every $UPSTREAM of the Caddyfile becomes the base URL.
func (s *stand) start(config string) {
	s.t.Helper()
	s.caddy = harness.StartCaddy(s.t, s.fill(config), harness.Env("VAULT_ADDR="+s.reads.Addr, "VAULT_TOKEN="+s.vault.Token))
}

func (s *stand) fill(config string) string {
	return strings.ReplaceAll(config, "$UPSTREAM", s.upstream.URL())
}

// refused checks that a Caddyfile is refused while it is parsed, and that the
// error holds every part. Caddy keeps serving what it serves.
func (s *stand) refused(t *testing.T, config string, parts ...string) {
	t.Helper()
	status, body, err := s.caddy.Do(http.MethodPost, "/adapt", s.fill(config), "Content-Type: text/caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	checkRefusal(t, "the Caddyfile", status, body, append(parts, "Caddyfile:")...)
}

// refusedJSON is the same for JSON, which is checked when it is loaded.
func (s *stand) refusedJSON(t *testing.T, config string, parts ...string) {
	t.Helper()
	status, body, err := s.caddy.Do(http.MethodPost, "/load", s.fill(config))
	if err != nil {
		t.Fatal(err)
	}
	checkRefusal(t, "the JSON", status, body, parts...)
}

func checkRefusal(t *testing.T, what string, status int, body string, parts ...string) {
	t.Helper()
	if status != http.StatusBadRequest {
		t.Fatalf("%s was not refused: %d %s", what, status, body)
	}
	for _, part := range parts {
		if !strings.Contains(body, part) {
			t.Errorf("%s is refused without a word about %q: %s", what, part, body)
		}
	}
}

// handlerJSON is a configuration with one route of these fields. Nothing
// listens: it is only loaded to be refused.
func handlerJSON(t *testing.T, fields map[string]any) string {
	t.Helper()
	handler := map[string]any{
		"handler": "apikey_inject", "base_url": "$UPSTREAM", "key_name": "X-Api-Key",
		"key": map[string]any{"path": "acme"}, "allow": map[string]any{"anyone": true},
	}
	for name, v := range fields {
		handler[name] = v
		if v == nil {
			delete(handler, name)
		}
	}
	raw, err := json.Marshal(map[string]any{"apps": map[string]any{"http": map[string]any{"servers": map[string]any{"s": map[string]any{
		"listen": []string{"127.0.0.1:0"},
		"routes": []any{map[string]any{"handle": []any{handler}}},
	}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// addr is where a port of this machine is reached.
func addr(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// ask sends one request on a connection of its own.
func ask(t *testing.T, port int, conf *tls.Config, method, target string, lines ...string) *harness.RawResponse {
	t.Helper()
	if conf != nil { // Caddy wants the name of the handshake
		lines = append([]string{fmt.Sprintf("Host: localhost:%d", port)}, lines...)
	}
	return harness.Exchange(t, addr(port), conf, rawRequest(port, method, target, lines...))
}

// rawRequest writes a request without a body. A line that begins with "Host:"
// stands for the one it would have otherwise.
func rawRequest(port int, method, target string, lines ...string) string {
	host := "Host: " + addr(port)
	rest := make([]string, 0, len(lines))
	for _, l := range lines {
		if strings.HasPrefix(l, "Host:") {
			host = l
			continue
		}
		rest = append(rest, l+"\r\n")
	}
	return fmt.Sprintf("%s %s HTTP/1.1\r\n%s\r\n%sConnection: close\r\n\r\n", method, target, host, strings.Join(rest, ""))
}

// checkOurs checks that an answer is ours, uniform, with that status and code.
func checkOurs(t *testing.T, a *harness.RawResponse, status int, code string) {
	t.Helper()
	var body struct {
		Error struct{ Code, Message string }
	}
	if a.Status != status || a.Header.Get("Apikey-Inject-Error") != code {
		t.Fatalf("answered %d %q, want %d %s", a.Status, a.Header.Get("Apikey-Inject-Error"), status, code)
	}
	if err := json.Unmarshal(a.Body, &body); err != nil || body.Error.Code != code || body.Error.Message == "" {
		t.Errorf("the body is %q, want the code %s and a message", a.Body, code)
	}
}

// checkOnly checks that the upstream received exactly one line of that header,
// in any casing and with _ for -, and which.
func checkOnly(t *testing.T, r *harness.Request, line string) {
	t.Helper()
	name, _, _ := strings.Cut(line, ":")
	var got []string
	for _, f := range r.Fields {
		if strings.EqualFold(strings.ReplaceAll(f.Name, "_", "-"), strings.ReplaceAll(name, "_", "-")) {
			got = append(got, f.Name+": "+f.Value)
		}
	}
	if len(got) != 1 || got[0] != line {
		t.Errorf("the upstream received %q, want only %q", got, line)
	}
}

// checkAbsent checks that no header or trailer of these names arrived.
func checkAbsent(t *testing.T, r *harness.Request, names ...string) {
	t.Helper()
	for _, name := range names {
		for _, f := range slices.Concat(r.Fields, r.Trailers) {
			if strings.EqualFold(f.Name, name) {
				t.Errorf("the upstream received %s: %s", f.Name, f.Value)
			}
		}
	}
}
