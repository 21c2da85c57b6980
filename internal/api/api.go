// Package api is the management API: integrations, connections and their state,
// in the wire format of Nango's API for its provider private-api-generic, so
// that Nango's own clients drive it unchanged. It is a plain [http.Handler] and
// knows nothing of Caddy; keys pass through it inwards and never outwards.
//
// Every operation is one row of [operations]: a type that says what goes in, a
// type that says what comes out, and a function between them. The types' tags
// are read three times, to decode a request, to check it, and to write the
// OpenAPI document, so that these cannot drift apart.
//
// Why not huma: its validation enters the offending value into every error that
// it answers, which here can be a key, and the only way round that, and to
// another shape of errors and other messages, are variables of its package
// (NewError, validation.Msg…) that every plugin in the same Caddy would share.
// Its paths are dotted text, from which a client cannot tell the field "a.b"
// from b in a; it validates a tree of plain strings, so that a key would not be
// a secret.Value from the first moment; and a merged PATCH cannot report what
// is wrong in the body and what is wrong in the outcome as one list.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
)

// Config says what an [API] works on. Fields are required unless said otherwise.
type Config struct {
	Catalog  Catalog
	Keys     Keys
	Static   Static
	Status   Status
	Sessions Sessions

	// Trials ask upstreams about keys before they are entered. Nil: no one does.
	Trials Trials

	// Tokens of callers. Nil means nobody, or with Trusted everybody.
	Tokens *Tokens

	// ConnectURL is where the Connect page is, for links to it. Optional.
	ConnectURL string

	// Trusted says that who reaches the API is the operator: Caddy's admin
	// endpoint. Tokens are then not asked for, and pages of other sites are
	// refused.
	Trusted bool

	// Prefix of the request path to take off: "/apikey_inject/api". Optional.
	Prefix string

	// Audit is told of every change, done or refused. Optional.
	Audit func(AuditEntry)

	// Observe is told of every request: which operation, by its id in the OpenAPI
	// document or "none", and the status of the answer. Optional.
	Observe func(operation string, status int)

	// Log is told why something went wrong that the client is told little of.
	// Optional.
	Log *slog.Logger

	// Now is the clock. Default: time.Now.
	Now func() time.Time

	// CheckBaseURL refuses what cannot be a base URL. Default: it must be
	// a plain one, see [inject.ParseBase].
	CheckBaseURL func(baseURL string) error

	// CheckConfig refuses a connection_config that would lead a base URL astray.
	// Default: every entry must be one, see [inject.CheckConfigValue].
	CheckConfig func(baseURL string, config map[string]string) error

	// Origin names where a base URL points at, as Keys does when it enters
	// a key. Default: scheme, host and port.
	Origin func(baseURL string) string
}

// API is the management API.
type API struct {
	cfg Config
	doc jsontext.Value // the OpenAPI document
}

// admin is the caller of a trusted API.
var admin = &Token{Name: "admin"}

// New returns the management API.
func New(cfg Config) *API {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Observe == nil {
		cfg.Observe = func(string, int) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.CheckBaseURL == nil {
		cfg.CheckBaseURL = func(s string) error { _, err := inject.ParseBase(s); return err }
	}
	if cfg.CheckConfig == nil {
		cfg.CheckConfig = checkEntries
	}
	if cfg.Origin == nil {
		cfg.Origin = plainOrigin
	}
	return &API{cfg: cfg, doc: document()}
}

func checkEntries(_ string, config map[string]string) error {
	for name, value := range config {
		if err := inject.CheckConfigValue(name, value); err != nil {
			return err
		}
	}
	return nil
}

func plainOrigin(baseURL string) string {
	b, err := inject.ParseBase(baseURL)
	if err != nil {
		return ""
	}
	return b.Scheme + "://" + b.Dial
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.dispatch(w, r, operations()) }

// ServeConnect answers one request to the site of the Connect page, where there
// is only what the token of a connect session permits.
func (a *API) ServeConnect(w http.ResponseWriter, r *http.Request) {
	a.dispatch(w, r, publicOperations())
}

func (a *API) dispatch(w http.ResponseWriter, r *http.Request, all []*operation) {
	guard(w.Header())
	segments := a.segments(r)
	here := find(all, segments)
	if len(here) == 0 {
		a.cfg.Observe(noOperation, http.StatusNotFound)
		refuse(http.StatusNotFound, "not_found", "There is nothing at this path").Write(w)
		return
	}
	o := here.method(r.Method)
	if o == nil {
		w.Header().Set("Allow", here.allow())
		if r.Method == http.MethodOptions {
			a.cfg.Observe(noOperation, http.StatusNoContent)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		a.cfg.Observe(noOperation, http.StatusMethodNotAllowed)
		refuse(http.StatusMethodNotAllowed, "method_not_allowed", "Allowed here are %s", here.allow()).Write(w)
		return
	}
	a.serve(&call{w: w, r: r, args: o.args(segments)}, o)
}

// noOperation is what [Config.Observe] calls a request for none there is.
const noOperation = "none"

// serve runs an operation and writes what becomes of it.
func (a *API) serve(c *call, o *operation) {
	out, err := a.run(c, o)
	if err == nil {
		a.cfg.Observe(o.id, o.status)
		a.audit(c, o, o.status, nil)
		writeJSON(c.w, o.status, out)
		return
	}
	e := asError(err)
	if e.Status >= 500 && !errors.Is(err, context.Canceled) {
		a.cfg.Log.Error("management API", "operation", o.id, "code", e.Code, "error", err)
	}
	a.cfg.Observe(o.id, e.Status)
	a.audit(c, o, e.Status, e)
	e.Write(c.w)
}

func (a *API) run(c *call, o *operation) (any, error) {
	c.noteTarget()
	if err := a.admit(c, o); err != nil {
		return nil, err
	}
	if o.tries {
		return a.attempt(c, o)
	}
	return o.run(a, c)
}

// attempt runs an operation whose failures count against the session.
func (a *API) attempt(c *call, o *operation) (out any, err error) {
	if err := a.cfg.Sessions.Try(c.caller); err != nil {
		return nil, err
	}
	failed := true // also by a panic
	defer func() { a.cfg.Sessions.Tried(c.caller, failed) }()
	out, err = o.run(a, c)
	failed = err != nil && asError(err).Status < http.StatusInternalServerError
	return out, err
}

// admit refuses who may not call.
func (a *API) admit(c *call, o *operation) error {
	if o.bySession {
		return a.admitSession(c)
	}
	var refusal *Error
	if c.token, refusal = a.Authenticate(c.r); refusal != nil {
		return refusal
	}
	return c.need(o.scope)
}

// Authenticate returns who calls, or the answer to somebody unknown.
func (a *API) Authenticate(r *http.Request) (*Token, *Error) {
	switch {
	case !a.cfg.Trusted && a.cfg.Tokens == nil:
		return (&Tokens{}).Authenticate(r)
	case !a.cfg.Trusted:
		return a.cfg.Tokens.Authenticate(r)
	case crossSite(r):
		return nil, forbidden("Pages of other sites may not use this API")
	}
	return admin, nil
}
