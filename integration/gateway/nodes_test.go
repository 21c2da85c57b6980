package gateway

// This file holds what several nodes make of one catalog and one Vault.

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/pgtest"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// nodes starts Caddys that share a PostgreSQL, a Vault and an upstream. Keys are
// held for the default ttl, 5 minutes.
func nodes(t *testing.T, n int) []*rig {
	t.Helper()
	vault, up, url := vaulttest.Start(t), harness.NewUpstream(t, nil), pgtest.Database(t)
	list := make([]*rig, n)
	for i := range list {
		r := &rig{t: t, vault: vault, up: up, port: harness.Port(t), http: harness.HTTP1Client(t, nil)}
		config := fmt.Sprintf("{\n\tapikey_inject {\n\t\tstore vault {\n\t\t\taddress %s\n\t\t\tauth token {env.VT}\n\t\t}\n\t\tcatalog postgres {env.DB}\n\t\tegress {\n\t\t\tallow 127.0.0.1\n\t\t}\n\t}\n}\n%s",
			vault.Addr, harness.Site(r.port, "\tapikey_inject_api {\n\t\ttoken ops {env.OPS}\n\t}\n"))
		r.caddy = harness.StartCaddy(t, config, harness.Env("OPS="+ops, "VT="+vault.Token, "DB="+url))
		list[i] = r
	}
	return list
}

// sees asks a node until the upstream gets this key, and returns how long that
// took.
func (r *rig) sees(integration, id, key string, limit time.Duration) time.Duration {
	r.t.Helper()
	start := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		r.up.Forget()
		a := r.proxy(integration, id, http.MethodGet, "/", "")
		if got := r.up.Requests(); a.status == http.StatusOK && len(got) == 1 && slices.Equal(got[0].Values("Authorization"), []string{"Api-Key " + key}) {
			return time.Since(start)
		}
		if time.Since(start) > limit {
			r.t.Fatalf("after %s the upstream does not get %s: %d %s", limit, key, a.status, a.body)
		}
	}
}

func TestAChangeOnOneNodeIsUsedByTheOther(t *testing.T) {
	t.Parallel()
	n := nodes(t, 2)
	a, b := n[0], n[1]
	a.integration("acme", "")
	a.connection("acme", "cust-1", "key-1")
	b.sees("acme", "cust-1", "key-1", 2*time.Second)

	a.api(http.StatusOK, http.MethodPut, "/connections/cust-1/credentials?provider_config_key=acme", `{"type": "API_KEY", "apiKey": "key-2"}`)
	if took := a.sees("acme", "cust-1", "key-2", 2*time.Second); took > time.Second {
		t.Errorf("the node that wrote used it after %s", took)
	}
	t.Logf("used by the other node after %s", b.sees("acme", "cust-1", "key-2", 2*time.Second))

	a.api(http.StatusOK, http.MethodPost, "/integrations/acme/disable", "")
	until(t, 2*time.Second, "node b refuses", func() bool {
		return b.proxy("acme", "cust-1", http.MethodGet, "/", "").header.Get("Apikey-Inject-Error") == "disabled"
	})
	a.api(http.StatusOK, http.MethodPost, "/integrations/acme/enable", "")
	b.sees("acme", "cust-1", "key-2", 2*time.Second)
	a.api(http.StatusOK, http.MethodDelete, "/connections/cust-1?provider_config_key=acme", "")
	until(t, 2*time.Second, "node b knows no such connection", func() bool {
		return b.proxy("acme", "cust-1", http.MethodGet, "/", "").header.Get("Apikey-Inject-Error") == "unknown_connection"
	})
}

// until looks every 20 ms whether f is content.
func until(t *testing.T, limit time.Duration, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); !f(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("after %s: not yet: %s", limit, what)
		}
	}
}

func TestConcurrentWritesOfTwoNodes(t *testing.T) {
	t.Parallel()
	const writes, workers = 1000, 16
	n := nodes(t, 2)
	n[0].integration("acme", "")
	todo := make(chan int)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range todo {
				n[w%2].connection("acme", fmt.Sprintf("cust-%d", i), fmt.Sprintf("key-%d", i))
			}
		})
	}
	for i := range writes {
		todo <- i
	}
	close(todo)
	wg.Wait()
	seen := make(map[string]bool)
	for page := 0; ; page++ {
		list := n[1].api(http.StatusOK, http.MethodGet, fmt.Sprintf("/connections?limit=250&page=%d", page), "").json(t)["connections"].([]any)
		if len(list) == 0 {
			break
		}
		for _, c := range list {
			id := c.(map[string]any)["connection_id"].(string)
			if seen[id] {
				t.Errorf("%s is there twice", id)
			}
			seen[id] = true
		}
	}
	if len(seen) != writes {
		t.Errorf("%d of %d connections are there", len(seen), writes)
	}
	for _, i := range []int{0, 1, 499, 998, 999} {
		n[i%2].sees("acme", fmt.Sprintf("cust-%d", i), fmt.Sprintf("key-%d", i), 2*time.Second)
	}
}
