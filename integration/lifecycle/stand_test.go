// Package lifecycle tests that a key is always there: a real Caddy under load, a
// real Vault that goes through everything that can happen to one, an upstream on
// a raw socket.
package lifecycle

// This file holds what the cases share.

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// wait is long enough for everything that happens at all.
const wait = 20 * time.Second

// pinned is how many keys the configuration itself names: with several failing
// at once the breaker opens as soon as it may.
const pinned = 6

// stand is a Caddy between a Vault and an upstream that answers with the key it
// received.
type stand struct {
	t     *testing.T
	vault *vaulttest.Server
	up    *harness.Upstream
	caddy *harness.Caddy
	port  int
	http  *http.Client
}

// settings are what a stand's configuration may vary.
type settings struct {
	address  string // of Vault. Default: the server's own
	ttl      string // Default: 1s
	maxStale string // Default: 24h
	auth     string // Default: the root token
	env      []string
	extra    string // lines of the site
}

// newStand writes the keys, starts Caddy, and waits until all of them are held.
func newStand(t *testing.T, v *vaulttest.Server, s settings) *stand {
	t.Helper()
	st := coldStand(t, v, s)
	for i := range pinned {
		v.Put(fmt.Sprintf("pinned/%d", i), map[string]any{"apiKey": fmt.Sprintf("key-%d-v1", i)})
	}
	v.Put("customers/one", map[string]any{"apiKey": "key-one-v1"})
	st.start(s)
	for i := range pinned {
		st.until(fmt.Sprintf("/p%d", i), "", fmt.Sprintf("key-%d-v1", i), wait)
	}
	st.until("/c", "one", "key-one-v1", wait)
	return st
}

// coldStand is a stand whose Caddy does not run yet.
func coldStand(t *testing.T, v *vaulttest.Server, _ settings) *stand {
	t.Helper()
	st := &stand{t: t, vault: v, up: harness.NewUpstream(t, nil), port: harness.Port(t), http: harness.HTTP1Client(t, nil)}
	st.up.CountOnly()
	st.up.Answer(func(r *harness.Request) harness.Answer {
		return harness.Text(http.StatusOK, "["+strings.Join(r.Values("X-Api-Key"), ",")+"]")
	})
	return st
}

func (st *stand) start(s settings) {
	st.t.Helper()
	env := append([]string{"VT=" + st.vault.Token}, s.env...)
	st.t.Cleanup(func() { // of a Caddy built with HARNESS_RACE=1
		if st.caddy != nil && strings.Contains(st.caddy.Log.String(), "DATA RACE") {
			st.t.Errorf("a data race: %s", st.caddy.Log.String())
		}
	})
	st.caddy = harness.StartCaddy(st.t, st.config(s), harness.Env(env...))
}

// config is the whole Caddyfile: /p0 to /p5 with a key each, /c with the
// customer's that the request names.
func (st *stand) config(s settings) string {
	or := func(v, d string) string {
		if v == "" {
			return d
		}
		return v
	}
	var site strings.Builder
	route := func(match, key, more string) {
		fmt.Fprintf(&site, "\tapikey_inject %s %s {\n\t\tname X-Api-Key\n\t\tkey %s\n\t\tallow anyone\n%s\t}\n", match, st.up.URL(), key, more)
	}
	for i := range pinned {
		route(fmt.Sprintf("/p%d", i), fmt.Sprintf("pinned/%d", i), "")
	}
	route("/c", "customers/${connectionId}", "\t\tconnection {http.request.header.X-Customer}\n")
	site.WriteString(s.extra)
	return fmt.Sprintf("{\n\tapikey_inject {\n\t\tstore vault {\n\t\t\taddress %s\n\t\t\tttl %s\n\t\t\tmax_stale %s\n\t\t\tauth %s\n\t\t}\n\t}\n}\n%s",
		or(s.address, st.vault.Addr), or(s.ttl, "1s"), or(s.maxStale, "24h"), or(s.auth, "token {env.VT}"), harness.Site(st.port, site.String()))
}

func (st *stand) url(path string) string { return fmt.Sprintf("http://127.0.0.1:%d%s", st.port, path) }

// ask sends one GET, for a customer if one is named.
func (st *stand) ask(path, customer string) *harness.Reply {
	st.t.Helper()
	reply, err := st.tryAsk(path, customer)
	if err != nil {
		st.t.Fatal(err)
	}
	return reply
}

func (st *stand) tryAsk(path, customer string) (*harness.Reply, error) {
	req, err := http.NewRequestWithContext(st.t.Context(), http.MethodGet, st.url(path), nil)
	if err != nil {
		return nil, err
	}
	if customer != "" {
		req.Header.Set("X-Customer", customer)
	}
	return send(st.http, req)
}

