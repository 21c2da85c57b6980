// Against the real server.

package vault_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vault"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

func open(t *testing.T, c vault.Config) *vault.Client {
	t.Helper()
	cl, err := vault.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cl.Close(context.Background()) })
	return cl
}

func withToken(addr, token string) vault.Config {
	return vault.Config{Addresses: []string{addr}, Auth: vault.Auth{Method: vault.MethodToken, Token: secret.New(token)}}
}

func get(t *testing.T, cl *vault.Client, path string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	d, err := cl.Get(ctx, store.Address{Path: path})
	if err != nil {
		return "", err
	}
	return d.Fields["apiKey"].Value.Reveal(), nil
}

func want(t *testing.T, cl *vault.Client, path, key string) {
	t.Helper()
	got, err := get(t, cl, path)
	if err != nil || got != key {
		t.Errorf("%s: got %q, %v; want %q", path, got, err, key)
	}
}

func TestReadsEveryKindOfDocument(t *testing.T) {
	s := vaulttest.Start(t)
	s.Put("a/b", map[string]any{"apiKey": "two", "n": 1, "o": map[string]any{}})
	s.MountV1("old")
	s.PutV1("old", "x", map[string]any{"apiKey": "one", "ttl": "30m"})
	s.PutV1("cubbyhole", "c", map[string]any{"apiKey": "cubby"})
	s.Put("gone", map[string]any{"apiKey": "x"})
	s.Do(http.MethodDelete, "secret/data/gone", nil)
	cl := open(t, withToken(s.Addr, s.Token))
	want(t, cl, "a/b", "two")
	want(t, cl, "/secret/data/a/b", "two")
	want(t, cl, "/old/x", "one")
	want(t, cl, "/cubbyhole/c", "cubby")

	d, err := cl.Get(t.Context(), store.Address{Mount: "old", Path: "x"})
	if err != nil || d.Version != 0 || d.TTL != 30*time.Minute {
		t.Errorf("KV version 1: %+v, %v", d, err)
	}
	d, err = cl.Get(t.Context(), store.Address{Path: "a/b"})
	if err != nil || d.Version != 1 || d.CreatedAt.IsZero() || d.Fields["n"].Kind != "number" || d.Fields["o"].Kind != "object" {
		t.Errorf("KV version 2: %+v, %v", d, err)
	}
	for path, class := range map[string]error{
		"none": store.ErrNotFound, "gone": store.ErrNotFound, "/nomount/x": store.ErrMisconfigured,
		"/secret/a/b": store.ErrMisconfigured, "../sys/x": store.ErrMisconfigured, "a//b": store.ErrMisconfigured,
	} {
		if _, err := get(t, cl, path); !errors.Is(err, class) {
			t.Errorf("%s: %v, want %v", path, err, class)
		}
	}
	if _, err := cl.Get(t.Context(), store.Address{Mount: "old", Path: "none"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("missing in version 1: %v", err)
	}
}

func TestWritesWithCheckAndSet(t *testing.T) {
	s := vaulttest.Start(t)
	cl := open(t, withToken(s.Addr, s.Token))
	a := store.Address{Path: "w"}
	fields := map[string]secret.Value{"apiKey": secret.New("k")}
	for i, cas := range []int{0, 1} {
		if v, err := cl.Put(t.Context(), a, fields, cas); err != nil || v != i+1 {
			t.Fatalf("version %d, %v", v, err)
		}
	}
	if _, err := cl.Put(t.Context(), a, fields, 0); !errors.Is(err, store.ErrConflict) {
		t.Errorf("stale write: %v", err)
	}
	s.Do(http.MethodDelete, "secret/data/w", nil)
	if v, err := cl.Put(t.Context(), a, fields, 0); err != nil || v != 3 {
		t.Errorf("over a deleted version: %d, %v", v, err)
	}
	for range 2 {
		if err := cl.Delete(t.Context(), a); err != nil {
			t.Errorf("deleting: %v", err)
		}
	}
	if v, err := cl.Put(t.Context(), a, fields, 0); err != nil || v != 1 {
		t.Errorf("after deleting all versions: %d, %v", v, err)
	}
}

const readAll = `path "secret/*" { capabilities = ["read"] }`

func approle(s *vaulttest.Server, addr string, settings map[string]any) vault.Config {
	s.Policy("reader", readAll)
	role, sid := s.AppRole("r", "reader", settings)
	return vault.Config{Addresses: []string{addr}, Auth: vault.Auth{
		Method: vault.MethodAppRole, RoleID: secret.New(role), SecretID: secret.New(sid),
	}}
}

func TestRevokedTokenIsOneLogin(t *testing.T) {
	s := vaulttest.Start(t)
	s.Put("a", map[string]any{"apiKey": "k"})
	p := s.Proxy(t)
	cl := open(t, approle(s, p.Addr, nil))
	want(t, cl, "a", "k")
	s.Do(http.MethodPut, "sys/leases/revoke-prefix/auth/approle", nil)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { want(t, cl, "a", "k") })
	}
	wg.Wait()
	if n := p.Count("approle/login"); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
}

