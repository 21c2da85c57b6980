package dashboard

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/browser"
)

// state returns how a connection is doing, by the list and by the totals, which
// must agree.
func (r *rig) state(id string) string {
	r.t.Helper()
	var all struct {
		Totals      map[string]int
		Connections []struct {
			ID     string `json:"connection_id"`
			Status string
		}
	}
	if err := json.Unmarshal([]byte(r.manage(http.StatusOK, http.MethodGet, "/status", "").body), &all); err != nil {
		r.t.Fatal(err)
	}
	counted := make(map[string]int)
	state := ""
	for _, c := range all.Connections {
		counted[c.Status]++
		if c.ID == id {
			state = c.Status
		}
	}
	for s, n := range all.Totals {
		if counted[s] != n {
			return "" // it changed in between
		}
	}
	return state
}

func TestAConnectionIsStaleInAnOutageMissingWhenItsKeyIsGoneAndThenOK(t *testing.T) {
	t.Parallel()
	r, b := newRig(t, settings{store: "\t\t\tttl 1s\n"}), browser.New(t)
	r.integration("acme", "Acme")
	r.connection("acme", "one", "key-1")
	r.connection("acme", "two", "key-2")
	r.signsIn(b, ops)
	uses := func() { r.proxied("acme", "one", http.StatusOK) }
	uses()
	until(t, "ok", func() bool { return r.state("one") == "ok" })
	r.vault.Seal()
	until(t, "stale", func() bool {
		uses() // what is held stays in use, and finds out
		return r.state("one") == "stale" && strings.Contains(r.manage(http.StatusOK, http.MethodGet, "/status", "").body, `"sealed":true`)
	})
	b.Sees("tbody .state.bad", "sealed")
	b.Sees("[aria-label='Filter by state']", "stale")
	r.vault.Unseal()
	until(t, "ok again", func() bool {
		uses()
		return r.state("one") == "ok" && r.state("two") == "ok"
	})
	b.Says("the end of it", `!document.querySelector("tbody .state.bad")`)

	r.vault.Do(http.MethodDelete, "secret/metadata/caddy-apikey-inject/acme/one", nil)
	until(t, "missing", func() bool {
		r.tries("acme", "one")
		return r.state("one") == "missing"
	})
	b.Sees("tbody .state.bad", "key missing")
	r.connection("acme", "one", "key-3")
	until(t, "ok with another key", func() bool { return r.state("one") == "ok" })
	b.Says("the dashboard to hear of it", `!document.querySelector("tbody .state.bad")`)
}
