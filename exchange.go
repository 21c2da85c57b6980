package apikeyinject

// This file holds what belongs to one request on its way through the proxy.

import (
	"context"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/apikeyinject/caddy-apikey-inject/internal/quoted"
)

// exchange carries an injection from the handler to its transport. It is the
// request's context, and holds the response writer too, so that a request
// costs one allocation for all of these. Nobody but our transports can ask a
// context for it, unlike variables and placeholders.
type exchange struct {
	context.Context

	// owner is the transport this injection is for. Proxies in
	// handle_response inherit our context; to their transports it is absent.
	owner *Transport

	target *target
	use
	call   *call  // what the gateway knows; nil on a route
	origin string // the web page that may read the answer, or empty

	replayed bool // sent once more, with another key
	attempts attempts

	// explained takes the request instead of the upstream, when it is only to
	// be explained. Nil: it is sent.
	explained *captured

	writer responseWriter
	body   responseBody
}

// captured is a request as it would have been sent.
type captured struct{ out *http.Request }

// exchangeKey is the context key under which an exchange finds itself.
type exchangeKey struct{}

// Value returns the exchange itself for our key.
func (e *exchange) Value(key any) any {
	if _, ok := key.(exchangeKey); ok {
		return e
	}
	return e.Context.Value(key)
}

// String keeps fmt from walking into the exchange.
func (*exchange) String() string { return "apikey_inject exchange" }

// clean takes off a response's header what must not come back to the caller.
func (e *exchange) clean(h http.Header) {
	delete(h, errorHeader)
	if !e.target.integration.ForwardCredentials {
		delete(h, "Set-Cookie")
	}
	e.ren.inj.Scrub(h)
}

// watchBody makes sure that nothing comes back as a trailer that may not come
// back as a header, and that no error of reading quotes the upstream.
func (e *exchange) watchBody(res *http.Response) {
	if res.StatusCode == http.StatusSwitchingProtocols || res.Body == http.NoBody {
		return // a tunnel, which reverse_proxy wants as it came, or nothing to follow
	}
	e.clean(res.Trailer) // those announced
	e.body = responseBody{Body: quoted.Body{ReadCloser: res.Body}, ex: e, res: res}
	res.Body = &e.body
}

// responseBody cleans the trailers when the body has ended: an upstream need
// not announce them.
type responseBody struct {
	quoted.Body
	ex  *exchange
	res *http.Response
}

func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.Body.Read(p)
	if err != nil {
		b.ex.clean(b.res.Trailer)
	}
	return n, err
}

func (b *responseBody) Close() error {
	err := b.Body.Close()
	b.ex.clean(b.res.Trailer)
	return err
}

// responseWriter cleans interim (1xx) answers, which reverse_proxy relays from
// a hook of its own, and says which page may read the final one.
type responseWriter struct {
	caddyhttp.ResponseWriterWrapper
	ex *exchange

	status int // of the final answer; 0: none yet

	// relayed tells that an interim answer went out; muted, that none may any
	// more: those of a refused attempt are not relayed twice.
	relayed, muted bool
}

// WriteHeader cleans the header of interim answers, and gives the final one the
// header that the upstream sent: without the entry reverse_proxy adds to Via,
// and without a content type that net/http would guess.
func (w *responseWriter) WriteHeader(status int) {
	h := w.Header()
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		if w.muted {
			return
		}
		w.relayed = true
		w.ex.clean(h)
		w.ResponseWriter.WriteHeader(status)
		return
	}
	if w.status == 0 {
		w.status = status
	}
	if via := h["Via"]; len(via) > 0 && strings.HasSuffix(via[0], " Caddy") {
		if h["Via"] = via[1:]; len(via) == 1 {
			delete(h, "Via")
		}
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil
	}
	if w.ex.origin != "" {
		setCORS(h, w.ex.origin)
	}
	w.ResponseWriter.WriteHeader(status)
}
