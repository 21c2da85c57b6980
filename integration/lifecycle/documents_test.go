package lifecycle

// This file holds what happens to the keys themselves: rotated (G4), deleted
// (G5), never swapped (G13), never taken back.

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

func TestG4ARotatedKeyIsInUseWithinTheTTL(t *testing.T) {
	t.Parallel()
	st := newStand(t, vaulttest.Start(t), settings{ttl: "2s"})
	l := st.load()
	for v := int64(2); v <= 6; v++ {
		key := fmt.Sprintf("key-0-v%d", v)
		l.versions[1].Store(v)
		st.vault.Put("pinned/0", map[string]any{"apiKey": key})
		put := time.Now()
		// A read takes its time on a busy machine.
		st.until("/p0", "", key, 2*time.Second+500*time.Millisecond)
		l.versions[0].Store(v - 1) // requests under way may still bear the former
		t.Logf("in use after %s", time.Since(put).Round(10*time.Millisecond))
		<-time.After(200 * time.Millisecond)
		l.versions[0].Store(v)
	}
	l.stop(t)
}

func TestG5WhatIsDeletedIsServedNoLonger(t *testing.T) {
	t.Parallel()
	st := newStand(t, vaulttest.Start(t), settings{})
	deleted := map[string]func(path string){
		"/p0": func(path string) { st.vault.Do(http.MethodDelete, "secret/data/"+path, nil) },
		"/p1": func(path string) {
			st.vault.Do(http.MethodPut, "secret/destroy/"+path, map[string]any{"versions": []int{1}})
		},
		"/p2": func(path string) { st.vault.Do(http.MethodDelete, "secret/metadata/"+path, nil) },
	}
	for path, remove := range deleted {
		remove("pinned/" + strings.TrimPrefix(path, "/p"))
	}
	st.vault.Do(http.MethodDelete, "secret/metadata/customers/one", nil)
	// The next refresh is due within the ttl of 1 s; then 10 s.
	removed := time.Now()
	st.await(11*time.Second, func() (string, bool) {
		served := ""
		for path := range deleted {
			if st.ask(path, "").Status == http.StatusOK {
				served += path + " "
			}
		}
		if st.ask("/c", "one").Status == http.StatusOK {
			served += "/c"
		}
		return "still served: " + served, served == ""
	})
	t.Logf("obeyed after %s", time.Since(removed).Round(10*time.Millisecond))
	for path := range deleted {
		refused(t, st.ask(path, ""), http.StatusBadGateway, "key_not_found")
	}
	refused(t, st.ask("/c", "one"), http.StatusNotFound, "unknown_connection")
	if n := strings.Count(st.caddy.Log.String(), "key_deleted"); n != 4 {
		t.Errorf("%d deletions are told, want 4", n)
	}
	if r := st.ask("/p3", ""); r.Body != "[key-3-v1]" {
		t.Errorf("another key: %d %s", r.Status, r.Body)
	}
}

// A lagging replica answers with an older version; a document that was deleted
// and written again begins at version 1.
func TestTheVersionGuardOnARealVault(t *testing.T) {
	t.Parallel()
	v := vaulttest.Start(t)
	p := v.Proxy(t)
	st := newStand(t, v, settings{address: p.Addr})
	var lagging atomic.Pointer[string]
	p.Fault(replaying(t, v, "/v1/secret/data/pinned/0", &lagging))
	old := ""
	lagging.Store(&old) // empty: noted
	st.await(wait, func() (string, bool) { return "nothing noted", *lagging.Load() != "" })
	noted := *lagging.Load()
	p.Fault(nil)

	v.Put("pinned/0", map[string]any{"apiKey": "key-0-v2"})
	st.until("/p0", "", "key-0-v2", wait)
	lagging.Store(&noted)
	reads := p.Count("secret/data/pinned/0")
	p.Fault(replaying(t, v, "/v1/secret/data/pinned/0", &lagging))
	st.await(wait, func() (string, bool) {
		if r := st.ask("/p0", ""); r.Body != "[key-0-v2]" {
			t.Fatalf("after an older answer: %d %s", r.Status, r.Body)
		}
		return "no more reads", p.Count("secret/data/pinned/0") >= reads+3
	})
	p.Fault(nil)

	v.Do(http.MethodDelete, "secret/metadata/pinned/0", nil)
	v.Put("pinned/0", map[string]any{"apiKey": "key-0-v1-anew"})
	st.until("/p0", "", "key-0-v1-anew", wait)
}

