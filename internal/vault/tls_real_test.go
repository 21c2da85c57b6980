package vault_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vault"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

func TestTrustsOnlyTheGivenAuthority(t *testing.T) {
	s := vaulttest.StartTLS(t)
	s.Put("a", map[string]any{"apiKey": "k"})
	c := withToken(s.Addr, s.Token)
	if _, err := get(t, open(t, c), "a"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("an unknown authority: %v", err)
	}
	c.TLSFiles.CACert = s.CACert
	want(t, open(t, c), "a", "k")
}

func TestHangingConnectionIsGivenUp(t *testing.T) {
	s := vaulttest.StartTLS(t)
	s.Put("a", map[string]any{"apiKey": "k"})
	c := withToken(s.Addr, s.Token)
	c.TLSFiles.CACert = s.CACert
	cl := open(t, c)
	want(t, cl, "a", "k")
	s.Pause()
	began := time.Now()
	_, err := get(t, cl, "a")
	s.Resume()
	if !errors.Is(err, store.ErrUnavailable) || time.Since(began) > 6*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
	want(t, cl, "a", "k")
}

func TestMissingAuthorityFileIsNamed(t *testing.T) {
	c := withToken("https://127.0.0.1:1", "t")
	c.TLSFiles.CACert = filepath.Join(t.TempDir(), "none.pem")
	if _, err := vault.New(c); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestUserpassLogsIn(t *testing.T) {
	s := vaulttest.Start(t)
	s.Put("a", map[string]any{"apiKey": "k"})
	s.Policy("reader", readAll)
	s.Do(http.MethodPost, "sys/auth/userpass", map[string]any{"type": "userpass"})
	s.Do(http.MethodPost, "auth/userpass/users/u", map[string]any{"password": "p", "token_policies": "reader"})
	c := vault.Config{Addresses: []string{s.Addr}, Auth: vault.Auth{Method: vault.MethodUserpass, Username: "u", Password: secret.New("p")}}
	want(t, open(t, c), "a", "k")
}

func TestTokenFileIsReadAgainWhenItsTokenDies(t *testing.T) {
	s := vaulttest.Start(t)
	s.Put("a", map[string]any{"apiKey": "k"})
	s.Policy("reader", readAll)
	file := filepath.Join(t.TempDir(), "sink")
	put := func() (token string) {
		token = s.NewToken(time.Hour, "reader")
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return token
	}
	old := put()
	cl := open(t, vault.Config{Addresses: []string{s.Addr}, Auth: vault.Auth{Method: vault.MethodTokenFile, TokenFile: file}})
	want(t, cl, "a", "k")
	put()
	s.Revoke(old)
	want(t, cl, "a", "k")
}
