package connect

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/pgtest"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

func TestL1ATokenUsedAtOnceOnTwoNodesMakesOneConnection(t *testing.T) {
	t.Parallel()
	const sessions = 500
	vault, up, url := vaulttest.Start(t), harness.NewUpstream(t, nil), pgtest.Database(t)
	of := setting{catalog: url, site: "\t\tfailures 100000 1s\n"}
	nodes := []*rig{startRig(t, vault, up, of), startRig(t, vault, up, of)}
	nodes[0].integration("acme")
	tokens := make([]string, 0, sessions)
	for range sessions {
		tokens = append(tokens, nodes[0].session("acme"))
	}
	made := make([]string, sessions) // the key of each session's connection
	ids := make([]string, sessions)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i, token := range tokens {
		for n, node := range nodes {
			wg.Go(func() {
				key := fmt.Sprintf("key-%d-of-%d", i, n)
				a := node.enters(token, "acme", key)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case a.status == http.StatusOK && made[i] == "":
					made[i], ids[i] = key, a.at("connectionId")
				case a.status == http.StatusOK:
					t.Errorf("session %d made two connections", i)
				case a.at("error", "code") != "connect_session_used":
					t.Errorf("session %d on node %d: %d %s", i, n, a.status, a.body)
				}
			})
		}
	}
	wg.Wait()
	if slices.Contains(made, "") {
		t.Fatalf("some sessions made none: %q", made)
	}
	list := nodes[1].manage(http.StatusOK, http.MethodGet, "/connections?integrationId=acme", "").body
	if n := strings.Count(list, `"connection_id"`); n != sessions {
		t.Errorf("there are %d connections", n)
	}
	for _, i := range []int{0, 249, 499} {
		if got := nodes[i%2].arrives("acme", ids[i]); got != "Api-Key "+made[i] {
			t.Errorf("connection %d: the upstream got %q, want %s", i, got, made[i])
		}
	}
}
