package apikeyinject

// This file holds how a request ends that gets no key: uniformly, and without
// a word about the store.

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// errorHeader marks an answer as ours and not the upstream's.
const errorHeader = "Apikey-Inject-Error"

// failure is a refusal of ours. Its text is its code: it reaches error pages
// and logs, and holds neither an address nor a path of a store.
type failure struct {
	code       string
	said       string // in the body, where that is another word
	status     int
	message    string
	retryAfter time.Duration
}

func (f *failure) Error() string { return f.code }

var (
	errForbidden          = &failure{code: "forbidden", status: http.StatusForbidden, message: "this caller may not use this integration"}
	errCrossSite          = &failure{code: "forbidden", status: http.StatusForbidden, message: "pages of this origin may not use this integration"}
	errDisabled           = &failure{code: "disabled", status: http.StatusForbidden, message: "this integration is disabled"}
	errMethod             = &failure{code: "method_not_allowed", status: http.StatusMethodNotAllowed, message: "TRACE and CONNECT are not forwarded with a key"}
	errPath               = &failure{code: "bad_path", status: http.StatusBadRequest, message: "the path has a . or .. segment"}
	errConnection         = &failure{code: "bad_connection", status: http.StatusBadRequest, message: "the connection id is empty or ill-formed"}
	errUnknownIntegration = &failure{code: "unknown_integration", status: http.StatusNotFound, message: "there is no such integration"}
	errUnknownConnection  = &failure{code: "unknown_connection", status: http.StatusNotFound, message: "there is no such connection"}
	errKeyNotFound        = &failure{code: "key_not_found", status: http.StatusBadGateway, message: "no key is stored for this integration"}
	errKeyInvalid         = &failure{code: "key_invalid", status: http.StatusBadGateway, message: "the stored key cannot be used"}
	errOriginChanged      = &failure{code: "origin_changed", status: http.StatusForbidden, message: "the integration's base URL was moved to another host after this connection's key was entered"}
	errConnectionConfig   = &failure{code: "bad_connection", status: http.StatusBadRequest, message: "the connection lacks a value that the integration needs"}
	errEgress             = &failure{code: "egress_denied", status: http.StatusForbidden, message: "the upstream's address is not allowed"}

	// errNoInjection is a transport's: a live request never leaves without
	// its key.
	errNoInjection = &failure{code: "no_injection", status: http.StatusBadGateway, message: "this request carries no key for this upstream"}
)

func failUnavailable(retryAfter time.Duration) *failure {
	return &failure{
		code: "key_unavailable", status: http.StatusServiceUnavailable,
		message: "the key cannot be fetched at the moment", retryAfter: max(retryAfter, time.Second),
	}
}

// handlerError dresses the failure for a transport to return: reverse_proxy
// keeps the status of a HandlerError and looks no further.
func (f *failure) handlerError() error { return caddyhttp.Error(f.status, f) }

// asFailure finds a failure of ours in what reverse_proxy returned.
func asFailure(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	return nil
}

// end ends a request with a failure. Where one of the server's error routes
// matches this request, Caddy runs it; elsewhere the answer is written here,
// because Caddy would send an empty one as soon as any site of the server has
// error routes, and log an ERROR line for every request of an outage.
func (f *failure) end(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set(errorHeader, f.code)
	if f.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(f.retryAfter.Seconds()))))
	}
	if f.status == http.StatusMethodNotAllowed {
		h.Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	}
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Set("http.apikey_inject.error", f.code)
	}
	if hasErrorRoute(r, f) {
		return f.handlerError()
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Del("Content-Length")
	w.WriteHeader(f.status)
	var body struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	body.Error.Code, body.Error.Message = firstSet(f.said, f.code), f.message
	_ = json.NewEncoder(w).Encode(body) // the client may have left
	return nil
}

// hasErrorRoute tells whether one of the server's error routes answers this
// request.
func hasErrorRoute(r *http.Request, f *failure) bool {
	srv, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || srv.Errors == nil || len(srv.Errors.Routes) == 0 {
		return false
	}
	return answers(srv.Errors.Routes, srv.Errors.WithError(r, f.handlerError()))
}

// answers tells whether one of the routes has something to say about a request.
// A site's error routes are a subroute each, and its statuses (handle_errors
// 5xx) stand in there: Caddy sends an empty answer when none of them fits.
func answers(routes caddyhttp.RouteList, r *http.Request) bool {
	for _, route := range routes {
		if match, err := route.MatcherSets.AnyMatchWithError(r); err != nil || !match {
			continue
		}
		for _, handler := range route.Handlers {
			sub, ok := handler.(*caddyhttp.Subroute)
			if !ok || answers(sub.Routes, r) {
				return true
			}
		}
		if route.Terminal {
			return false
		}
	}
	return false
}
