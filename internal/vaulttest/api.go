// What tests do to a server: plain HTTP, so that nothing of the client under
// test is used to check it.

package vaulttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"
)

// Do sends a request with the root token to a path below /v1/ and returns the
// decoded answer. The test fails unless the status is 2xx.
func (s *Server) Do(method, path string, body any) map[string]any {
	s.t.Helper()
	return s.must(method, path, body, nil)
}

func (s *Server) must(method, path string, body any, header http.Header) map[string]any {
	s.t.Helper()
	status, raw, err := s.do(method, path, body, header)
	for end := time.Now().Add(startTimeout); err == nil && upgrading(status, raw) && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
		status, raw, err = s.do(method, path, body, header)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	if status/100 != 2 {
		s.t.Fatalf("%s %s: %d %s", method, path, status, raw)
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return out
}

// upgrading tells whether KV version 2 answers that it is not ready yet, as it
// does for a moment when it was mounted or unsealed.
func upgrading(status int, answer []byte) bool {
	return status == http.StatusBadRequest && bytes.Contains(answer, []byte("Upgrading from non-versioned"))
}

func (s *Server) do(method, path string, body any, header http.Header) (int, []byte, error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, s.Addr+"/v1/"+strings.TrimPrefix(path, "/"), r)
	if err != nil {
		return 0, nil, err
	}
	maps.Copy(req.Header, header)
	req.Header.Set("X-Vault-Token", s.Token)
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, raw, err
}

// Put writes a new version of a document to KV version 2 at secret/ and returns
// the version.
func (s *Server) Put(path string, data map[string]any) int {
	s.t.Helper()
	out := s.Do(http.MethodPost, "secret/data/"+path, map[string]any{"data": data})
	return int(field(out, "data")["version"].(float64))
}

// MountV1 mounts KV version 1.
func (s *Server) MountV1(mount string) {
	s.t.Helper()
	s.Do(http.MethodPost, "sys/mounts/"+mount, map[string]any{"type": "kv", "options": map[string]string{"version": "1"}})
}

// PutV1 writes a document to KV version 1.
func (s *Server) PutV1(mount, path string, data map[string]any) {
	s.t.Helper()
	s.Do(http.MethodPost, mount+"/"+path, data)
}

// Policy writes a policy in Vault's own language.
func (s *Server) Policy(name, rules string) {
	s.t.Helper()
	s.Do(http.MethodPut, "sys/policies/acl/"+name, map[string]any{"policy": rules})
}

// NewToken makes a token that lives for ttl with the named policies.
func (s *Server) NewToken(ttl time.Duration, policies ...string) string {
	s.t.Helper()
	out := s.Do(http.MethodPost, "auth/token/create", map[string]any{"ttl": ttl.String(), "policies": policies})
	return field(out, "auth")["client_token"].(string)
}

// Revoke ends a token and all that it made.
func (s *Server) Revoke(token string) {
	s.t.Helper()
	s.Do(http.MethodPost, "auth/token/revoke", map[string]any{"token": token})
}

// AppRole makes a role, at the method mounted at approle/, whose tokens carry
// policy, and returns its role_id and a secret_id. More settings of the role,
// like token_ttl, may be given.
func (s *Server) AppRole(role, policy string, settings map[string]any) (roleID, secretID string) {
	s.t.Helper()
	if status, _, err := s.do(http.MethodGet, "sys/auth/approle/tune", nil, nil); err != nil || status != http.StatusOK {
		s.Do(http.MethodPost, "sys/auth/approle", map[string]any{"type": "approle"})
	}
	body := map[string]any{"token_policies": policy}
	maps.Copy(body, settings)
	s.Do(http.MethodPost, "auth/approle/role/"+role, body)
	roleID = field(s.Do(http.MethodGet, "auth/approle/role/"+role+"/role-id", nil), "data")["role_id"].(string)
	return roleID, s.SecretID(role)
}

// SecretID makes another secret_id for a role.
func (s *Server) SecretID(role string) string {
	s.t.Helper()
	out := s.Do(http.MethodPost, "auth/approle/role/"+role+"/secret-id", map[string]any{})
	return field(out, "data")["secret_id"].(string)
}

// WrappedSecretID makes another secret_id for a role and returns the wrapping
// token it can be had for, once.
func (s *Server) WrappedSecretID(role string, ttl time.Duration) string {
	s.t.Helper()
	h := http.Header{"X-Vault-Wrap-Ttl": {fmt.Sprintf("%ds", int(ttl.Seconds()))}}
	out := s.must(http.MethodPost, "auth/approle/role/"+role+"/secret-id", map[string]any{}, h)
	return field(out, "wrap_info")["token"].(string)
}

// Seal closes the server: every read gives 503 until [Server.Unseal].
func (s *Server) Seal() {
	s.t.Helper()
	s.Do(http.MethodPut, "sys/seal", nil)
}

// Unseal opens a sealed server and waits until it serves again.
func (s *Server) Unseal() {
	s.t.Helper()
	s.Do(http.MethodPut, "sys/unseal", map[string]any{"key": s.UnsealKey})
	deadline := time.Now().Add(startTimeout)
	for !s.ours() { // for about 50 ms it has no active node yet
		if time.Now().After(deadline) {
			s.t.Fatal("the server does not serve after unsealing")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func field(m map[string]any, name string) map[string]any {
	f, _ := m[name].(map[string]any)
	return f
}
