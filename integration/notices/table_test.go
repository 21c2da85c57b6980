package notices

// This file holds what happens against where it arrives: each thing at each
// place once, soon, and without a secret.

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// soon is when an arrival is late, from when the log tells of it.
const soon = 2 * time.Second

// happening is one thing that happens, and what is found of it where.
type happening struct {
	name   string
	act    func(r *rig)
	log    []string // parts of the line
	event  string
	data   []string // parts of the event's line
	hook   []string // parts of the webhook; none: no connection is concerned
	slack  []string // parts of the message; none: it is neither bad nor over
	status []string // parts of what GET /status answers
	metric string   // a series and its value
}

var happenings = []happening{
	{
		name: "key rotated", act: func(r *rig) { r.vault.Put("fixed", map[string]any{"apiKey": "canary-fixed-2"}) },
		log: []string{`"a key was read"`, `"key":"fixed"`, `"version":2`}, event: "rotated", data: []string{`"integration":"fixed"`, `"key_version":2`, `"former_version":1`},
		status: []string{`"unique_key":"fixed"`, `"status":"ok"`, `"key_version":2`}, metric: `key_version{integration="fixed"} 2`,
	},
	{
		name: "upstream refuses the key", act: func(r *rig) {
			r.up.Answer(refuse("canary-conn-1"))
			for range 3 {
				r.call("acme", "cust-1")
			}
		},
		log: []string{`"the upstream refuses the key of a connection"`, `"cust-1"`}, event: "auth_failed", data: []string{`"integration":"acme"`, `"connection":"cust-1"`, `"key_version":1`},
		hook: []string{`"operation":"refresh"`, `"success":false`, `"connectionId":"cust-1"`}, slack: []string{"The upstream refuses the key of connection `cust-1` of `acme`* (version 1)"},
		status: []string{`"connection_id":"cust-1"`, `"status":"auth_failed"`}, metric: `requests_total{integration="acme",outcome="injected"} 3`,
	},
	{
		name: "connection recovered", act: func(r *rig) {
			r.connection("acme", "cust-1", "canary-conn-2")
			r.call("acme", "cust-1")
		},
		log: []string{`"the upstream takes the key of a connection again"`, `"cust-1"`}, event: "auth_recovered", data: []string{`"connection":"cust-1"`, `"key_version":2`},
		hook: []string{`"operation":"refresh"`, `"success":true`, `"connectionId":"cust-1"`}, slack: []string{"*Resolved:* connection `cust-1` of `acme` works again"},
		status: []string{`"connection_id":"cust-1"`, `"status":"ok"`, `"key_version":2`}, metric: `requests_total{integration="acme",outcome="injected"} 4`,
	},
	{
		name: "Vault sealed", act: func(r *rig) {
			r.vault.Seal()
			for i := range 8 { // keys that nobody has read yet
				r.call("acme", fmt.Sprintf("other-%d", i))
			}
		},
		log: []string{`"the store is away; keys already held stay in use"`}, event: "store_down", data: []string{`"store":"vault"`},
		slack: []string{"the store `vault` is away"}, status: []string{`"sealed":true`}, metric: `breaker_state{store="vault"} 1`,
	},
	{
		name: "Vault unsealed", act: func(r *rig) { r.vault.Unseal() },
		log: []string{`"the store is back"`}, event: "store_up", data: []string{`"store":"vault"`},
		slack: []string{"*Resolved:* the store `vault` is back"}, status: []string{`"sealed":false`}, metric: `breaker_state{store="vault"} 0`,
	},
	{
		name: "key deleted", act: func(r *rig) { r.vault.Do(http.MethodDelete, "secret/metadata/fixed", nil) },
		log: []string{`"a key was deleted in the store and is not served any longer"`, `"key":"fixed"`}, event: "deleted", data: []string{`"integration":"fixed"`, `"reason":"not_found"`},
		slack: []string{"The key of `fixed` was deleted in the store"}, status: []string{`"unique_key":"fixed"`, `"status":"missing"`}, metric: `key_held{integration="fixed"} 0`,
	},
	{
		name: "key entered again", act: func(r *rig) {
			r.vault.Put("fixed", map[string]any{"apiKey": "canary-fixed-3"})
			until(r.t, "the key is in use", func() bool {
				status, _ := r.do(http.MethodGet, "/fixed", "")
				return status == http.StatusOK
			})
		},
		log: []string{`"a key can be read again"`, `"key":"fixed"`}, event: "recovered", data: []string{`"integration":"fixed"`},
		slack: []string{"*Resolved:* `fixed` has a key again"}, status: []string{`"unique_key":"fixed"`, `"status":"ok"`}, metric: `key_held{integration="fixed"} 1`,
	},
}

func TestWhatHappensArrivesEverywhereOnce(t *testing.T) {
	t.Parallel()
	v := vaulttest.Start(t)
	v.Put("fixed", map[string]any{"apiKey": "canary-fixed-1"})
	up := harness.NewUpstream(t, nil)
	r := newRig(t, settings{
		vault: v, up: up, top: "\tdebug\n",
		global: "\t\tintegration fixed " + up.URL() + " {\n\t\t\tname X-Api-Key\n\t\t\tkey fixed\n\t\t\tallow anyone\n\t\t}\n",
		site:   "\tapikey_inject /fixed fixed\n",
	})
	r.integration("acme")
	r.connection("acme", "cust-1", "canary-conn-1")
	for i := range 8 {
		r.connection("acme", fmt.Sprintf("other-%d", i), "canary-other")
	}
	until(t, "the key is read", func() bool { return r.series(`key_held{integration="fixed"} 1`) })

	for _, h := range happenings {
		h.act(r)
		h.arrives(r)
	}
	// Once each, looked at when all others have come.
	for _, h := range happenings {
		h.arrivedOnce(r)
	}
	if webhooks := len(r.hooks.got()); webhooks != 9+1+1+1 { // created, refused, entered, recovered
		t.Errorf("%d webhooks", webhooks)
	}
	messages := 0
	for _, h := range happenings {
		if h.slack != nil {
			messages++
		}
	}
	if got := len(r.slack.got()); got > messages {
		t.Errorf("%d messages for %d things", got, messages)
	}
	r.noSecret("canary-fixed", "canary-conn", "canary-other", v.Token)
}

