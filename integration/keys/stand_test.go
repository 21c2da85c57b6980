// Package keys tests where keys come from and how they are written on the wire:
// the ways to Vault and into it, templates, key values, proxies out of the
// environment. The built Caddy, a real Vault, an upstream on a raw socket.
package keys

// This file holds what the cases share.

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// wait is long enough for everything that happens at all.
const wait = 20 * time.Second

// get sends a plain GET on a connection of its own.
func get(t *testing.T, port int, target string) *harness.RawResponse {
	t.Helper()
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	return harness.Exchange(t, addr, nil, "GET "+target+" HTTP/1.1\r\nHost: "+addr+"\r\nConnection: close\r\n\r\n")
}

// checkSent asks at a port and checks the one line that carries the key.
func checkSent(t *testing.T, u *harness.Upstream, port int, line string) {
	t.Helper()
	u.Forget()
	if a := get(t, port, "/v1/users"); a.Status != 200 {
		t.Fatalf("answered %q", a.Raw)
	}
	if got := u.Only().Lines("X-Api-Key"); len(got) != 1 || got[0] != line {
		t.Errorf("the upstream received %q, want %q", got, line)
	}
}

// checkRefused asks at a port and checks that nothing was sent, and why.
func checkRefused(t *testing.T, u *harness.Upstream, port, status int, code string) {
	t.Helper()
	u.Forget()
	a := get(t, port, "/v1/users")
	var body struct{ Error struct{ Code string } }
	if err := json.Unmarshal(a.Body, &body); err != nil || a.Status != status || body.Error.Code != code || a.Header.Get("Apikey-Inject-Error") != code {
		t.Errorf("answered %q, want %d %s", a.Raw, status, code)
	}
	if wants := status == http.StatusServiceUnavailable; wants != (a.Header.Get("Retry-After") != "") {
		t.Errorf("Retry-After is %q with %d", a.Header.Get("Retry-After"), status)
	}
	if hits := u.Hits(); hits != 0 {
		t.Errorf("%d hits at the upstream", hits)
	}
}

// front stands before a Vault: on a unix socket, or with TLS, and notes what
// the requests said.
type front struct {
	mu      sync.Mutex
	headers []http.Header
	names   []string // of the handshake, and the client certificate's subject
}

// newFront serves on ln until the test ends.
func newFront(t *testing.T, vault *vaulttest.Server, ln net.Listener) *front {
	t.Helper()
	target, err := url.Parse(vault.Addr)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{}
	base := &http.Transport{}
	rp := &httputil.ReverseProxy{Transport: base, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Header.Del("X-Vault-Namespace") // this Vault has none
	}}
	quiet := log.New(io.Discard, "", 0) // handshakes fail here on purpose
	srv := &http.Server{ReadHeaderTimeout: wait, ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.note(r)
		rp.ServeHTTP(w, r)
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
		base.CloseIdleConnections()
	})
	return f
}

func (f *front) note(r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.headers = append(f.headers, r.Header.Clone())
	if r.TLS == nil {
		return
	}
	f.names = append(f.names, r.TLS.ServerName)
	for _, c := range r.TLS.PeerCertificates {
		f.names = append(f.names, c.Subject.String())
	}
}

// saw counts the requests with a token that had that header, and all of them.
func (f *front) saw(name, value string) (with, all int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range f.headers {
		if h.Get("X-Vault-Token") == "" {
			continue
		}
		all++
		if h.Get(name) == value {
			with++
		}
	}
	return with, all
}

// sawName tells whether a handshake named that server or showed that subject.
func (f *front) sawName(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.names, name)
}

// overTCP returns a listener on loopback, with TLS if conf is not nil.
func overTCP(t *testing.T, conf *tls.Config) net.Listener {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if conf != nil {
		return tls.NewListener(ln, conf)
	}
	return ln
}

// overUnix returns a listener on a socket, and its path. A test's own folder
// can be too deep for the 108 bytes that a socket's name may have.
func overUnix(t *testing.T) (ln net.Listener, path string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path = filepath.Join(dir, "vault.sock")
	if ln, err = new(net.ListenConfig).Listen(t.Context(), "unix", path); err != nil {
		t.Fatal(err)
	}
	return ln, path
}

// file writes a file into a folder of the test.
func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
