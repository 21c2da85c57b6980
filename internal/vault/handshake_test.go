package vault

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// tlsServer answers probes as Vault does. Its complaints about clients are not
// shown.
func tlsServer(t *testing.T, change func(*tls.Config)) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"initialized":true,"version":"1.21.0"}`))
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.TLS = new(tls.Config)
	if change != nil {
		change(srv.TLS)
	}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// authority is the certificate of srv, which signed itself.
func authority(srv *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
}

func observed(t *testing.T, c Config) (*Client, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	c.Log = zap.New(core)
	c.Auth = Auth{Method: MethodToken, Token: secret.New("t")}
	cl, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return cl, logs
}

func TestTLSThatFailsIsSaidLoudlyOnceWithWhatMendsIt(t *testing.T) {
	srv := tlsServer(t, nil)
	asking := tlsServer(t, func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert })
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	gone := httptest.NewServer(nil)
	gone.Close()
	other, err := os.ReadFile(filepath.Join("testdata", "other-ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	in2100 := func() time.Time { return time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC) }
	for name, tc := range map[string]struct {
		config Config
		hint   string // empty: it is no matter of TLS
	}{
		"another authority":      {Config{Addresses: []string{srv.URL}, TLSFiles: TLSFiles{CACertBytes: string(other)}}, "tls_trust_pool"},
		"another name":           {Config{Addresses: []string{srv.URL}, TLSFiles: TLSFiles{CACertBytes: authority(srv), ServerName: "vault.internal"}}, "tls_server_name"},
		"an expired certificate": {Config{Addresses: []string{srv.URL}, TLSFiles: TLSFiles{CACertBytes: authority(srv)}, TLS: &tls.Config{Time: in2100}}, "renewed"},
		"no client certificate":  {Config{Addresses: []string{asking.URL}, TLSFiles: TLSFiles{CACertBytes: authority(asking)}}, "tls_client_auth"},
		"no TLS there":           {Config{Addresses: []string{strings.Replace(plain.URL, "http:", "https:", 1)}}, "http://"},
		"nobody there":           {Config{Addresses: []string{strings.Replace(gone.URL, "http:", "https:", 1)}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cl, logs := observed(t, tc.config)
			for range 3 {
				if err := cl.Healthy(t.Context()); err == nil {
					t.Fatal("no error")
				}
			}
			loud := logs.FilterLevelExact(zapcore.ErrorLevel).All()
			if tc.hint == "" {
				if len(loud) != 0 {
					t.Errorf("said %v", loud)
				}
				return
			}
			if len(loud) != 1 {
				t.Fatalf("said %d times: %v", len(loud), loud)
			}
			said := loud[0].ContextMap()
			if hint, _ := said["hint"].(string); !strings.Contains(hint, tc.hint) || said["address"] != tc.config.Addresses[0] {
				t.Errorf("said %v", said)
			}
			if name == "another name" && !strings.Contains(strings.Join(strs(said["names"]), " "), "example.com") {
				t.Errorf("it does not say for which names the certificate is: %v", said)
			}
		})
	}
}

func strs(v any) []string {
	list, _ := v.([]any)
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, s.(string))
	}
	return out
}

func TestWhileTLSFailsEachProbeLooksAtTheFilesAgain(t *testing.T) {
	srv := tlsServer(t, nil)
	file := filepath.Join(t.TempDir(), "ca.pem")
	write := func(pem string) {
		if err := os.WriteFile(file, []byte(pem), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	other, err := os.ReadFile(filepath.Join("testdata", "other-ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	write(authority(srv))
	cl, logs := observed(t, Config{Addresses: []string{srv.URL}, TLSFiles: TLSFiles{CACert: file}})
	wires := cl.wires.Load()
	write(string(other))
	if err := cl.Healthy(t.Context()); err != nil || cl.wires.Load() != wires {
		t.Errorf("it looks at the files although TLS works: %v", err)
	}
	cl.reloadTLS() // as it does each minute
	if err := cl.Healthy(t.Context()); err == nil {
		t.Fatal("a server of another authority is trusted")
	}
	write("half-writ")
	for range 3 {
		if err := cl.Healthy(t.Context()); err == nil {
			t.Fatal("no error")
		}
	}
	if n := logs.FilterMessage("reading changed TLS files").Len(); n != 1 {
		t.Errorf("an unreadable file is said %d times", n)
	}
	write(authority(srv))
	if err := cl.Healthy(t.Context()); err != nil {
		t.Errorf("the probe after the file was mended: %v", err)
	}
	if n := logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 1 {
		t.Errorf("said %d times", n)
	}
}

func TestTLSThatWorksAgainIsSaid(t *testing.T) {
	core, logs := observer.New(zapcore.InfoLevel)
	h := &handshake{log: zap.New(core)}
	for _, err := range []error{nil, http.ErrSchemeMismatch, io.ErrUnexpectedEOF, http.ErrSchemeMismatch, nil, nil, http.ErrSchemeMismatch} {
		h.note(err)
	}
	got := make([]string, 0, 3)
	for _, e := range logs.All() {
		got = append(got, e.Level.String())
	}
	if strings.Join(got, " ") != "error info error" {
		t.Errorf("said %v", got)
	}
}
