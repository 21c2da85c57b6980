// Each way to log in that the test server knows, and each way to reach it.

package vault_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vault"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

func pair(t *testing.T) (*ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// jwt signs the token of a service account.
func jwt(t *testing.T, key *ecdsa.PrivateKey, subject string) string {
	t.Helper()
	claims, err := json.Marshal(map[string]any{
		"iss": "tests", "sub": subject, "aud": "vault",
		"iat": time.Now().Unix() - 10, "exp": time.Now().Unix() + 600,
	})
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding
	text := enc.EncodeToString([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + enc.EncodeToString(claims)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return text + "." + enc.EncodeToString(sig)
}

// The test server has no Kubernetes to ask; its jwt method, mounted in that
// place, takes the same login.
func TestKubernetesAndJWTReadTheirFileAtEachLogin(t *testing.T) {
	t.Parallel()
	for method, mount := range map[string]string{vault.MethodKubernetes: "kubernetes", vault.MethodJWT: "jwt"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			s := vaulttest.Start(t)
			s.Put("a", map[string]any{"apiKey": "k"})
			s.Policy("reader", readAll)
			key, public := pair(t)
			s.Do(http.MethodPost, "sys/auth/"+mount, map[string]any{"type": "jwt"})
			s.Do(http.MethodPost, "auth/"+mount+"/config", map[string]any{"jwt_validation_pubkeys": []string{public}})
			s.Do(http.MethodPost, "auth/"+mount+"/role/caddy", map[string]any{
				"role_type": "jwt", "user_claim": "sub", "bound_audiences": []string{"vault"},
				"bound_subject": "caddy", "token_policies": "reader", "token_ttl": "2s", "token_max_ttl": "3s",
			})
			file := filepath.Join(t.TempDir(), "token")
			write := func(subject string) {
				if err := os.WriteFile(file, []byte(jwt(t, key, subject)+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("somebody-else")
			p := s.Proxy(t)
			cl := open(t, vault.Config{Addresses: []string{p.Addr}, Auth: vault.Auth{Method: method, Role: "caddy", JWTFile: file}})
			if _, err := get(t, cl, "a"); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("with somebody else's token: %v", err)
			}
			if n := p.Count("/login"); n != 1 {
				t.Errorf("%d logins with a token that Vault refuses", n)
			}
			write("caddy")
			for end := time.Now().Add(20 * time.Second); ; <-time.After(100 * time.Millisecond) {
				if v, err := get(t, cl, "a"); err == nil && v == "k" {
					break
				} else if time.Now().After(end) {
					t.Fatalf("with its own token: %v", err)
				}
			}
			for end := time.Now().Add(5 * time.Second); time.Now().Before(end); <-time.After(100 * time.Millisecond) {
				want(t, cl, "a", "k") // over the end of the token
			}
			if n := p.Count("/login"); n < 3 {
				t.Errorf("%d logins over the maximum of a token", n)
			}
		})
	}
}

// certificate writes a self-signed client certificate and its key.
func certificate(t *testing.T) (certFile, keyFile, certPEM string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "caddy"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
	for file, b := range map[string][]byte{certFile: []byte(certPEM), keyFile: keyPEM} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile, certPEM
}

func TestCertLogsInWithTheClientCertificate(t *testing.T) {
	s := vaulttest.StartTLS(t)
	s.Put("a", map[string]any{"apiKey": "k"})
	s.Policy("reader", readAll)
	certFile, keyFile, certPEM := certificate(t)
	s.Do(http.MethodPost, "sys/auth/cert", map[string]any{"type": "cert"})
	s.Do(http.MethodPost, "auth/cert/certs/caddy", map[string]any{"certificate": certPEM, "token_policies": "reader"})
	c := vault.Config{Addresses: []string{s.Addr}, Auth: vault.Auth{Method: vault.MethodCert, Name: "caddy"}}
	c.TLSFiles = vault.TLSFiles{CACert: s.CACert, ClientCert: certFile, ClientKey: keyFile}
	want(t, open(t, c), "a", "k")

	c.TLSFiles.ClientCert, c.TLSFiles.ClientKey, _ = certificate(t)
	if _, err := get(t, open(t, c), "a"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("with another certificate: %v", err)
	}
}

func TestLDAPLogsInAsItsUser(t *testing.T) {
	addr, _ := fake(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/auth/ldap/login/anna" {
			if r.Header.Get("X-Vault-Token") != "t" {
				w.WriteHeader(http.StatusForbidden)
			}
			_, _ = w.Write([]byte(live))
			return
		}
		var body struct{ Password string }
		if json.NewDecoder(r.Body).Decode(&body) != nil || body.Password != "p" {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = w.Write([]byte(`{"auth":{"client_token":"t","lease_duration":60,"renewable":true}}`))
	})
	want(t, open(t, vault.Config{Addresses: []string{addr}, Auth: vault.Auth{Method: vault.MethodLDAP, Username: "anna", Password: secret.New("p")}}), "a", "k")
}

// A Vault Agent on a unix socket puts its own token on requests without one.
func TestAnAgentOnASocketNeedsNoToken(t *testing.T) {
	s := vaulttest.Start(t)
	s.Put("a", map[string]any{"apiKey": "k"})
	target, err := url.Parse(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "agent") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	ln, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	rp := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		if r.In.Header.Get("X-Vault-Token") == "" && r.In.Header.Get("X-Vault-Request") == "true" {
			r.Out.Header.Set("X-Vault-Token", s.Token)
		}
	}}
	agent := &httptest.Server{Listener: ln, Config: &http.Server{Handler: rp, ReadHeaderTimeout: time.Minute}}
	agent.Start()
	t.Cleanup(agent.Close)
	want(t, open(t, vault.Config{Addresses: []string{"unix://" + socket}, Auth: vault.Auth{Method: vault.MethodNone}}), "a", "k")
}

