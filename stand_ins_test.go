package apikeyinject

// This file holds what stands in for the catalog, the proxy, the upstream and the client
// where only the plugin's own part is looked at.

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/directory"
)

// rows is a catalog of one integration and as many connections as are asked
// for.
type rows struct{ integration catalog.Integration }

func (*rows) LastChange(context.Context) (int64, error) { return 0, nil }

func (*rows) Watch(ctx context.Context, _ int64, _ func([]catalog.Change) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func (r *rows) Integrations(context.Context) ([]*catalog.Integration, error) {
	return []*catalog.Integration{&r.integration}, nil
}

func (r *rows) Integration(context.Context, string) (*catalog.Integration, error) {
	return &r.integration, nil
}

func (*rows) Connection(_ context.Context, integration, id string) (*catalog.Connection, error) {
	return &catalog.Connection{Integration: integration, ID: id, Origin: "https://api.example", KeyVersion: 3, Revision: 1}, nil
}

func (*rows) NoteUse(context.Context, []catalog.Sighting) error { return nil }

func (*rows) NoteAuthFailure(context.Context, []catalog.Sighting) ([]catalog.Sighting, error) {
	return nil, nil
}

func (*rows) NoteAuthSuccess(context.Context, []catalog.Sighting) ([]catalog.Sighting, error) {
	return nil, nil
}

func (*rows) ClaimAged(context.Context, catalog.Aging) ([]catalog.Sighting, error) { return nil, nil }

// reads has an app read c in place of a catalog that it opens, until the test ends.
func (a *App) reads(t testing.TB, c directory.Catalog) *directory.Directory {
	t.Helper()
	dir, opened := directory.New(c, directory.Options{}), a.opened.Load()
	dir.Start(t.Context())
	opened.ready.Store(&openCatalog{dir: dir})
	t.Cleanup(func() {
		opened.ready.Store(nil)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = dir.Close(ctx)
	})
	return dir
}

// gatewayToken holds the part of the canary that is searched for: see
// TestNothingThatHoldsAKeyPrintsIt.
const gatewayToken = "token-7f3a9c-of-the-gateway-0123456789"

// newGateway is the gateway of an API with one token, which reads c.
func newGateway(t testing.TB, c directory.Catalog) (*gateway, *directory.Directory) {
	t.Helper()
	t.Setenv("GATEWAY_TOKEN", gatewayToken)
	ctx, err := provisionApp(t, appConfig(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	mod, err := ctx.LoadModuleByID("http.handlers.apikey_inject_api", json.RawMessage(`{"tokens": [{"name": "ops", "token": "{env.GATEWAY_TOKEN}"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	g := mod.(*API).gateway
	return g, g.app.reads(t, c)
}

// sink is a base transport that answers without allocating.
type sink struct{ res *http.Response }

func (s sink) RoundTrip(*http.Request) (*http.Response, error) { return s.res, nil }

// straight stands for the embedded proxy: it hands the request to the transport
// and nothing more, so that what is measured is ours alone.
type straight struct {
	t *Transport

	// header is what reverse_proxy's clone of the header would be.
	header http.Header
}

func (s *straight) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if s.header == nil {
		s.header = r.Header.Clone()
	}
	r.Header = s.header
	res, err := s.t.RoundTrip(r) //nolint:bodyclose // there is none
	if err != nil {
		return err
	}
	w.WriteHeader(res.StatusCode)
	return nil
}

// discard is a response writer that keeps nothing.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)               {}

// costly is a handler whose upstream and proxy cost nothing.
func costly(t testing.TB, placement string) *Handler {
	h := newHandler(t, "", `{"base_url": "https://api.example/v1", "key_name": "X-Api-Key", "key_placement": "`+placement+`",
		"value_template": "Bearer ${apiKey}", "key": {"path": "k"}, "allow": {"anyone": true}}`)
	h.transport.base = sink{&http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/plain"}}}}
	h.proxy = &straight{t: h.transport}
	return h
}

// requestWith returns a request with n headers as an ordinary client sends
// them.
func requestWith(n int) *http.Request {
	names := []string{
		"Accept", "Accept-Encoding", "Accept-Language", "User-Agent", "Content-Type", "X-Request-Id", "Traceparent",
		"If-None-Match", "Cache-Control", "Referer", "Tracestate", "Idempotency-Key",
	}
	r := httptest.NewRequest(http.MethodGet, "https://gateway.example/users/42?page=2&limit=50", nil)
	for i := range n {
		name := fmt.Sprintf("X-Extra-%d", i)
		if i < len(names) {
			name = names[i]
		}
		r.Header[name] = []string{"value-of-" + name}
	}
	return r
}

// injected returns r as the transport gets it from the handler.
func injected(t testing.TB, h *Handler, r *http.Request) *http.Request {
	t.Helper()
	var seen *http.Request
	was := h.proxy
	h.proxy = middleware(func(w http.ResponseWriter, r *http.Request) error {
		seen = r.Clone(r.Context()) // as reverse_proxy does
		return nil
	})
	send(t, h, r)
	h.proxy = was
	if seen == nil {
		t.Fatal("the request did not reach the proxy")
	}
	return seen
}

type middleware func(http.ResponseWriter, *http.Request) error

func (m middleware) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	return m(w, r)
}
