package apikeyinject

// This file holds what is decided about a request before any key is read, and
// what an operator is told at load about who gets in.

import (
	"net/http"
	"net/url"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
)

// admit decides, before any key is read, whether the request goes on. done
// tells that it is answered already.
func (h *Handler) admit(w http.ResponseWriter, r *http.Request, t *target, repl *caddy.Replacer, c *call) (origin string, done bool, f *failure) {
	if tracesOrConnects(r.Method) && (r.Method != http.MethodConnect || !isExtendedConnect(r)) {
		return "", false, errMethod
	}
	if crossSite(r) {
		allowed, ok := allowedOrigin(r, t.integration.AllowOrigin, h.AllowOrigin)
		if !ok {
			return "", false, errCrossSite
		}
		if isPreflight(r) {
			answerPreflight(w, r, allowed)
			return "", true, nil
		}
		origin = allowed
	}
	if t.integration.Disabled {
		return origin, false, errDisabled
	}
	if t.restricted {
		by := caller{request: r, user: t.user(repl), token: c.tokenName()}
		if !t.allow[0].fits(by) || !t.allow[1].fits(by) {
			return origin, false, errForbidden
		}
	}
	if inject.CheckPath(inject.EscapedPath(r.URL)) != nil {
		return origin, false, errPath
	}
	if sent, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && !samePath(sent.URL, r.URL) {
		if inject.CheckPath(inject.EscapedPath(sent.URL)) != nil {
			return origin, false, errPath
		}
	}
	return origin, false, nil
}

// samePath tells whether nothing rewrote the path that the client sent.
func samePath(sent, now *url.URL) bool {
	return sent == nil || sent.Path == now.Path && sent.RawPath == now.RawPath
}

// user returns who calls, as Caddy's authentication or the operator's
// placeholder says it, or nothing.
func (t *target) user(repl *caddy.Replacer) string {
	if t.caller != "" {
		// An empty part makes the whole empty: "svc-" is nobody.
		user, err := repl.ReplaceOrErr(t.caller, true, true)
		if err != nil {
			return ""
		}
		return user
	}
	user, _ := repl.GetString("http.auth.user.id")
	return user
}

// isExtendedConnect tells whether this CONNECT asks for a WebSocket over
// HTTP/2 or HTTP/3, which reverse_proxy turns into an upgrade.
func isExtendedConnect(r *http.Request) bool {
	return r.ProtoMajor == 2 && r.Header.Get(":protocol") == "websocket" ||
		r.ProtoMajor == 3 && r.Proto == "websocket"
}

// warn says once, at load, what an operator may not have meant.
func (h *Handler) warn(ctx caddy.Context, t *target) {
	if t.allow[0] == nil && t.allow[1] == nil && !loopbackOnly(ctx) {
		h.logger.Warn("no allow: whoever reaches this route uses its key",
			zap.String("integration", t.label))
	}
	if t.plan.placement.InQuery() {
		h.logger.Warn("keys in a query can show in upstream, proxy and CDN logs; prefer a header",
			zap.String("integration", t.label))
	}
}

// warnChoice is warn for a route whose integration is chosen per request.
func (h *Handler) warnChoice(ctx caddy.Context) {
	if h.Allow == nil && !loopbackOnly(ctx) {
		h.logger.Warn("no allow: whoever reaches this route uses the keys of integrations that do not say who may",
			zap.String("integration", h.Name))
	}
}

// loopbackOnly tells whether the server this handler is for listens on
// loopback addresses and sockets only.
func loopbackOnly(ctx caddy.Context) bool {
	srv, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return false
	}
	for _, listen := range srv.Listen {
		addr, err := caddy.ParseNetworkAddress(listen)
		if err != nil || !addr.IsUnixNetwork() && !isLoopbackHost(addr.Host) {
			return false
		}
	}
	return len(srv.Listen) > 0
}
