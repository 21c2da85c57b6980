// The local store with a real Caddy, and its commands as processes of their own.

package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// localSite is a Caddy with a local store, an upstream, and a route between.
type localSite struct {
	*harness.Caddy
	t        *testing.T
	upstream *harness.Upstream
	addr     string
	config   string
}

const localStore = "\tapikey_inject {\n\t\tstore local\n\t}\n"

func startLocal(t *testing.T, options string, opts ...harness.Option) *localSite {
	t.Helper()
	s := &localSite{t: t, upstream: harness.NewUpstream(t, nil)}
	port := harness.Port(t)
	s.addr = fmt.Sprintf("127.0.0.1:%d", port)
	s.config = "{\n" + options + "}\n" + harness.Site(port, fmt.Sprintf(`	log
	apikey_inject %s {
		name X-Api-Key
		key acme/prod
		allow anyone
	}`, s.upstream.URL()))
	s.Caddy = harness.StartCaddy(t, s.config, opts...)
	return s
}

// call sends a request and returns the status, and the code when it is ours.
func (s *localSite) call(t *testing.T) (status int, code string) {
	t.Helper()
	r := harness.Exchange(t, s.addr, nil, "GET / HTTP/1.1\r\nHost: "+s.addr+"\r\nConnection: close\r\n\r\n")
	return r.Status, r.Header.Get("Apikey-Inject-Error")
}

// wantKey fails unless the next request arrives with this key.
func (s *localSite) wantKey(t *testing.T, key string) {
	t.Helper()
	s.upstream.Forget()
	if status, code := s.call(t); status != http.StatusOK {
		t.Fatalf("answer %d %s", status, code)
	}
	if got := s.upstream.Only().Values("X-Api-Key"); len(got) != 1 || got[0] != key {
		t.Errorf("the upstream received the keys %q, want %q", got, key)
	}
}

// wantNone fails unless the next request is refused for want of a key.
func (s *localSite) wantNone(t *testing.T) {
	t.Helper()
	s.upstream.Forget()
	if status, code := s.call(t); status != http.StatusBadGateway || code != "key_not_found" {
		t.Errorf("answer %d %q, want 502 key_not_found", status, code)
	}
	if n := s.upstream.Hits(); n != 0 {
		t.Errorf("the upstream received %d requests", n)
	}
}

// command runs caddy apikey-inject, which has to succeed.
func (s *localSite) command(t *testing.T, stdin string, args ...string) harness.Result {
	t.Helper()
	r := s.Run(stdin, append([]string{"apikey-inject"}, args...)...)
	if r.Code != 0 {
		t.Fatalf("apikey-inject %v: %+v", args, r)
	}
	return r
}

