// Package apikeyinject puts API keys on requests that Caddy proxies, so that
// callers never hold them.
package apikeyinject

// This file holds the handler: who may call, which integration, which key.

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

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
// `{http.apikey_inject.outcome}` | `injected`, `replayed`, `upstream_failed`, or the code of the refusal
// `{http.apikey_inject.error}` | The code of the refusal
type Handler struct {
	// The integration to use, as defined in the apikey_inject app or made
	// through the API. May hold placeholders; one that the caller can choose
	// needs `allow` beside it. Required unless the integration's fields stand
	// here.
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

	logger     *zap.Logger
	auditLog   *zap.Logger
	accessLogs bool // of the server
	app        *App
	connection idSource
	target     *target  // nil where the integration is chosen per request
	names      idSource // of it
	gateway    bool     // it comes from the gateway's caller, who has a token
	chosen     *targets // so far

	proxy     caddyhttp.MiddlewareHandler // a *reverseproxy.Handler
	transport *Transport

	// reuseHeaders tells that nobody but the proxy gets the request we make:
	// its header map may then serve another.
	reuseHeaders bool
}

// rendered is what a key and a connection make of an integration: where the
// request goes, and what it carries.
type rendered struct {
	key     *keyring.Key
	inj     *inject.Injection
	base    *inject.Base
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
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	h.logger = ctx.Logger()
	if h.app, err = loadApp(ctx); err != nil {
		return err
	}
	h.auditLog = h.app.logger.Named("audit")
	if srv, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		h.accessLogs = srv.Logs != nil
	}
	if h.connection, err = newIDSource(h.Connection, h.Allow != nil); err != nil {
		return &fieldError{"connection", err}
	}
	if strings.ContainsAny(h.Name, "{}") {
		err = h.provisionChoice(ctx)
	} else {
		err = h.provisionTarget(ctx)
	}
	if err != nil {
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

// provisionTarget prepares a route with one integration.
func (h *Handler) provisionTarget(ctx caddy.Context) error {
	t, err := h.resolveIntegration(h.app)
	if err != nil {
		return err
	}
	if err := t.merge(h); err != nil {
		return err
	}
	if err := checkConnectionKey(h.Connection, t.integration.Key); err != nil {
		return err
	}
	t.catalogued = t.integration.Key == nil
	if t.base == nil && !t.catalogued {
		return t.incomplete
	}
	if t.catalogued {
		h.app.useCatalog()
	}
	h.warn(ctx, t)
	if err := t.open(h.app); err != nil {
		return err
	}
	u := &keyUse{label: t.label, key: t.each, connection: h.Connection}
	if h.Connection == "" {
		u.key, u.entry = t.integration.Key, t.own
	}
	h.app.use(u)
	h.target = t
	if t.catalogued {
		h.app.tryConnections()
	}
	if h.Name == "" {
		h.app.ages(t.integration)
		if err := h.tryInline(ctx); err != nil {
			return err
		}
	}
	h.ProxyRaw, err = proxyConfig(h.ProxyRaw, t)
	return err
}

// ServeHTTP puts the key on the request and proxies it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	t, fail := h.choose(r, repl)
	if fail != nil {
		return h.refuse(w, r, t, repl, fail)
	}
	return h.serve(w, r, next, t, repl, nil)
}

// serve takes a request to its integration. c is what the gateway knows of it;
// nil on a route.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, t *target, repl *caddy.Replacer, c *call) error {
	repl.Set("http.apikey_inject.integration", t.labelValue)

	origin, done, fail := h.admit(w, r, t, repl, c)
	if done {
		return nil
	}
	if origin != "" {
		setCORS(w.Header(), origin) // the page may read a refusal of ours, too
	}
	if fail != nil {
		return h.refuse(w, r, t, repl, fail)
	}
	ex := &exchange{Context: r.Context(), owner: h.transport, target: t, call: c, origin: origin}
	ex.attempts.timed = h.accessLogs || t.audit
	if fail := h.resolve(r, ex, repl); fail != nil {
		return h.refuse(w, r, t, repl, fail)
	}
	ex.writer.ResponseWriter, ex.writer.ex = w, ex
	out, err := t.outgoing(r, ex)
	if err != nil {
		return h.refuse(w, r, t, repl, errPath)
	}
	repl.Set("http.apikey_inject.key_version", ex.ren.version)

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
		return h.refuse(w, r, t, repl, f)
	}
	h.settleSent(r, repl, ex, err)
	return err
}

// refuse ends a request with a failure, and says so.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, t *target, repl *caddy.Replacer, f *failure) error {
	h.settle(r, t, repl, nil, f.code, f.status)
	return f.end(w, r)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