// relay passes bytes to a server until it loses the connections there are: they
// stay open and nothing comes through them any more.
type relay struct {
	net.Listener
	to string

	mu   sync.Mutex
	lost chan struct{}
}

func (r *relay) serve() {
	for {
		in, err := r.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", r.to) //nolint:noctx // a test's
		if err != nil {
			_ = in.Close()
			continue
		}
		r.mu.Lock()
		lost := r.lost
		r.mu.Unlock()
		go pass(in, out, lost)
		go pass(out, in, lost)
	}
}

func pass(from, to net.Conn, lost <-chan struct{}) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		select {
		case <-lost:
			if err == nil {
				continue
			}
			return
		default:
		}
		if err != nil {
			_ = to.Close()
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

func (r *relay) lose() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.lost)
	r.lost = make(chan struct{})
}

func TestADeadHTTP2ConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	s := vaulttest.StartTLS(t)
	s.Put("a", map[string]any{"apiKey": "k"})
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: ln, to: s.Addr[len("https://"):], lost: make(chan struct{})}
	go r.serve()
	t.Cleanup(func() { _ = ln.Close(); r.lose() })
	c := withToken("https://"+ln.Addr().String(), s.Token)
	c.TLSFiles.CACert = s.CACert
	cl := open(t, c)
	want(t, cl, "a", "k")
	r.lose()
	began := time.Now()
	for {
		_, err := get(t, cl, "a")
		if err == nil {
			break
		}
		// A ping after 15 s, answered within 5, and the read that meets it.
		if time.Since(began) > 26*time.Second {
			t.Fatalf("after %s: %v", time.Since(began), err)
		}
	}
	t.Logf("replaced after %s", time.Since(began).Round(100*time.Millisecond))
}

func TestANodeThatCannotServeIsLeftForTheNext(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"sealed":              {503, `{"errors":["Vault is sealed"]}`},
		"no leader yet":       {500, `{"errors":["local node not active but active cluster node not found"]}`},
		"not initialised":     {501, `{"errors":["Vault is not initialized"]}`},
		"a balancer without":  {502, `<html>bad gateway`},
		"disaster secondary":  {472, `{"errors":[]}`},
		"performance standby": {473, `{"errors":[]}`},
		"removed":             {530, `{"errors":[]}`},
	} {
		t.Run(name, func(t *testing.T) {
			bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			t.Cleanup(bad.Close)
			good, reads := fake(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(live)) })
			cfg := withToken(bad.URL, "t")
			cfg.Addresses = append(cfg.Addresses, good)
			cl := open(t, cfg)
			want(t, cl, "a", "k")
			want(t, cl, "b", "k")
			if n := reads.Load(); n != 2 {
				t.Errorf("%d reads", n)
			}
		})
	}
}

// A policy that shows the keys and not their mount hides the version of the
// engine; it is found by reading.
func TestAMountThatMayNotBeLookedAt(t *testing.T) {
	for name, v1 := range map[string]bool{"version 1": true, "version 2": false} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				switch r.URL.Path {
				case "/v1/auth/token/lookup-self":
					_, _ = w.Write([]byte(`{"data":{"ttl":0,"renewable":false}}`))
				case "/v1/secret/data/a":
					if v1 {
						w.WriteHeader(http.StatusNotFound)
						_, _ = w.Write([]byte(`{"errors":[]}`))
						return
					}
					_, _ = w.Write([]byte(live))
				case "/v1/secret/a":
					if !v1 {
						w.WriteHeader(http.StatusNotFound)
					}
					_, _ = w.Write([]byte(`{"lease_duration":60,"data":{"apiKey":"k"}}`))
				default:
					w.WriteHeader(http.StatusForbidden)
					_, _ = w.Write([]byte(`{"errors":["preflight capability check returned 403, please ensure client's policies grant access to path \"secret/\""]}`))
				}
			}))
			t.Cleanup(srv.Close)
			want(t, open(t, withToken(srv.URL, "t")), "a", "k")
		})
	}
}

func TestANamespaceThatIsNotObeyedIsSaid(t *testing.T) {
	s := vaulttest.Start(t) // has no namespaces
	core, logs := observer.New(zap.ErrorLevel)
	c := withToken(s.Addr, s.Token)
	c.Namespace, c.Log = "team-a", zap.New(core)
	cl := open(t, c)
	for range 3 {
		if err := cl.Healthy(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := logs.FilterMessageSnippet("has no namespaces").Len(); n != 1 {
		t.Errorf("said %d times", n)
	}
}