// series tells whether the metrics have this one.
func (r *rig) series(line string) bool {
	_, all, err := r.caddy.Do(http.MethodGet, "/metrics", "")
	return err == nil && strings.Contains(all, "caddy_apikey_inject_"+line+"\n")
}

func (h *happening) lines(r *rig) []map[string]any {
	return r.caddy.Log.Entries("apikey_inject", h.log...)
}

func (h *happening) events(r *rig) []map[string]any {
	return r.caddy.Log.Entries("events", append([]string{`"msg":"event"`, `"name":"apikey_` + h.event + `"`}, h.data...)...)
}

// arrives waits until it is found everywhere.
func (h *happening) arrives(r *rig) {
	t := r.t
	t.Helper()
	until(t, h.name+" in the log", func() bool { return len(h.lines(r)) > 0 })
	noticed := time.UnixMicro(int64(h.lines(r)[0]["ts"].(float64) * 1e6))
	until(t, h.name+" as an event", func() bool { return len(h.events(r)) > 0 })
	inTime := func(where string, at time.Time) {
		t.Helper()
		late := at.Sub(noticed)
		if late > soon {
			t.Errorf("%s: %s after %s", h.name, where, late)
		}
		t.Logf("%s: %s after %s", h.name, where, late.Round(10*time.Millisecond))
	}
	inTime("an event", time.UnixMicro(int64(h.events(r)[0]["ts"].(float64)*1e6)))
	if h.hook != nil {
		until(t, h.name+" as a webhook", func() bool { return len(r.hooks.with(h.hook...)) > 0 })
		g := r.hooks.with(h.hook...)[0]
		g.signed(t)
		inTime("a webhook", g.at)
	}
	if h.slack != nil {
		until(t, h.name+" in Slack", func() bool { return len(r.slack.with(h.slack...)) > 0 })
		inTime("in Slack", r.slack.with(h.slack...)[0].at)
	}
	// These are asked for after what comes by itself, so they may have been right
	// for longer.
	until(t, h.name+" in the status", func() bool {
		for item := range strings.SplitSeq(r.must(http.MethodGet, "/status", ""), "},{") {
			if containsAll(item, h.status) {
				return true
			}
		}
		return false
	})
	inTime("in the status", time.Now())
	until(t, h.name+" in the metrics", func() bool { return r.series(h.metric) })
	inTime("in the metrics", time.Now())
}

func containsAll(s string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}

func (h *happening) arrivedOnce(r *rig) {
	t := r.t
	t.Helper()
	for where, n := range map[string]int{
		"in the log": len(h.lines(r)), "as an event": len(h.events(r)),
	} {
		if n != 1 {
			t.Errorf("%s: %d times %s", h.name, n, where)
		}
	}
	if n := len(r.hooks.with(h.hook...)); h.hook != nil && n != 1 {
		t.Errorf("%s: %d webhooks", h.name, n)
	}
	if n := len(r.slack.with(h.slack...)); h.slack != nil && n != 1 {
		t.Errorf("%s: told %d times in Slack", h.name, n)
	}
}

// noSecret fails when one of these is anywhere outside of store and upstream.
func (r *rig) noSecret(secrets ...string) {
	r.t.Helper()
	_, metrics, _ := r.caddy.Do(http.MethodGet, "/metrics", "")
	places := map[string]string{"the log": r.caddy.Log.String(), "the metrics": metrics, "the status": r.must(http.MethodGet, "/status", "")}
	for n, g := range r.hooks.got() {
		places[fmt.Sprint("webhook ", n)] = g.raw + fmt.Sprint(g.header)
	}
	for n, g := range r.slack.got() {
		places[fmt.Sprint("message ", n)] = g.raw + fmt.Sprint(g.header)
	}
	for place, text := range places {
		for _, s := range append(secrets, ops, signing, "slack-canary") {
			if strings.Contains(text, s) {
				r.t.Errorf("%s is in %s", s, place)
			}
		}
	}
}

func TestALoginThatEndsIsTold(t *testing.T) {
	t.Parallel()
	v := vaulttest.Start(t)
	v.Policy("reads", `path "secret/*" { capabilities = ["create", "update", "read", "delete"] }`)
	made := v.Do(http.MethodPost, "auth/token/create", map[string]any{"ttl": "40s", "explicit_max_ttl": "40s", "policies": []string{"reads"}})
	token := made["auth"].(map[string]any)["client_token"].(string)
	r := newRig(t, settings{vault: v, token: token, top: "\tdebug\n"})
	h := happening{
		name: "token expiring", log: []string{`"the login at the store ends soon, and there is no other"`, `"ends_at"`}, event: "token_expiring", data: []string{`"store":"vault"`, `"ends_at":"`},
		slack: []string{"The login at the store `vault` ends soon"}, status: []string{`"name":"vault"`}, metric: `breaker_state{store="vault"} 0`,
	}
	r.integration("acme")
	r.connection("acme", "cust-1", "canary-conn") // uses the store
	h.arrives(r)
	h.arrivedOnce(r)
	r.noSecret("canary-conn", token)
}
