// How known keys are tried again and again.

package gateway

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// revocable is an upstream's list of keys that it does not take any more.
type revocable struct{ list atomic.Value }

func (v *revocable) answer(q *harness.Request) harness.Answer {
	gone, _ := v.list.Load().(string)
	key := strings.TrimPrefix(strings.Join(q.Values("Authorization"), ""), "Api-Key ")
	if key != "" && strings.Contains(gone, key) {
		return harness.Text(http.StatusUnauthorized, "revoked")
	}
	return harness.Text(http.StatusOK, "ok")
}

func TestAnIdleConnectionWhoseKeyWasRevokedIsFound(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{})
	up := &revocable{}
	r.up.Answer(up.answer)
	r.verified("acme", "", `, "interval": "10s"`)
	r.verified("never", "", "")
	r.connection("acme", "idle", "key-1")
	r.connection("acme", "other", "key-2")
	r.connection("acme", "off", "key-3")
	r.connection("never", "c", "key-4")
	r.api(http.StatusOK, http.MethodPost, strings.Replace(connectionPath("acme", "off"), "?", "/disable?", 1), "")
	up.list.Store("key-1 key-3 key-4")
	r.up.Forget()
	until(t, 30*time.Second, "auth_failed", func() bool { return r.status("acme", "idle") == "auth_failed" })
	if got := r.status("acme", "other"); got != "ok" {
		t.Errorf("the other one is %s", got)
	}
	for _, q := range r.up.Requests() {
		if q.Target != "/me" || strings.Contains(q.String(), "key-3") || strings.Contains(q.String(), "key-4") {
			t.Errorf("the upstream got %s", q)
		}
	}
	if used := r.api(http.StatusOK, http.MethodGet, connectionPath("acme", "idle"), "").json(t)["last_used_at"]; used != nil {
		t.Errorf("a trial counts as a use: %v", used)
	}
	r.wantLog(t, "apikey_inject", 1, "the upstream refuses the key of a connection", `"idle"`)
	up.list.Store("")
	until(t, 30*time.Second, "ok again", func() bool { return r.status("acme", "idle") == "ok" })
}

// A trial may lack a right that requests do not need. That must not make a
// connection fail at each trial, and be well again with the next request.
func TestA403OfATrialSaysNothingOfAConnectionInUse(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{})
	r.verified("acme", "", `, "interval": "10s"`)
	r.connection("acme", "busy", "key-1")
	r.connection("acme", "idle", "key-2")
	r.up.Answer(func(q *harness.Request) harness.Answer {
		if q.Target == "/me" {
			return harness.Text(http.StatusForbidden, "no")
		}
		return harness.Text(http.StatusOK, "ok")
	})
	r.proxy("acme", "busy", http.MethodGet, "/users", "")
	tried := func(key string) (n int) {
		for _, q := range r.up.Requests() {
			if q.Target == "/me" && strings.Contains(strings.Join(q.Values("Authorization"), ""), key) {
				n++
			}
		}
		return n
	}
	r.up.Forget()
	// The second trial begins when what the first found is long written down.
	until(t, time.Minute, "tried twice", func() bool { return tried("key-1") > 1 && r.status("acme", "idle") == "auth_failed" })
	if got := r.status("acme", "busy"); got != "ok" {
		t.Errorf("the one in use is %s", got)
	}
	r.wantLog(t, "apikey_inject", 0, "the upstream refuses the key of a connection", `"busy"`)
}

func TestAKeyOfTheConfigurationThatWasRevokedIsFound(t *testing.T) {
	t.Parallel()
	up := harness.NewUpstream(t, nil)
	var gone revocable
	up.Answer(gone.answer)
	verification := "\t\t\tverification /me {\n\t\t\t\tinterval 10s\n\t\t\t}\n"
	integration := "\t\tintegration own " + up.URL() + " {\n\t\t\tname Authorization\n\t\t\ttemplate \"Api-Key ${apiKey}\"\n\t\t\tkey own/prod\n" + verification + "\t\t}\n"
	r := newRig(t, settings{
		keys: map[string]string{"own/prod": "key-1", "inline/prod": "key-2"}, global: integration,
		site: "\tapikey_inject /inline/* " + up.URL() + " {\n\t\tname Authorization\n\t\ttemplate \"Api-Key ${apiKey}\"\n\t\tkey inline/prod\n\t\tallow anyone\n" + strings.ReplaceAll(verification, "\t\t\t", "\t\t") + "\t}\n",
	})
	own := func(want string) func() bool {
		return func() bool {
			return strings.Contains(r.api(http.StatusOK, http.MethodGet, "/status?integration=own", "").body, `"status":"`+want+`"`)
		}
	}
	until(t, 30*time.Second, "both to be tried", func() bool { return up.Hits() >= 2 })
	gone.list.Store("key-1 key-2")
	until(t, 30*time.Second, "auth_failed", own("auth_failed"))
	r.wantLog(t, "apikey_inject", 2, "the upstream refuses the newest key, and no other helped")
	r.vault.Put("own/prod", map[string]any{"apiKey": "key-3"})
	until(t, 30*time.Second, "ok with a new key", own("ok"))
	for _, q := range up.Requests() {
		if q.Target != "/me" {
			t.Errorf("the upstream got %s", q)
		}
	}
}

func TestOfTwoNodesOneTriesAKey(t *testing.T) {
	t.Parallel()
	n := nodes(t, 2)
	n[0].verified("acme", "", `, "interval": "10s"`)
	n[0].up.Forget()
	start := time.Now()
	n[0].connection("acme", "c", "key-1")
	until(t, time.Minute, "two trials after that at the entry", func() bool { return n[0].up.Hits() >= 3 })
	// Both nodes see what is due within 2 s.
	if took := time.Since(start); took < 18*time.Second {
		t.Errorf("the key was tried twice within %s", took)
	}
}