// replaying passes on to v, but answers path with what text holds. An empty
// text is filled with the answer instead.
func replaying(t *testing.T, v *vaulttest.Server, path string, text *atomic.Pointer[string]) http.Handler {
	t.Helper()
	rp := forward(t, v)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			rp.ServeHTTP(w, r)
			return
		}
		if *text.Load() == "" {
			rec := httptest.NewRecorder()
			rp.ServeHTTP(rec, r)
			body := rec.Body.String()
			if rec.Code == http.StatusOK {
				text.Store(&body)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(*text.Load()))
	})
}

// forward is a way to v.
func forward(t *testing.T, v *vaulttest.Server) *httputil.ReverseProxy {
	t.Helper()
	target, err := url.Parse(v.Addr)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &httputil.ReverseProxy{Transport: tr, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
}

// TestG13KeysAreNeverSwapped has six routes with the same field: two paths, in
// two mounts, in two namespaces. A Vault without namespaces ignores them, so a
// second one stands for the other namespace.
func TestG13KeysAreNeverSwapped(t *testing.T) {
	t.Parallel()
	v, other := vaulttest.Start(t), vaulttest.Start(t)
	for _, s := range []*vaulttest.Server{v, other} {
		s.Do(http.MethodPost, "sys/mounts/second", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
	}
	here, there := forward(t, v), forward(t, other)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Vault-Namespace") == "" {
			here.ServeHTTP(w, r)
			return
		}
		r.Header.Del("X-Vault-Namespace")
		r.Header.Set("X-Vault-Token", other.Token)
		there.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)

	st := coldStand(t, v, settings{})
	s := settings{address: front.URL}
	routes := make([]string, 0, 8)
	version := 1
	write := func() {
		for ns, server := range map[string]*vaulttest.Server{"": v, "team-b": other} {
			for _, mount := range []string{"secret", "second"} {
				for _, path := range []string{"a", "b"} {
					server.Do(http.MethodPost, mount+"/data/"+path, map[string]any{"data": map[string]any{
						"apiKey": fmt.Sprintf("%s/%s/%s-%d", ns, mount, path, version),
					}})
				}
			}
		}
	}
	write()
	for _, ns := range []string{"", "team-b"} {
		for _, mount := range []string{"secret", "second"} {
			for _, path := range []string{"a", "b"} {
				route := fmt.Sprintf("/r%d", len(routes))
				routes = append(routes, ns+"/"+mount+"/"+path)
				more := "\t\t\tmount " + mount + "\n"
				if ns != "" {
					more += "\t\t\tnamespace " + ns + "\n"
				}
				s.extra += fmt.Sprintf("\tapikey_inject %s %s {\n\t\tname X-Api-Key\n\t\tkey %s {\n%s\t\t}\n\t\tallow anyone\n\t}\n", route, st.up.URL(), path, more)
			}
		}
	}
	st.start(s)
	running := make([]*harness.Running, 0, len(routes))
	for i, want := range routes {
		st.until(fmt.Sprintf("/r%d", i), "", want+"-1", wait)
		running = append(running, harness.Load{URL: st.url(fmt.Sprintf("/r%d", i)), Conns: 2, Rate: 25, Check: func(r *harness.Reply) error {
			if r.Status != http.StatusOK || !strings.HasPrefix(r.Body, "["+want+"-") {
				return fmt.Errorf("status %d: %s, want the key of %s", r.Status, r.Body, want)
			}
			return nil
		}}.Start(t))
	}
	for version = 2; version <= 5; version++ {
		write()
		if err := st.caddy.Load(st.config(s)); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i, want := range routes {
			wg.Go(func() {
				for end := time.Now().Add(wait); ; <-time.After(50 * time.Millisecond) {
					r, err := st.tryAsk(fmt.Sprintf("/r%d", i), "")
					if err == nil && r.Body == fmt.Sprintf("[%s-%d]", want, version) {
						return
					}
					if time.Now().After(end) {
						t.Errorf("%s does not become version %d: %v, %v", want, version, r, err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	for _, r := range running {
		if rep := r.Stop(); rep.Failed() > 0 || rep.Sent == 0 {
			t.Errorf("%s", rep)
		}
	}
}
