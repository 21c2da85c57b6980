package apikeyinject

// This file holds what the tests of this package share: a store in memory, and
// a configuration that is provisioned without opening a port.

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func init() {
	caddy.RegisterModule(new(memoryModule))
}

// canary is the key of every test: whatever shows it leaks.
const canary = "canary-7f3a9c/+ =&%"

// memoryModule is a store module over a memory.
type memoryModule struct {
	Label string `json:"label,omitempty"`
}

func (*memoryModule) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "apikey_inject.stores.memory", New: func() caddy.Module { return new(memoryModule) }}
}

func (m *memoryModule) identity() string           { return m.Label }
func (m *memoryModule) open() (store.Store, error) { return memoryOf(m.Label), nil }
func (*memoryModule) options() keyring.Options     { return keyring.Options{} }
func (*memoryModule) eager() bool                  { return false }
func (*memoryModule) prefix() string               { return defaultPrefix }

func (*memoryModule) start(context.Context, store.Store) error { return nil }

// memory is a store whose documents a test sets. It counts its reads.
type memory struct {
	mu     sync.Mutex
	docs   map[store.Address]*store.Document
	err    error
	reads  atomic.Int32
	closed atomic.Int32
}

var (
	memoriesMu sync.Mutex
	memories   = map[string]*memory{}
)

// memoryOf returns the memory of that label, made on first use.
func memoryOf(label string) *memory {
	memoriesMu.Lock()
	defer memoriesMu.Unlock()
	m, ok := memories[label]
	if !ok {
		m = &memory{docs: map[store.Address]*store.Document{}}
		memories[label] = m
	}
	return m
}

func (m *memory) put(path, key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.docs[store.Address{Path: path}] = &store.Document{
		Fields:  map[string]store.Field{"apiKey": {Kind: "string", Value: secret.New(key)}},
		Version: 3, CreatedAt: time.Now().Add(-time.Hour),
	}
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

func (m *memory) Get(_ context.Context, a store.Address) (*store.Document, error) {
	m.reads.Add(1)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return nil, m.err
	}
	d, ok := m.docs[a]
	if !ok {
		return nil, store.ErrNotFound
	}
	return d, nil
}

func (*memory) Put(context.Context, store.Address, map[string]secret.Value, int) (int, error) {
	return 0, store.ErrDenied
}
func (*memory) Delete(context.Context, store.Address) error { return store.ErrDenied }

func (m *memory) Healthy(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

func (m *memory) Close(context.Context) error {
	m.closed.Add(1)
	return nil
}

// appConfig is a configuration of the app with integrations and, as its only
// store, the memory of the test's name.
func appConfig(t testing.TB, integrations string) string {
	t.Helper()
	return `{"stores": {"m": {"store": "memory", "label": ` + inQuotes(ownLabel(t)) + `}}, "integrations": {` + integrations + `}}`
}

func inQuotes(s string) string {
	raw, _ := json.Marshal(s)
	return string(raw)
}

// provisionApp provisions an app's configuration. Its clean-up runs at the end
// of the test.
func provisionApp(t testing.TB, app string) (caddy.Context, error) {
	t.Helper()
	return provisionWhole(t, &caddy.Config{AppsRaw: caddy.ModuleMap{"apikey_inject": json.RawMessage(app)}})
}

// provisionWhole provisions the app in a whole configuration.
func provisionWhole(t testing.TB, cfg *caddy.Config) (caddy.Context, error) {
	t.Helper()
	ctx, err := caddy.ProvisionContext(cfg)
	if err != nil {
		return ctx, err
	}
	ctx, cancel := caddy.NewContext(ctx)
	t.Cleanup(cancel)
	_, err = ctx.App("apikey_inject")
	return ctx, err
}

// loadHandler provisions a handler beside the app with the given integrations.
func loadHandler(t testing.TB, integrations, handler string) (*Handler, error) {
	t.Helper()
	ctx, err := provisionApp(t, appConfig(t, integrations))
	if err != nil {
		return nil, err
	}
	mod, err := ctx.LoadModuleByID("http.handlers.apikey_inject", json.RawMessage(handler))
	if err != nil {
		return nil, err
	}
	return mod.(*Handler), nil
}

// newHandler is loadHandler for a configuration that is right. Its key is the
// canary at the path `k`.
func newHandler(t testing.TB, integrations, handler string) *Handler {
	t.Helper()
	memoryOf(ownLabel(t)).put("k", canary)
	h, err := loadHandler(t, integrations, handler)
	if err != nil {
		t.Fatalf("provisioning: %v", err)
	}
	return h
}

// upstream is a base transport that keeps what reached it.
type upstream struct {
	mu     sync.Mutex
	got    []*http.Request
	answer http.Header
	err    error
}

// stub puts an upstream in place of the handler's base transport.
func (h *Handler) stub() *upstream {
	u := new(upstream)
	h.transport.base = u
	return u
}

func (u *upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.got = append(u.got, r)
	if u.err != nil {
		return nil, u.err
	}
	header := u.answer.Clone()
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: http.NoBody, Request: r,
	}, nil
}

// hits returns how many requests reached the upstream.
func (u *upstream) hits() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.got)
}

// prepared returns r as Caddy's server hands it to a handler.
func prepared(r *http.Request, w http.ResponseWriter, srv *caddyhttp.Server) *http.Request {
	if srv == nil {
		srv = new(caddyhttp.Server)
	}
	return caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, srv)
}

// send sends r through the handler and returns the answer.
func send(t testing.TB, h *Handler, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	if err := h.ServeHTTP(w, prepared(r, w, nil), caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })); err != nil {
		t.Fatalf("got the error %v, want an answer", err)
	}
	return w
}

// ownLabel names the store of this very run of a test: rings and stores belong
// to the process, and a test may run several times in it.
func ownLabel(t testing.TB) string { return fmt.Sprintf("%s %p", t.Name(), t) }