func TestPolicyDenialIsNoLogin(t *testing.T) {
	s := vaulttest.Start(t)
	p := s.Proxy(t)
	s.Put("a", map[string]any{"apiKey": "k"})
	c := approle(s, p.Addr, nil)
	s.Policy("reader", `path "secret/data/b" { capabilities = ["read"] }`)
	cl := open(t, c)
	for range 5 {
		if _, err := get(t, cl, "a"); !errors.Is(err, store.ErrDenied) {
			t.Errorf("%v, want denied", err)
		}
	}
	if n := p.Count("approle/login"); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}

func TestWrongSecretIDIsTriedOnce(t *testing.T) {
	s := vaulttest.Start(t)
	p := s.Proxy(t)
	s.Put("a", map[string]any{"apiKey": "k"})
	c := approle(s, p.Addr, nil)
	good := c.Auth.SecretID
	c.Auth.SecretID = secret.New("wrong")
	cl := open(t, c)
	for range 10 {
		if _, err := get(t, cl, "a"); !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("%v, want unavailable", err)
		}
		if err := cl.Healthy(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.Count("approle/login"); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
	c.Auth.SecretID = good
	cl.Adopt(c)
	for { // the login that Adopt asked for runs on its own
		if _, err := get(t, cl, "a"); err == nil || t.Context().Err() != nil {
			break
		}
	}
	want(t, cl, "a", "k")
}

func TestWrappedSecretIDIsUnwrappedOnce(t *testing.T) {
	s := vaulttest.Start(t)
	p := s.Proxy(t)
	s.Put("a", map[string]any{"apiKey": "k"})
	c := approle(s, p.Addr, nil)
	c.Auth.SecretID = secret.Value{}
	c.Auth.SecretIDFile = filepath.Join(t.TempDir(), "sid")
	c.Auth.Wrapped = true
	if err := os.WriteFile(c.Auth.SecretIDFile, []byte(s.WrappedSecretID("r", time.Minute)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cl := open(t, c)
	want(t, cl, "a", "k")
	s.Do(http.MethodPut, "sys/leases/revoke-prefix/auth/approle", nil)
	want(t, cl, "a", "k")
	if n := p.Count("wrapping/unwrap"); n != 1 {
		t.Errorf("unwrapped %d times, want 1", n)
	}
}

func TestTokensEndAndNoReadFails(t *testing.T) {
	s := vaulttest.Start(t)
	s.Put("a", map[string]any{"apiKey": "k"})
	p := s.Proxy(t)
	cl := open(t, approle(s, p.Addr, map[string]any{"token_ttl": "2s", "token_max_ttl": "3s"}))
	for end := time.Now().Add(7 * time.Second); time.Now().Before(end); {
		want(t, cl, "a", "k")
		time.Sleep(20 * time.Millisecond) // Vault's clock is real
	}
	if n := p.Count("approle/login"); n < 3 || n > 8 {
		t.Errorf("%d logins in 7 s of tokens that live 3 s", n)
	}
}

func TestSealedServerIsUnavailableAndComesBack(t *testing.T) {
	s := vaulttest.Start(t)
	s.Put("a", map[string]any{"apiKey": "k"})
	cl := open(t, withToken(s.Addr, s.Token))
	want(t, cl, "a", "k")
	s.Seal()
	if _, err := get(t, cl, "a"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("sealed: %v", err)
	}
	if err := cl.Healthy(t.Context()); !errors.Is(err, store.ErrUnavailable) || !cl.Status().Sealed {
		t.Errorf("sealed: healthy says %v, status %+v", err, cl.Status())
	}
	s.Unseal()
	want(t, cl, "a", "k")
}

func TestHangingServerIsLeftForTheNext(t *testing.T) {
	one, two := vaulttest.Start(t), vaulttest.Start(t)
	two.Put("a", map[string]any{"apiKey": "k"})
	one.Pause()
	defer one.Resume()
	c := withToken(one.Addr, two.Token)
	c.Addresses = append(c.Addresses, two.Addr)
	cl := open(t, c)
	want(t, cl, "a", "k")
	if got := cl.Status().Address; got != two.Addr {
		t.Errorf("stays with %s", got)
	}
}

func TestCloseRevokesOnlyWhatItLoggedInFor(t *testing.T) {
	s := vaulttest.Start(t)
	s.Put("a", map[string]any{"apiKey": "k"})
	p := s.Proxy(t)
	for _, c := range []vault.Config{approle(s, p.Addr, nil), withToken(p.Addr, s.Token)} {
		cl := open(t, c)
		want(t, cl, "a", "k")
		if err := cl.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n := p.Count("revoke-self"); n != 1 {
		t.Errorf("%d revocations, want 1", n)
	}
	s.Do(http.MethodGet, "auth/token/lookup-self", nil)
}
