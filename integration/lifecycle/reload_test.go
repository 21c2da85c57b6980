package lifecycle

// This file holds reloads while Vault is well and while it is not (G14).

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

func TestG14AHundredReloadsUnderLoadFailNoRequest(t *testing.T) {
	t.Parallel()
	v := vaulttest.Start(t)
	roleID, secretID := approle(v, nil)
	p := v.Proxy(t)
	s := settings{
		address: p.Addr,
		auth:    "approle {\n\t\t\t\trole_id {env.ROLE}\n\t\t\t\tsecret_id {env.SECRET}\n\t\t\t}",
		env:     []string{"ROLE=" + roleID, "SECRET=" + secretID},
	}
	st := newStand(t, v, s)
	was := st.baseline()
	l := st.load()
	refusals := 0
	for i := range 100 {
		switch i {
		case 25: // half of them while Vault is away
			p.Fault(vaulttest.Reset)
			p.Cut()
		case 75:
			p.Fault(nil)
		}
		<-time.After(100 * time.Millisecond) // so that refreshes fall in between
		next := s
		next.ttl = fmt.Sprintf("%ds", 1+i%5)
		next.extra = fmt.Sprintf("\trespond /reload-%d %d\n", i, i)
		if i%10 == 9 { // one that loads its app and fails afterwards: its port is taken
			bad := next
			bad.extra += "}\nhttp://" + strings.TrimPrefix(st.up.URL(), "http://") + " {\n\tbind 127.0.0.1\n\trespond never\n"
			if err := st.caddy.Load(st.config(bad)); err == nil {
				t.Fatal("a configuration with a taken port was loaded")
			}
			refusals++
			continue
		}
		if err := st.caddy.Load(st.config(next)); err != nil {
			t.Fatalf("reload %d: %v", i, err)
		}
		if r := st.ask("/p3", ""); r.Body != "[key-3-v1]" {
			t.Errorf("after reload %d a key that was held: %d %s", i, r.Status, r.Body)
		}
		if r := st.ask(fmt.Sprintf("/reload-%d", i), ""); r.Body != fmt.Sprint(i) {
			t.Errorf("after reload %d: %d %s", i, r.Status, r.Body)
		}
	}
	if refusals != 10 {
		t.Errorf("%d configurations failed", refusals)
	}
	if n := logins(p); n > 2 {
		t.Errorf("%d logins in a hundred reloads", n)
	}
	if err := st.caddy.Load(st.config(s)); err != nil {
		t.Fatal(err)
	}
	// It follows the store as before.
	l.versions[1].Store(2)
	v.Put("pinned/0", map[string]any{"apiKey": "key-0-v2"})
	st.until("/p0", "", "key-0-v2", 10*time.Second)
	l.stop(t)
	v.Put("pinned/0", map[string]any{"apiKey": "key-0-v1"})
	st.back(was)
}

func TestAReloadToAnotherStoreLeavesNoColdRequestWithoutItsKey(t *testing.T) {
	t.Parallel()
	first, second := vaulttest.Start(t), vaulttest.Start(t)
	first.Put("customers/cold", map[string]any{"apiKey": "of-the-first"})
	second.Put("customers/cold", map[string]any{"apiKey": "of-the-second"})
	p := first.Proxy(t)
	s := settings{address: p.Addr, env: []string{"VT2=" + second.Token}}
	st := newStand(t, first, s)
	p.Delay("customers/cold", 3*time.Second)

	type result struct {
		r   *harness.Reply
		err error
	}
	waiting := make(chan result, 1)
	go func() {
		r, err := st.tryAsk("/c", "cold")
		waiting <- result{r, err}
	}()
	st.await(wait, func() (string, bool) { return "no read", p.Count("customers/cold") > 0 })
	s.address, s.auth = second.Addr, "token {env.VT2}"
	begun := time.Now()
	if err := st.caddy.Load(st.config(s)); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begun); d > 3*time.Second {
		t.Errorf("the reload waited %s for the request", d)
	}
	if r := st.ask("/c", "cold"); r.Status != http.StatusOK || r.Body != "[of-the-second]" {
		t.Errorf("the new configuration answers %d %s", r.Status, r.Body)
	}
	if got := <-waiting; got.err != nil || got.r.Body != "[of-the-first]" {
		t.Errorf("the waiting request got %v, %v", got.r, got.err)
	}
}

func TestAKeyNobodyReadYetWaitsForVaultOverAReload(t *testing.T) {
	t.Parallel()
	v := vaulttest.Start(t)
	v.Put("others/1", map[string]any{"apiKey": "key-new-v1"})
	p := v.Proxy(t)
	s := settings{address: p.Addr}
	st := newStand(t, v, s)
	p.Fault(vaulttest.Reset)
	s.extra = "\tapikey_inject /new " + st.up.URL() + " {\n\t\tname X-Api-Key\n\t\tkey others/1\n\t\tallow anyone\n\t}\n"
	if err := st.caddy.Load(st.config(s)); err != nil {
		t.Fatal(err)
	}
	refused(t, st.ask("/new", ""), http.StatusServiceUnavailable, "key_unavailable")
	if r := st.ask("/p0", ""); r.Body != "[key-0-v1]" {
		t.Errorf("a key that was held before the reload: %d %s", r.Status, r.Body)
	}
	p.Fault(nil)
	st.until("/new", "", "key-new-v1", 5*time.Second)
}
