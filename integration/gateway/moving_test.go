package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// TestAKeyThatIsEnteredForAnotherPlaceNeverGoesToTheOneBefore enters keys under
// load, each with a connection_config that leads to the other of two upstreams.
// Neither may get a key that was entered for the other.
func TestAKeyThatIsEnteredForAnotherPlaceNeverGoesToTheOneBefore(t *testing.T) {
	t.Parallel()
	const moves, callers = 100, 8
	r := newRig(t, settings{local: true})
	var mu sync.Mutex
	strayed := make(map[string]int)
	ups := [2]*harness.Upstream{r.up, harness.NewUpstream(t, nil)}
	got := [2]int{}
	for n, up := range ups {
		up.CountOnly()
		up.Answer(func(q *harness.Request) harness.Answer {
			key := strings.Join(q.Values("X-Api-Key"), ",")
			mu.Lock()
			defer mu.Unlock()
			got[n]++
			if !strings.HasPrefix(key, fmt.Sprintf("for-%d-", n)) {
				strayed[fmt.Sprintf("%s at %d", key, n)]++
			}
			return harness.Text(http.StatusOK, "ok")
		})
	}
	r.api(http.StatusOK, http.MethodPost, "/integrations", `{"provider": "private-api-generic", "unique_key": "acme",
		"integration_config": {"baseUrl": "http://127.0.0.1:${connectionConfig.port}", "keyName": "X-Api-Key"}}`)
	enter := func(move int) {
		_, port, _ := strings.Cut(ups[move%2].Addr(), ":")
		r.api(http.StatusCreated, http.MethodPost, "/connections", fmt.Sprintf(
			`{"provider_config_key": "acme", "connection_id": "cust-1", "connection_config": {"port": %q}, "credentials": {"type": "API_KEY", "apiKey": "for-%d-%d"}}`,
			port, move%2, move))
	}
	enter(0)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					r.proxy("acme", "cust-1", http.MethodGet, "/", "")
				}
			}
		})
	}
	for move := range moves {
		enter(move + 1)
	}
	close(stop)
	wg.Wait()
	if got[0] == 0 || got[1] == 0 {
		t.Fatalf("the upstreams got %d and %d requests", got[0], got[1])
	}
	if len(strayed) > 0 {
		t.Errorf("keys at the wrong upstream: %v", strayed)
	}
}

// TestAKeyThatWasPutPastTheAPIIsUsed puts one into Vault with Vault's own tools.
func TestAKeyThatWasPutPastTheAPIIsUsed(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{})
	r.integration("acme", "")
	r.connection("acme", "cust-1", "key-1")
	for n := range 2 {
		key := fmt.Sprintf("by-hand-%d", n)
		r.vault.Put("caddy-apikey-inject/acme/cust-1", map[string]any{"apiKey": key})
		if err := r.caddy.Post("/apikey_inject/refresh", `{"integration": "acme", "connection": "cust-1"}`); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			r.up.Forget()
			r.proxy("acme", "cust-1", http.MethodGet, "/", "")
			if got := r.up.Only().Values("Authorization"); len(got) != 1 || got[0] != "Api-Key "+key {
				t.Errorf("the upstream got %q, want %s", got, key)
			}
		}
	}
}
