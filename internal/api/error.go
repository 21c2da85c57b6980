package api

// This file holds how a request ends that did not do what was asked, in the
// shape that clients of Nango's API read.

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// Error is an answer that refuses. It holds nothing of a key.
type Error struct {
	Status  int
	Code    string
	Message string

	// Faults are all that is wrong with the fields of a body or query.
	Faults []Fault

	// RetryAfter goes into the header of that name. Zero: none.
	RetryAfter time.Duration

	cause error // for the log, where the text above tells nothing
}

// Fault is one thing that is wrong, and where.
type Fault struct {
	Code    string `json:"code" required:"true"`
	Message string `json:"message" required:"true"`
	Path    []any  `json:"path" required:"true" nullable:"false"`

	// Detail says what the message, which clients may compare, does not.
	Detail string `json:"detail,omitempty"`
}

// errorAnswer is the body of every [Error].
type errorAnswer struct {
	Error errorBody `json:"error" required:"true"`
}

type errorBody struct {
	Code    string  `json:"code" required:"true"`
	Message string  `json:"message" required:"true"`
	Errors  []Fault `json:"errors,omitempty"`
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }
func (e *Error) Unwrap() error { return e.cause }

// Write answers a request with the error.
func (e *Error) Write(w http.ResponseWriter) {
	h := w.Header()
	if e.Status == http.StatusUnauthorized {
		h.Set("Www-Authenticate", "Bearer")
	}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	writeJSON(w, e.Status, errorAnswer{errorBody{e.Code, e.Message, e.Faults}})
}

func refuse(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

func forbidden(format string, args ...any) *Error {
	return refuse(http.StatusForbidden, "forbidden", format, args...)
}

func conflict(format string, args ...any) *Error {
	return refuse(http.StatusConflict, "conflict", format, args...)
}

func noIntegration(key string) *Error {
	return refuse(http.StatusNotFound, "not_found", "Integration %q does not exist", clipped(key))
}

// noProviderConfig is [noIntegration] where the integration is not what the
// request is about, in Nango's word for it.
func noProviderConfig(key string) *Error {
	return refuse(http.StatusNotFound, "unknown_provider_config", "Integration %q does not exist", clipped(key))
}

func noConnection(integration, id string) *Error {
	return refuse(http.StatusNotFound, "not_found", "Connection %q of integration %q does not exist", clipped(id), clipped(integration))
}

// retryAfter is when a store or database that is away is worth another try.
const retryAfter = 5 * time.Second

// asError turns whatever a handler returned into an answer. What it does not
// know is a fault of ours: the client learns only that.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	e := classify(err)
	e.cause = err
	return e
}

func classify(err error) *Error {
	if t, ok := errors.AsType[*store.ThrottledError](err); ok {
		e := storeAway()
		e.RetryAfter = max(t.After, time.Second)
		return e
	}
	if e := refusedSession(err); e != nil {
		return e
	}
	switch {
	case errors.Is(err, catalog.ErrUnavailable):
		return &Error{Status: http.StatusServiceUnavailable, Code: "catalog_unavailable", Message: "The catalog cannot be reached at the moment", RetryAfter: retryAfter}
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrRefused), errors.Is(err, store.ErrDenied),
		errors.Is(err, store.ErrMisconfigured), errors.Is(err, store.ErrNotFound):
		return storeAway()
	case errors.Is(err, catalog.ErrConflict), errors.Is(err, catalog.ErrExists), errors.Is(err, store.ErrConflict):
		return conflict("It was changed by somebody else meanwhile; read it again")
	case errors.Is(err, catalog.ErrNotFound):
		return refuse(http.StatusNotFound, "not_found", "It was deleted meanwhile")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &Error{Status: http.StatusServiceUnavailable, Code: "timeout", Message: "The request took too long", RetryAfter: retryAfter}
	}
	return refuse(http.StatusInternalServerError, "server_error", "Something went wrong; the log says what")
}

func storeAway() *Error {
	return &Error{Status: http.StatusServiceUnavailable, Code: "key_store_unavailable", Message: "The store of keys cannot do this at the moment", RetryAfter: retryAfter}
}
