// Package apikeyinject puts API keys on requests that Caddy proxies, so that
// callers never hold them.
package apikeyinject

// This file holds the handler: who may call, which integration, which key.

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler injects an API key into requests on their way to an upstream.
//
// The key is read from a store and never becomes part of the request that
// other handlers, matchers, or logs can see.
//
// Placeholder | Description
// ------------|-------------
// `{http.apikey_inject.integration}` | The integration's unique key, or the route's label
// `{http.apikey_inject.connection}` | The connection whose key was asked for
// `{http.apikey_inject.key_version}` | The version of the key that was used
// `{http.apikey_inject.outcome}` | `injected`, or the code of the refusal
// `{http.apikey_inject.error}` | The code of the refusal
type Handler struct {
	// The integration to use, as defined in the apikey_inject app. Required
	// unless the integration's fields stand here.
	Name string `json:"integration,omitempty"`

	// Whose key to use: the id of a connection. May hold placeholders; one
	// that the caller can choose needs `allow` beside it. Default: the
	// integration's own key.
	Connection string `json:"connection,omitempty"`

	// What logs and placeholders call a route without a named integration.
	// Default: the base URL's host.
	LabelAs string `json:"label_as,omitempty"`

	Integration

	// Any reverse_proxy option but upstreams.
	ProxyRaw json.RawMessage `json:"proxy,omitempty" caddy:"namespace=http.handlers inline_key=handler"`

	logger      *zap.Logger
	integration *Integration // the named one, or the one above
	plan        *plan
	label       string
	labelValue  any // label, boxed once

	allow       [2]*Allow // the integration's and the route's; both must fit
	restricted  bool      // not everyone who reaches the route may call
	caller      string
	connection  connectionSource
	stripPrefix string
	config      map[string]string

	refused      []int      // statuses that refuse a key; none: off
	replayBuffer int64      // bytes
	readHeaders  []string   // headers that caller and connection read
	leaves       [][]string // see leftOut

	accessLogs bool // of the server
	audit      bool
	auditLog   *zap.Logger
	counters   counters

	keys     *keyring.View
	fixed    *keyring.Entry // without a connection
	rendered atomic.Pointer[rendered]

	proxy     caddyhttp.MiddlewareHandler // a *reverseproxy.Handler
	transport *Transport

	// reuseHeaders tells that nobody but the proxy gets the request we make:
	// its header map may then serve another.
	reuseHeaders bool
}

// rendered is the injection of the key a fixed route used last.
type rendered struct {
	key     *keyring.Key
	inj     *inject.Injection
	version any // boxed once
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.apikey_inject",
		New: func() caddy.Module { return new(Handler) },
	}
}

// UnmarshalJSON refuses unknown fields with the nearest known one.
func (h *Handler) UnmarshalJSON(data []byte) error {
	type plain Handler
	return decodeStrict(data, (*plain)(h))
}

// Provision reads the configuration, and nothing else.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	app, err := loadApp(ctx)
	if err != nil {
		return err
	}
	if err := h.resolveIntegration(app); err != nil {
		return err
	}
	if err := h.provisionRoute(ctx); err != nil {
		return err
	}
	h.warn(ctx)
	h.auditLog, h.counters = app.logger.Named("audit"), newCounters(h.label)
	if srv, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		h.accessLogs = srv.Logs != nil
	}

	if h.keys, err = app.view(h.integration.Key.Store); err != nil {
		return &fieldError{"key.store", err}
	}
	if h.connection.expr == "" {
		h.fixed = h.keys.Pin(h.integration.Key.address(""))
		app.watch(h.label, h.integration.Key.Field, h.fixed)
	}
	app.use(&keyUse{label: h.label, key: h.integration.Key, connection: h.Connection, entry: h.fixed})
	if h.ProxyRaw, err = proxyConfig(h.ProxyRaw, h.integration, h.plan); err != nil {
		return err
	}
	mod, err := ctx.LoadModule(h, "ProxyRaw")
	if err != nil {
		return fmt.Errorf("loading the proxy: %w", err)
	}
	proxy := mod.(*reverseproxy.Handler)
	h.proxy, h.transport = proxy, proxy.Transport.(*Transport)
	h.reuseHeaders = len(proxy.HandleResponse) == 0
	return nil
}

// ServeHTTP puts the key on the request and proxies it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	repl.Set("http.apikey_inject.integration", h.labelValue)

	origin, done, fail := h.admit(w, r, repl)
	if done {
		return nil
	}
	if origin != "" {
		setCORS(w.Header(), origin) // the page may read a refusal of ours, too
	}
	if fail != nil {
		return h.refuse(w, r, repl, fail)
	}
	ren, entry, fail := h.resolve(r, repl)
	if fail != nil {
		return h.refuse(w, r, repl, fail)
	}
	ex := &exchange{
		Context: r.Context(), owner: h.transport, inj: ren.inj, ren: ren, plan: h.plan, origin: origin,
		rotation:           rotation{handler: h, entry: entry},
		forwardCredentials: h.integration.ForwardCredentials, forwardedHeaders: h.integration.ForwardedHeaders,
	}
	ex.writer.ResponseWriter, ex.writer.ex = w, ex
	out, err := h.outgoing(r, ex)
	if err != nil {
		return h.refuse(w, r, repl, errPath)
	}
	repl.Set("http.apikey_inject.key_version", ren.version)

	header, returned := out.Header, false
	defer func() {
		if !returned { // the proxy panics when an answer breaks off; the key went out all the same
			h.settleSent(r, repl, ex, nil)
		}
	}()
	err = h.proxy.ServeHTTP(&ex.writer, out, next)
	returned = true
	h.endHeader(header)
	if f := asFailure(err); f != nil {
		return h.refuse(w, r, repl, f)
	}
	h.settleSent(r, repl, ex, err)
	return err
}

// refuse ends a request with a failure, and says so.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, repl *caddy.Replacer, f *failure) error {
	h.settle(r, repl, 0, f.code, f.status)
	return f.end(w, r)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
