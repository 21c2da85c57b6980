//go:build !race

package apikeyinject

// This file holds what the gateway may cost a request beyond what a route does.

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// costlyGateway is a gateway whose upstream and proxy cost nothing, with n
// connections that were used before.
func costlyGateway(t testing.TB, n int) *gateway {
	t.Helper()
	g, dir := newGateway(t, &rows{catalog.Integration{
		UniqueKey: "acme", BaseURL: "https://api.example/v1", KeyPlacement: "header", KeyName: "X-Api-Key", ValueTemplate: "Bearer ${apiKey}", Revision: 1,
	}})
	if err := dir.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	base := sink{&http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/plain"}}}}
	g.transport.base, g.chosen.guarded = base, base
	g.proxy = &straight{t: g.transport}
	for i := range n {
		id := fmt.Sprintf("customer-%d", i)
		memoryOf(ownLabel(t)).put("caddy-apikey-inject/acme/"+id, canary)
		call := gatewayRequest(id)
		w := discard{http.Header{}}
		if err := g.ServeHTTP(w, prepared(call, w, nil), nil); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

// gatewayRequest is a request with 12 headers of its own, and the gateway's.
func gatewayRequest(id string) *http.Request {
	r := requestWith(12)
	r.URL.Path = "/proxy" + r.URL.Path
	r.Header["Authorization"] = []string{"Bearer " + gatewayToken}
	r.Header["Provider-Config-Key"], r.Header["Connection-Id"] = []string{"acme"}, []string{id}
	return r
}

func TestCostOfTheGatewayBeyondARoute(t *testing.T) {
	const connections = 100_000
	g := costlyGateway(t, connections)
	if up := g.app.opened.Load().ready.Load().dir.Status(); up.Connections != connections {
		t.Fatalf("%d connections are held", up.Connections)
	}
	h := costly(t, "header")
	send(t, h, requestWith(12))

	w := discard{http.Header{}}
	r := requestWith(12)
	route, through := prepared(r, w, nil), prepared(gatewayRequest("customer-77777"), w, nil)
	aRoute := func() { _ = h.ServeHTTP(w, route, nil) }
	aGateway := func() { _ = g.ServeHTTP(w, through, nil) }
	var kept *http.Request
	clone := func() { kept = r.Clone(context.Background()) }
	_ = kept

	extra := testing.AllocsPerRun(500, aGateway) - testing.AllocsPerRun(500, aRoute)
	t.Logf("%v allocations beyond a route's", extra)
	if extra > 6 {
		t.Errorf("got %v allocations beyond a route's, want at most 6", extra)
	}
	got := medianExtra(aGateway, aRoute, clone)
	for range 20 { // a machine that is busy for a while is no slow gateway
		if got <= 0.6 {
			break
		}
		got = min(got, medianExtra(aGateway, aRoute, clone))
	}
	t.Logf("%.2f times the time of Clone beyond a route's", got)
	if got > 0.6 {
		t.Errorf("got %.2f times the time of Clone beyond a route's, want at most 0.6", got)
	}
}
