// When keys are read: before the configuration is in force, in the background,
// or for the first request.

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// starting is a Vault, an upstream, and the configurations between them.
type starting struct {
	vault *vaulttest.Server
	up    *harness.Upstream
	port  int
}

func newStarting(t *testing.T) *starting {
	s := &starting{vault: vaulttest.Start(t), up: harness.NewUpstream(t, nil), port: harness.Port(t)}
	s.vault.Put("acme/prod", map[string]any{"apiKey": "key-of-acme", "spare": "x"})
	return s
}

func (s *starting) env() harness.Option { return harness.Env("VAULT_TOKEN=" + s.vault.Token) }

// config has one integration for each key, at /<n>.
func (s *starting) config(mode, address string, keys ...string) string {
	var app, site strings.Builder
	for i, key := range keys {
		fmt.Fprintf(&app, "\t\tintegration api-%d %s {\n\t\t\tname X-Api-Key\n\t\t\tkey %s\n\t\t\tallow anyone\n\t\t}\n", i, s.up.URL(), key)
		fmt.Fprintf(&site, "\tapikey_inject /%d api-%d\n", i, i)
	}
	return fmt.Sprintf("{\n\tapikey_inject {\n\t\tstore vault {\n\t\t\taddress %s\n\t\t\tstartup %s\n\t\t}\n%s\t}\n}\n%s",
		address, mode, app.String(), harness.Site(s.port, site.String()))
}

// call sends a GET, again when a server that is being replaced resets the
// connection, as clients may.
func (s *starting) call(t *testing.T, path string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", s.port, path), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := harness.Do(http.DefaultClient, req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// serves fails unless the key arrives at the upstream.
func (s *starting) serves(t *testing.T) {
	t.Helper()
	s.up.Forget()
	if status := s.call(t, "/0"); status != http.StatusOK {
		t.Fatalf("answer %d", status)
	}
	if got := s.up.Only().Values("X-Api-Key"); len(got) != 1 || got[0] != "key-of-acme" {
		t.Errorf("the upstream received %q", got)
	}
}

func TestStartupModes(t *testing.T) { //nolint:tparallel // the cases share one Vault, one after another
	t.Parallel()
	s := newStarting(t)
	proxy := s.vault.Proxy(t)
	reads := func() int { return proxy.Count("/v1/secret/data/acme/prod") }

	t.Run("lazy reads for the first request", func(t *testing.T) {
		c := harness.StartCaddy(t, s.config("lazy", proxy.Addr, "acme/prod"), s.env())
		defer c.Stop()
		if err := c.Load(s.config("lazy", proxy.Addr, "acme/prod", "acme/other")); err != nil {
			t.Fatal(err)
		}
		if seen := proxy.Seen(); len(seen) != 0 {
			t.Fatalf("requests to Vault before the first call: %q", seen)
		}
		s.serves(t)
		if n := reads(); n != 1 {
			t.Errorf("%d reads of the key", n)
		}
	})

	t.Run("warm reads in the background", func(t *testing.T) {
		before := reads()
		c := harness.StartCaddy(t, s.config("warm", proxy.Addr, "acme/prod"), s.env())
		defer c.Stop()
		for end := time.Now().Add(20 * time.Second); reads() == before; <-time.After(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("no read of the key, and nobody has asked for it")
			}
		}
	})

	t.Run("warm starts without its key", func(t *testing.T) {
		c := harness.StartCaddy(t, s.config("warm", proxy.Addr, "acme/nowhere"), s.env())
		defer c.Stop()
		if status := s.call(t, "/0"); status != http.StatusBadGateway {
			t.Errorf("answer %d", status)
		}
	})

	t.Run("eager has read before it serves", func(t *testing.T) {
		before := reads()
		c := harness.StartCaddy(t, s.config("eager", proxy.Addr, "acme/prod"), s.env())
		defer c.Stop()
		if n := reads() - before; n != 1 {
			t.Errorf("%d reads of the key when the configuration is in force", n)
		}
		s.serves(t)
	})
}

// TestEagerFailsTheLoad reloads a running Caddy with configurations that must
// not start: the old one serves on.
func TestEagerFailsTheLoad(t *testing.T) { //nolint:tparallel // the cases share one Vault, one after another
	t.Parallel() // one case takes all of the 30 s
	s := newStarting(t)
	proxy := s.vault.Proxy(t)
	s.vault.Policy("acme", `path "secret/data/acme/*" { capabilities = ["read"] }`)
	good := s.config("warm", s.vault.Addr, "acme/prod")
	const name = "CANARY_TOKEN"
	limited := s.vault.NewToken(time.Hour, "acme")
	c := harness.StartCaddy(t, good, s.env(), harness.Env(name+"=token-canary-8d1f", "LIMITED="+limited))
	with := func(config, auth string) string {
		return strings.Replace(config, "startup", "auth token {env."+auth+"}\n\t\t\tstartup", 1)
	}
	refused := func(t *testing.T, config string, limit time.Duration, want ...string) {
		t.Helper()
		began := time.Now()
		err := c.Load(config)
		if err == nil {
			t.Fatal("the configuration is in force")
		}
		if took := time.Since(began); took > limit {
			t.Errorf("refused after %s", took)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("lacks %q: %v", w, err)
			}
		}
		for _, no := range []string{"key-of-acme", "token-canary", s.vault.Token, limited} {
			if strings.Contains(err.Error(), no) {
				t.Errorf("holds a secret: %v", err)
			}
		}
		s.serves(t)
	}

	t.Run("a missing key", func(t *testing.T) {
		refused(t, s.config("eager", s.vault.Addr, "acme/prod", "acme/nowhere"), 10*time.Second,
			"api-1: key acme/nowhere: not_found")
	})
	t.Run("a missing field", func(t *testing.T) {
		refused(t, s.config("eager", s.vault.Addr, "acme/prod token"), 10*time.Second,
			"api-0: key acme/prod: invalid", "apiKey, spare")
	})
	t.Run("a policy that denies", func(t *testing.T) {
		refused(t, with(s.config("eager", s.vault.Addr, "acme/prod", "beta/prod"), "LIMITED"), 10*time.Second,
			"api-1: key beta/prod: denied")
	})
	t.Run("a login that is refused", func(t *testing.T) {
		refused(t, with(s.config("eager", s.vault.Addr, "acme/prod"), name), 10*time.Second,
			"api-0: key acme/prod: unavailable", "no longer valid")
	})
	t.Run("a Vault that is away", func(t *testing.T) {
		proxy.Fault(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
		refused(t, s.config("eager", proxy.Addr, "acme/prod"), 35*time.Second,
			"api-0: key acme/prod: unavailable")
	})
	t.Run("a Vault that comes meanwhile", func(t *testing.T) {
		timer := time.AfterFunc(3*time.Second, func() { proxy.Fault(nil) })
		defer timer.Stop()
		if err := c.Load(s.config("eager", proxy.Addr, "acme/prod")); err != nil {
			t.Fatal(err)
		}
		s.serves(t)
	})
}