func TestLocalStoreOfARunningCaddy(t *testing.T) {
	s := startLocal(t, localStore)

	t.Run("without a key there is none to send", s.wantNone)

	t.Run("a key that is set is on the next request", func(t *testing.T) {
		s.command(t, "first-key-value\n", "set", "acme/prod")
		s.wantKey(t, "first-key-value")
	})

	t.Run("a key that is set again replaces it at once", func(t *testing.T) {
		s.command(t, "second-key-value", "set", "acme/prod")
		s.wantKey(t, "second-key-value")
	})

	t.Run("a deleted key is not sent any longer", func(t *testing.T) {
		s.command(t, "", "delete", "acme/prod")
		s.wantNone(t)
	})

	t.Run("a key can come back after its deletion", func(t *testing.T) {
		s.command(t, "third-key-value\r\n", "set", "acme/prod")
		s.wantKey(t, "third-key-value")
	})

	t.Run("a reload keeps what was set", func(t *testing.T) {
		if err := s.Load(s.config); err != nil {
			t.Fatal(err)
		}
		s.wantKey(t, "third-key-value")
		s.command(t, "fourth-key-value", "set", "acme/prod")
		s.wantKey(t, "fourth-key-value")
	})

	t.Run("list is a table for a person and JSON for a script", func(t *testing.T) {
		s.command(t, "other-key-value", "set", "team/crm", "--mount", "kv")
		table := s.command(t, "", "list").Stdout
		lines := strings.Split(strings.TrimSpace(table), "\n")
		if len(lines) != 3 || strings.Join(strings.Fields(lines[0]), " ") != "PATH MOUNT VERSION WRITTEN" ||
			!strings.HasPrefix(lines[1], "acme/prod ") || !strings.HasPrefix(lines[2], "team/crm ") {
			t.Errorf("list printed\n%s", table)
		}
		var infos []struct {
			Store, Mount, Path string
			Version            int
		}
		if err := json.Unmarshal([]byte(s.command(t, "", "list", "--json").Stdout), &infos); err != nil {
			t.Fatal(err)
		}
		if len(infos) != 2 || infos[1].Path != "team/crm" || infos[1].Mount != "kv" || infos[1].Store != "local" || infos[0].Version != 2 {
			t.Errorf("list --json printed %+v", infos)
		}
		s.command(t, "", "delete", "team/crm", "--mount", "kv")
	})

	t.Run("a second Caddy on the same database is refused", func(t *testing.T) {
		_, err := harness.TryCaddy(t, s.config, harness.Home(s.Home))
		if err == nil || !strings.Contains(err.Error(), "in use by another process") {
			t.Errorf("error %v", err)
		}
	})
}

func TestLocalStoreRefusals(t *testing.T) {
	s := startLocal(t, localStore)
	const canary = "canary-6f1c-refused"
	tests := []struct {
		name, stdin, want string
		args              []string
	}{
		{"key as an argument", "", "must not be an argument", []string{"set", "acme/prod", canary}},
		{"no path", "", "the path is missing", []string{"set"}},
		{"no key", "", "the key is empty", []string{"set", "acme/prod"}},
		{"only a line end", "\n", "the key is empty", []string{"set", "acme/prod"}},
		{"two lines", canary + "\nmore\n", "control character at byte 19", []string{"set", "acme/prod"}},
		{"too long a key", strings.Repeat(canary, 500), "at most 8192", []string{"set", "acme/prod"}},
		{"an empty segment", canary, "path: ", []string{"set", "acme//prod"}},
		{"a way out of the path", canary, "path: ", []string{"set", "acme/../prod"}},
		{"a path per connection", canary, "write the id of a connection", []string{"set", "acme/${connectionId}"}},
		{"a store that is not there", canary, `did you mean \"local\"?`, []string{"set", "acme/prod", "--store", "locl"}},
		{"deleting what is not there", "", "no such document", []string{"delete", "acme/nowhere"}},
		{"a command that is not there", "", `did you mean "delete"?`, []string{"delte", "acme/prod"}},
		{"an address where nobody listens", canary, "no Caddy answers", []string{"set", "acme/prod", "--address", fmt.Sprintf("127.0.0.1:%d", harness.Port(t))}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			r := s.Run(tc.stdin, append([]string{"apikey-inject"}, tc.args...)...)
			if r.Code != 1 || !strings.Contains(r.Stderr, tc.want) {
				t.Errorf("got %+v, want code 1 and %q", r, tc.want)
			}
			if strings.Contains(r.Stdout+r.Stderr, "canary") {
				t.Errorf("the answer holds the key: %+v", r)
			}
		})
	}
	if got := s.command(t, "", "list").Stdout; got != "No keys are stored.\n" {
		t.Errorf("after refusals only, list printed %q", got)
	}
}

