package apikeyinject

// This file holds tests of explanations that need no running Caddy.

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// Since when a connection is used decides what a trial of its key says.
func TestAnExplanationIsNoUseOfAConnection(t *testing.T) {
	h := newHandler(t, "", `{"integration": "{http.request.header.I}", "connection": "{http.request.header.C}", "allow": {"anyone": true}}`)
	memoryOf(ownLabel(t)).put(defaultPrefix+"/acme/cust-1", canary)
	dir := h.app.reads(t, &rows{catalog.Integration{
		UniqueKey: "acme", BaseURL: "https://api.example", KeyPlacement: "header", KeyName: "X-Api-Key", Revision: 1,
	}})
	if err := dir.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.stub()
	h.chosen.guarded = h.transport.base
	h.proxy = &straight{t: h.transport}

	request := func() *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("I", "acme")
		r.Header.Set("C", "cust-1")
		return prepared(r, httptest.NewRecorder(), nil)
	}
	r, e := request(), new(explanation)
	h.explain(r, r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer), e)
	if e.Request == nil {
		t.Fatalf("it is not explained: %+v", e.Refused)
	}
	if at := dir.Peek("acme", "cust-1").LastUsed(); !at.IsZero() {
		t.Errorf("it was used at %s", at)
	}
	if err := h.ServeHTTP(httptest.NewRecorder(), request(), nil); err != nil {
		t.Fatal(err)
	}
	if dir.Peek("acme", "cust-1").LastUsed().IsZero() {
		t.Error("a request does not count as a use")
	}
}
