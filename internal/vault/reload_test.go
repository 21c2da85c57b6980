package vault

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

func TestChangedAuthorityFileMakesNewConnections(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"initialized":true,"version":"1.21.0"}`))
	}))
	defer srv.Close()
	other, err := os.ReadFile(filepath.Join("testdata", "other-ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	write := func(b []byte) {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(other)
	c, err := New(Config{
		Addresses: []string{srv.URL}, TLSFiles: TLSFiles{CACert: file},
		Auth: Auth{Method: MethodToken, Token: secret.New("t")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Healthy(t.Context()); err == nil {
		t.Fatal("a server of another authority is trusted")
	}
	write([]byte("half-writ"))
	c.reloadTLS() // keeps what it has
	before := c.wires.Load()
	write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	c.reloadTLS()
	if err := c.Healthy(t.Context()); err != nil {
		t.Error(err)
	}
	after := c.wires.Load()
	c.reloadTLS()
	if before == after || after != c.wires.Load() {
		t.Error("connections are made anew for each change, and only then")
	}
}
