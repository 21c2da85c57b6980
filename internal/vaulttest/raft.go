// A server whose data outlive its process.

package vaulttest

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// StartRaft runs a server with storage on disk, initialised and unsealed, with
// KV version 2 at secret/. It takes about 6 s: share it among tests. After
// [Server.Stop] it comes back by [Server.Restart], sealed.
func StartRaft(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, bin: Binary(t), home: t.TempDir(), client: &http.Client{Timeout: 60 * time.Second}}
	t.Cleanup(s.Stop)
	addr, cluster := freeAddr(t), freeAddr(t)
	s.Addr = "http://" + addr
	data := filepath.Join(s.home, "raft")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(s.home, "vault.hcl")
	hcl := fmt.Sprintf(`
storage "raft" {
  path    = %q
  node_id = "one"
}
listener "tcp" {
  address         = %q
  cluster_address = %q
  tls_disable     = true
}
api_addr      = %q
cluster_addr  = "https://%s"
disable_mlock = true
`, data, addr, cluster, s.Addr, cluster)
	if err := os.WriteFile(config, []byte(hcl), 0o600); err != nil {
		t.Fatal(err)
	}
	s.args = []string{"server", "-config=" + config}
	s.Restart()
	out := s.Do(http.MethodPut, "sys/init", map[string]any{"secret_shares": 1, "secret_threshold": 1})
	s.Token = out["root_token"].(string)
	s.UnsealKey = out["keys_base64"].([]any)[0].(string)
	s.Unseal()
	s.Do(http.MethodPost, "sys/mounts/secret", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
	return s
}

// Restart starts a stopped server again. One with storage on disk comes back
// sealed, with its data.
func (s *Server) Restart() {
	s.t.Helper()
	if err := s.launch(s.answers); err != nil {
		s.t.Fatal(err)
	}
}

// answers tells whether anything at our port speaks like Vault, also sealed or
// not initialised.
func (s *Server) answers() bool {
	status, _, err := s.do(http.MethodGet, "sys/seal-status", nil, nil)
	return err == nil && (status == http.StatusOK || status == http.StatusBadRequest)
}
