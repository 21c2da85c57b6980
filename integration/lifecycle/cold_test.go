package lifecycle

// This file holds first requests, when nothing is held yet (G3).

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// slowStand is a stand before a Vault that needs half a second for a read.
func slowStand(t *testing.T) (*stand, *vaulttest.Proxy) {
	t.Helper()
	v := vaulttest.Start(t)
	v.Put("customers/cold", map[string]any{"apiKey": "key-cold-v1"})
	p := v.Proxy(t)
	st := newStand(t, v, settings{address: p.Addr, ttl: "5m"})
	p.Delay("/v1/secret/data/customers/", 500*time.Millisecond)
	return st, p
}

func TestG3AThousandFirstRequestsAreOneRead(t *testing.T) {
	t.Parallel()
	st, p := slowStand(t)
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for range 1000 {
		wg.Go(func() {
			<-begin
			r, err := st.tryAsk("/c", "cold")
			if err != nil {
				t.Error(err)
				return
			}
			if r.Body != "[key-cold-v1]" {
				t.Errorf("answered %d %s", r.Status, r.Body)
			}
		})
	}
	close(begin)
	wg.Wait()
	if n := p.Count("GET /v1/secret/data/customers/cold"); n != 1 {
		t.Errorf("%d reads", n)
	}
}

func TestG3TheFirstWaiterLeavesAndTheOthersAreServed(t *testing.T) {
	t.Parallel()
	st, p := slowStand(t)
	ctx, leave := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, st.url("/c"), nil)
		if err == nil {
			req.Header.Set("X-Customer", "cold")
			_, err = send(st.http, req)
		}
		first <- err
	}()
	st.await(wait, func() (string, bool) { return "no read", p.Count("customers/cold") == 1 })
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if r, err := st.tryAsk("/c", "cold"); err != nil || r.Body != "[key-cold-v1]" {
				t.Errorf("answered %v, %v", r, err)
			}
		})
	}
	leave()
	if err := <-first; err == nil {
		t.Error("the first waiter did not leave before its answer")
	}
	wg.Wait()
	if n := p.Count("GET /v1/secret/data/customers/cold"); n != 1 {
		t.Errorf("%d reads", n)
	}
}
