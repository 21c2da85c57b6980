// What Vault says to who wants to prolong a token, and what proves a login.

package vault

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// answering returns a client of a server that answers everything so.
func answering(t *testing.T, a Auth, status int, body string) *Client {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(srv.Close)
	cl, err := New(Config{Addresses: []string{srv.URL}, Auth: a})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cl.Close(context.Background()) })
	return cl
}

func TestATokenThatIsNotRenewedAnyMoreKeepsTheEndOfItsLastRenewal(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"it is not renewable": {400, `{"errors":["lease is not renewable"]}`},
		"a policy forbids it": {403, `{"errors":["1 error occurred:\n\t* permission denied\n\n"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			cl := answering(t, Auth{Method: MethodToken, Token: secret.New("t")}, c.status, c.body)
			now := time.Now()
			prolonged := &token{value: secret.New("t"), born: now.Add(-80 * time.Minute), ttl: time.Hour, ends: now.Add(20 * time.Minute)}
			left, again, err := cl.auth.renew(t.Context(), prolonged)
			if err != nil || again || left < 19*time.Minute || left > 20*time.Minute {
				t.Errorf("it lives for %s, again %v, %v; want the 20 minutes that are left", left, again, err)
			}
		})
	}
}

func TestAFileThatIsAwayForAMomentIsNoNewCredential(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret_id")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	cl := answering(t, Auth{Method: MethodAppRole, RoleID: secret.New("r"), SecretIDFile: file}, 200, `{}`)
	was := cl.auth.fingerprint()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if cl.auth.fingerprint() != was {
		t.Error("it is one while the file is away: a refused login would be tried again with nothing new")
	}
	write("one")
	if cl.auth.fingerprint() != was {
		t.Error("it is one when the file is back as it was")
	}
	write("two")
	if cl.auth.fingerprint() == was {
		t.Error("a new one is not seen")
	}
}
