package gateway

// This file holds what several nodes make of one PostgreSQL that has the sealed
// keys, too.

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/pgtest"
	"github.com/apikeyinject/caddy-apikey-inject/internal/seal"
)

// keyset makes a keyset, as its text.
func keyset(t *testing.T) string {
	t.Helper()
	k, err := seal.Generate()
	if err != nil {
		t.Fatal(err)
	}
	text, err := k.Text()
	if err != nil {
		t.Fatal(err)
	}
	return text.Reveal()
}

// localNode starts a Caddy whose local store is on a PostgreSQL.
func localNode(t *testing.T, up *harness.Upstream, url, keyset string) (*rig, error) {
	t.Helper()
	r := &rig{t: t, up: up, port: harness.Port(t), http: harness.HTTP1Client(t, nil)}
	config := "{\n\tapikey_inject {\n\t\tstore local {\n\t\t\tkeyset {env.KEYSET}\n\t\t}\n\t\tcatalog postgres {env.DB}\n\t\tegress {\n\t\t\tallow 127.0.0.1\n\t\t}\n\t}\n}\n" +
		harness.Site(r.port, "\tapikey_inject_api {\n\t\ttoken ops {env.OPS}\n\t}\n")
	var err error
	r.caddy, err = harness.TryCaddy(t, config, harness.Env("OPS="+ops, "DB="+url, "KEYSET="+keyset))
	return r, err
}

func TestNodesShareTheLocalStoreOnPostgres(t *testing.T) {
	t.Parallel()
	up, url, shared := harness.NewUpstream(t, nil), pgtest.Database(t), keyset(t)
	a, err := localNode(t, up, url, shared)
	if err != nil {
		t.Fatal(err)
	}
	b, err := localNode(t, up, url, shared)
	if err != nil {
		t.Fatal(err)
	}
	a.integration("acme", "")
	a.connection("acme", "cust-1", "key-1")
	b.sees("acme", "cust-1", "key-1", 2*time.Second)
	b.api(http.StatusOK, http.MethodPut, "/connections/cust-1/credentials?provider_config_key=acme", `{"apiKey": "key-2"}`)
	a.sees("acme", "cust-1", "key-2", 2*time.Second)

	if _, err := localNode(t, up, url, keyset(t)); err == nil || !strings.Contains(err.Error(), "keyset") {
		t.Errorf("a node with another keyset: %v", err)
	}
}

func TestANodeStartsWhileThePostgresOfItsLocalStoreIsAway(t *testing.T) {
	t.Parallel()
	r, err := localNode(t, harness.NewUpstream(t, nil), fmt.Sprintf("postgres://caddy:x@127.0.0.1:%d/gateway", harness.Port(t)), keyset(t))
	if err != nil {
		t.Fatal(err)
	}
	if a := r.proxy("acme", "cust-1", http.MethodGet, "/", ""); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
}