func TestLocalStoreOfAStoppedCaddy(t *testing.T) {
	s := startLocal(t, "\tapikey_inject {\n\t\tstore local mine\n\t\tcatalog sqlite keys/own.db\n\t}\n")
	s.command(t, "while-running", "set", "acme/prod")
	s.Stop()
	file := filepath.Join(s.Home, "Caddyfile")

	t.Run("set writes the database that the configuration names", func(t *testing.T) {
		r := s.command(t, "while-stopped", "set", "acme/prod", "--config", file)
		if !strings.Contains(r.Stdout, "keys/own.db (no Caddy runs)") {
			t.Errorf("set printed %q", r.Stdout)
		}
	})

	t.Run("list and delete read it", func(t *testing.T) {
		s.command(t, "short-lived", "set", "acme/test", "--config", file, "--store", "mine")
		s.command(t, "", "delete", "acme/test", "--config", file)
		if got := s.command(t, "", "list", "--config", file).Stdout; !strings.Contains(got, "acme/prod") || strings.Contains(got, "acme/test") {
			t.Errorf("list printed\n%s", got)
		}
	})

	t.Run("without a database nothing is made to list or delete", func(t *testing.T) {
		r := s.Run("", "apikey-inject", "list") // the default place
		if r.Code != 1 || !strings.Contains(r.Stderr, "there is no database at") {
			t.Errorf("list: %+v", r)
		}
		if _, err := os.Stat(filepath.Join(s.Home, "data", "caddy", "apikey_inject")); !os.IsNotExist(err) {
			t.Errorf("list left files: %v", err)
		}
	})

	t.Run("without a configuration it is the database at the default place", func(t *testing.T) {
		r := s.command(t, "at-the-default-place", "set", "acme/here")
		if !strings.Contains(r.Stdout, "apikey_inject/catalog.db (no Caddy runs)") {
			t.Errorf("set printed %q", r.Stdout)
		}
		if got := s.command(t, "", "list").Stdout; !strings.Contains(got, "acme/here") || strings.Contains(got, "acme/prod") {
			t.Errorf("list printed\n%s", got)
		}
	})

	t.Run("a configuration without a local store is told so", func(t *testing.T) {
		vault := filepath.Join(t.TempDir(), "vault.caddyfile")
		if err := os.WriteFile(vault, []byte("{\n\tapikey_inject {\n\t\tstore vault\n\t}\n}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		r := s.Run("some-key", "apikey-inject", "set", "acme/prod", "--config", vault)
		if r.Code != 1 || !strings.Contains(r.Stderr, "has no local store") {
			t.Errorf("set: %+v", r)
		}
	})

	t.Run("Caddy uses what was set when it starts", func(t *testing.T) {
		s.Caddy = harness.StartCaddy(t, s.config, harness.Home(s.Home))
		s.wantKey(t, "while-stopped")
	})
}

// A Caddy without an admin endpoint holds the lock of its database, and the
// endpoint that answers at the default address is another's.
func TestLocalStoreBehindALock(t *testing.T) {
	other := startLocal(t, localStore)
	s := startLocal(t, localStore)
	off := filepath.Join(s.Home, "off.caddyfile")
	if err := os.WriteFile(off, []byte("{\n\tadmin off\n"+localStore+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := s.Run("never-stored", "apikey-inject", "set", "acme/prod", "--config", off)
	if r.Code != 1 || !strings.Contains(r.Stderr, "in use by another process") {
		t.Errorf("set: %+v", r)
	}
	other.wantNone(t)
	s.wantNone(t)
}

// A key may be stored before the first route uses its store.
func TestLocalStoreBeforeItsFirstRoute(t *testing.T) {
	s := startLocal(t, localStore)
	if err := s.Load("{\n" + localStore + "}\n"); err != nil {
		t.Fatal(err)
	}
	s.command(t, "early-key", "set", "acme/prod")
	if err := s.Load(s.config); err != nil {
		t.Fatal(err)
	}
	s.wantKey(t, "early-key")

	if err := s.Load("{\n}\n"); err != nil {
		t.Fatal(err)
	}
	r := s.Run("late-key", "apikey-inject", "set", "acme/prod")
	if r.Code != 1 || !strings.Contains(r.Stderr, "has no apikey_inject app") {
		t.Errorf("set without the app: %+v", r)
	}
}
