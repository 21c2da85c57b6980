package notices

// This file holds what becomes of webhooks when the process that sends them is
// killed, and when two send them.

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/pgtest"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// wantEach waits until each connection's webhook came, and fails unless all
// attempts of one have one id, no two share one, and every signature is good.
func wantEach(t *testing.T, v *receiver, operation string, n int) (attempts int) {
	t.Helper()
	of := map[string]string{} // id by connection
	until(t, fmt.Sprintf("%d webhooks", n), func() bool {
		clear(of)
		for _, g := range v.with(`"operation":"` + operation + `"`) {
			of[fmt.Sprint(g.body(t)["connectionId"])] = g.id()
		}
		return len(of) == n
	})
	ids := map[string]string{}
	for _, g := range v.with(`"operation":"` + operation + `"`) {
		id := fmt.Sprint(g.body(t)["connectionId"])
		if g.id() != of[id] {
			t.Errorf("%s has the ids %s and %s", id, g.id(), of[id])
		}
		if other, taken := ids[g.id()]; taken && other != id {
			t.Errorf("%s and %s share an id", id, other)
		}
		ids[g.id()] = id
		g.signed(t)
		attempts++
	}
	return attempts
}

func TestAKilledProcessLosesNoWebhook(t *testing.T) {
	t.Parallel()
	const n = 100
	home := t.TempDir()
	r := newRig(t, settings{options: []harness.Option{harness.Home(home)}})
	release := make(chan struct{})
	r.hooks.set(func(n int) int { // some were taken, and nobody heard of it
		if n >= 20 {
			<-release
		}
		return http.StatusOK
	})
	r.integration("acme")
	for i := range n {
		r.connection("acme", fmt.Sprintf("cust-%d", i), "key-1")
	}
	until(t, "some are under way", func() bool { return len(r.hooks.got()) > 30 })
	r.caddy.Kill()
	close(release)
	r.hooks.set(nil)
	before := len(r.hooks.got())

	harness.StartCaddy(t, r.config, harness.Home(home), harness.Env("OPS="+ops, "WEBHOOK_SECRET="+signing, "SLACK="+r.slack.srv.URL))
	// What was under way is sent again: nobody knows whether it was taken.
	until(t, "all that was not answered", func() bool { return len(r.hooks.got()) >= n+before-20 })
	if attempts := wantEach(t, r.hooks, "creation", n); before >= n || attempts > n+before {
		t.Errorf("%d attempts, %d of them before the end", attempts, before)
	}
}

func TestOfTwoNodesOneTells(t *testing.T) {
	t.Parallel()
	const n = 60
	vault, url := vaulttest.Start(t), pgtest.Database(t)
	s := settings{vault: vault, hooks: newReceiver(t), slack: newReceiver(t), up: harness.NewUpstream(t, nil), global: "\t\tcatalog postgres {env.DB}\n", env: []string{"DB=" + url}}
	a, b := newRig(t, s), newRig(t, s)
	a.integration("acme")
	for i := range n {
		(map[bool]*rig{true: a, false: b})[i%2 == 0].connection("acme", fmt.Sprintf("cust-%d", i), "key-1")
	}
	if attempts := wantEach(t, s.hooks, "creation", n); attempts != n {
		t.Errorf("%d attempts for %d changes", attempts, n)
	}
	// Both see the upstream refuse the key; one of them tells.
	s.up.Answer(refuse("key-1"))
	for range 3 {
		for _, r := range []*rig{a, b} {
			if status := r.call("acme", "cust-0"); status != http.StatusUnauthorized {
				t.Fatalf("answered %d", status)
			}
		}
	}
	a.wantHook(s.hooks, "cust-0", "refresh", false)
	until(t, "Slack is told", func() bool { return len(s.slack.with("cust-0", "refuses the key")) > 0 })

	// The next change is told after all that came before.
	a.connection("acme", "last", "key-2")
	a.wantHook(s.hooks, "last", "creation", true)
	a.wantHook(s.hooks, "cust-0", "refresh", false)
	if got := s.slack.got(); len(got) != 1 {
		t.Errorf("Slack was told %d times: %+v", len(got), got)
	}
}
