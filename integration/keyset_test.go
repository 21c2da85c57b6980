// caddy apikey-inject rotate-keyset, while Caddy runs and when it does not.

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/pgtest"
)

// ownKeyset is where Caddy keeps the keyset that it makes.
func ownKeyset(s *localSite) string {
	return filepath.Join(s.Home, "config", "caddy", "apikey_inject", "keyset")
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// wantPrinted fails unless a command printed this and no part of a keyset.
func wantPrinted(t *testing.T, r harness.Result, want string) {
	t.Helper()
	if !strings.Contains(r.Stdout+r.Stderr, want) {
		t.Errorf("printed %+v, want %q", r, want)
	}
	if strings.Contains(r.Stdout+r.Stderr, "keyData") {
		t.Errorf("printed a keyset: %+v", r)
	}
}

func TestRotateKeysetOfARunningCaddy(t *testing.T) {
	s := startLocal(t, localStore)
	s.command(t, "first-key-value", "set", "acme/prod")
	s.command(t, "second-key-value", "set", "acme/prod")
	former := mustRead(t, ownKeyset(s))

	wantPrinted(t, s.command(t, "", "rotate-keyset"), "Made a new primary key. Sealed 1 document anew, in the running Caddy.\nThe keyset "+ownKeyset(s)+" holds 2 keys; back it up.")
	s.wantKey(t, "second-key-value")
	wantPrinted(t, s.command(t, "", "rotate-keyset", "--drop-old"), "Sealed 0 documents anew, in the running Caddy.\nTook 1 old key out of the keyset.")
	s.command(t, "third-key-value", "set", "acme/prod")
	s.wantKey(t, "third-key-value")

	s.Stop()
	now := mustRead(t, ownKeyset(s))
	if now == former {
		t.Fatal("the keyset is the former one")
	}
	t.Run("the former keyset opens nothing any more", func(t *testing.T) {
		if err := os.WriteFile(ownKeyset(s), []byte(former), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := harness.TryCaddy(t, s.config, harness.Home(s.Home)); err == nil || !strings.Contains(err.Error(), "is not the one that the database's keys are sealed with") {
			t.Errorf("error %v", err)
		}
		if err := os.WriteFile(ownKeyset(s), []byte(now), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("without Caddy the database is opened", func(t *testing.T) {
		r := s.command(t, "", "rotate-keyset", "--drop-old", "--config", filepath.Join(s.Home, "Caddyfile"), "--json")
		wantPrinted(t, r, `"resealed": 1,`)
		s.Caddy = harness.StartCaddy(t, s.config, harness.Home(s.Home))
		s.wantKey(t, "third-key-value")
	})
}

// Where the configuration names the keyset, the operator puts the new one in
// place, and a reload takes it over without losing a request.
func TestRotateKeysetThatTheConfigurationNames(t *testing.T) {
	made := startLocal(t, localStore)
	made.command(t, "unused", "set", "acme/other")
	dir := t.TempDir()
	file := filepath.Join(dir, "keyset")
	place := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	place(mustRead(t, ownKeyset(made)))

	s := startLocal(t, fmt.Sprintf("\tapikey_inject {\n\t\tstore local {\n\t\t\tkeyset {file.%s}\n\t\t}\n\t}\n", file))
	s.command(t, "the-key-value", "set", "acme/prod")
	reload := func() {
		t.Helper()
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		s.wantKey(t, "the-key-value")
	}
	rotate := func(code int, want string, args ...string) {
		t.Helper()
		r := s.Run("", append([]string{"apikey-inject", "rotate-keyset"}, args...)...)
		if r.Code != code {
			t.Fatalf("%+v", r)
		}
		wantPrinted(t, r, want)
	}

	rotate(1, "the configuration names the keyset")
	rotate(0, "Its primary key is the new one. Put it in place", "--out", filepath.Join(dir, "next"))
	if fi, err := os.Stat(filepath.Join(dir, "next")); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the new keyset: %v %v", fi, err)
	}
	rotate(1, "file exists", "--out", filepath.Join(dir, "next"))
	place(mustRead(t, filepath.Join(dir, "next")))
	reload()
	rotate(1, "keys are still sealed with an old key", "--drop-old", "--out", filepath.Join(dir, "early"))
	rotate(0, "Sealed 1 document anew, in the running Caddy.")
	rotate(0, "It is without 1 old key.", "--drop-old", "--out", filepath.Join(dir, "last"))
	place(mustRead(t, filepath.Join(dir, "last")))
	reload()
	s.Stop()
	s.Caddy = harness.StartCaddy(t, s.config, harness.Home(s.Home))
	s.wantKey(t, "the-key-value")
	for _, text := range []string{s.Log.String(), s.Config("")} {
		if strings.Contains(text, "keyData") {
			t.Error("a keyset shows in the log or the configuration")
		}
	}
}

func TestAdminKeysetRefusals(t *testing.T) {
	s := startLocal(t, localStore)
	for _, tc := range []struct {
		method, body, want string
		status             int
	}{
		{"GET", "", "method", 405},
		{"POST", `{"out": "relative/keyset"}`, "out: must be an absolute path", 400},
		{"POST", `{"store": "lokal"}`, "there is no store", 400},
		{"POST", `{"dropold": true}`, "did you mean", 400},
		{"POST", `x`, "is no JSON", 400},
	} {
		status, body, err := s.Do(tc.method, "/apikey_inject/keyset", tc.body)
		if err != nil || status != tc.status || !strings.Contains(body, tc.want) {
			t.Errorf("%s %s: %d %s %v", tc.method, tc.body, status, body, err)
		}
	}
}

// On postgres many nodes share the sealed keys, each with its own copy of the
// keyset, and none of them makes one.
func TestNodesShareTheLocalStoreOnPostgres(t *testing.T) {
	made := startLocal(t, localStore)
	made.command(t, "unused", "set", "acme/other")
	file := filepath.Join(t.TempDir(), "keyset")
	if err := os.WriteFile(file, []byte(mustRead(t, ownKeyset(made))), 0o600); err != nil {
		t.Fatal(err)
	}
	env := harness.Env("DATABASE_URL=" + pgtest.Database(t))
	shared := "\tapikey_inject {\n\t\tstore local {\n\t\t\tkeyset {file." + file + "}\n\t\t}\n\t\tcatalog postgres {env.DATABASE_URL}\n\t}\n"
	one := startLocal(t, shared, env)
	one.command(t, "shared-key-value", "set", "acme/prod")
	one.wantKey(t, "shared-key-value")
	startLocal(t, shared, env).wantKey(t, "shared-key-value") // beside it
	if _, err := harness.TryCaddy(t, strings.Replace(one.config, "\t\t\tkeyset {file."+file+"}\n", "", 1), env); err == nil || !strings.Contains(err.Error(), "no keyset at ") {
		t.Errorf("without a keyset: %v", err)
	}
	r := one.Run("", "apikey-inject", "rotate-keyset")
	if r.Code != 1 || !strings.Contains(r.Stderr, "several nodes share the database") {
		t.Errorf("in place: %+v", r)
	}
	next := filepath.Join(filepath.Dir(file), "next")
	wantPrinted(t, one.command(t, "", "rotate-keyset", "--out", next), "It has a new key, which does not seal yet.")
}