// until asks again and again until the upstream received the key.
func (st *stand) until(path, customer, key string, limit time.Duration) {
	st.t.Helper()
	st.await(limit, func() (string, bool) {
		r := st.ask(path, customer)
		return fmt.Sprintf("%s answers %d %s, want key %s", path, r.Status, r.Body, key), r.Body == "["+key+"]"
	})
}

// await looks every 20 ms whether f is content.
func (st *stand) await(limit time.Duration, f func() (string, bool)) {
	st.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); ; <-tick.C {
		what, ok := f()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			st.t.Fatalf("after %s: %s", limit, what)
		}
	}
}

// refused checks an answer of ours.
func refused(t *testing.T, r *harness.Reply, status int, code string) {
	t.Helper()
	var body struct{ Error struct{ Code string } }
	if err := json.Unmarshal([]byte(r.Body), &body); err != nil || r.Status != status || body.Error.Code != code || r.Header.Get("Apikey-Inject-Error") != code {
		t.Errorf("answered %d %s %q, want %d %s", r.Status, r.Body, r.Header.Get("Apikey-Inject-Error"), status, code)
	}
	if wants := status == http.StatusServiceUnavailable; wants != (r.Header.Get("Retry-After") != "") {
		t.Errorf("Retry-After is %q with %d", r.Header.Get("Retry-After"), status)
	}
}

// carrying accepts answers of the upstream that show one of the keys whose
// number is between the two counters.
func carrying(name string, from, to *atomic.Int64) func(*harness.Reply) error {
	return func(r *harness.Reply) error {
		for v := from.Load(); v <= to.Load(); v++ {
			if r.Body == fmt.Sprintf("[key-%s-v%d]", name, v) {
				return nil
			}
		}
		return fmt.Errorf("status %d %s: %.100q", r.Status, r.Header.Get("Apikey-Inject-Error"), r.Body)
	}
}

// loads is the steady load of the issue: 16 connections, 200 requests a second,
// half of them for a pinned key, half for a customer's.
type loads struct {
	pinned, customer *harness.Running
	client           *http.Client
	versions         [2]atomic.Int64 // that may be seen of the pinned key
}

func (st *stand) load() *loads {
	st.t.Helper()
	l := &loads{client: harness.HTTP1Client(st.t, nil)}
	l.versions[0].Store(1)
	l.versions[1].Store(1)
	var one atomic.Int64
	one.Store(1)
	l.pinned = harness.Load{URL: st.url("/p0"), Conns: 8, Rate: 100, Client: l.client, Check: carrying("0", &l.versions[0], &l.versions[1])}.Start(st.t)
	l.customer = harness.Load{URL: st.url("/c"), Header: []string{"X-Customer: one"}, Conns: 8, Rate: 100, Client: l.client, Check: carrying("one", &one, &one)}.Start(st.t)
	return l
}

// stop ends the load; no request of it may have failed.
func (l *loads) stop(t *testing.T) {
	t.Helper()
	for _, r := range []harness.Report{l.pinned.Stop(), l.customer.Stop()} {
		if r.Failed() > 0 || r.Sent == 0 {
			t.Errorf("%s", r)
		}
		t.Logf("%d requests (%.0f/s), %d failed, slowest %s", r.Sent, float64(r.Sent)/r.Duration.Seconds(), r.Failed(), r.Slowest.Round(time.Millisecond))
	}
	l.client.CloseIdleConnections()
}

// size is what a process at rest holds.
type size struct{ goroutines, heap int }

// rest measures once nothing is under way: no connection of a client, none to
// the upstream.
func (st *stand) rest() size {
	st.http.CloseIdleConnections()
	st.up.CutConnections()
	return size{st.caddy.Goroutines(), st.caddy.Heap()}
}

// baseline is the size after a load of a second, which fills every pool.
func (st *stand) baseline() size {
	st.t.Helper()
	l := st.load()
	<-time.After(time.Second)
	l.stop(st.t)
	s := st.rest()
	st.await(wait, func() (string, bool) {
		was := s
		s = st.rest()
		return "goroutines do not settle", was.goroutines == s.goroutines
	})
	return s
}

// back checks that the process is as small as it was: within 8 goroutines and
// 10 % of heap.
func (st *stand) back(was size) {
	st.t.Helper()
	var now size
	st.await(wait, func() (string, bool) {
		now = st.rest()
		return fmt.Sprintf("%d goroutines, %d bytes of heap; it were %d and %d", now.goroutines, now.heap, was.goroutines, was.heap),
			now.goroutines <= was.goroutines+8 && now.heap <= was.heap+was.heap/10
	})
	st.t.Logf("goroutines %d to %d, heap %d to %d kB", was.goroutines, now.goroutines, was.heap/1024, now.heap/1024)
}

// faultTime is how long a fault lasts: longer than every timeout involved, or
// what LIFECYCLE_FAULT says.
func faultTime(t *testing.T) time.Duration {
	t.Helper()
	s := os.Getenv("LIFECYCLE_FAULT")
	if s == "" {
		return 30 * time.Second
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
