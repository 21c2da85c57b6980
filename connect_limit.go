package apikeyinject

// This file holds how often who enters a key with a connect session may fail.

import (
	"net/http"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/apikeyinject/caddy-apikey-inject/internal/api"
	"github.com/apikeyinject/caddy-apikey-inject/internal/limit"
)

// FailureLimit bounds the calls that fail. A session is bounded for itself.
type FailureLimit struct {
	// How many calls from one address may fail at once. Default: 100.
	Events int `json:"events,omitempty"`

	// In which time as many are given back, one after the other. Default: 10m.
	Window caddy.Duration `json:"window,omitempty"`
}

// What people behind one address do not reach, and who guesses does at once.
const (
	defaultFailures      = 100
	defaultFailureWindow = 10 * time.Minute
)

const (
	maxFailures      = 1_000_000
	minFailureWindow = time.Second
	maxFailureWindow = 24 * time.Hour
)

func (l *FailureLimit) check() error {
	if l == nil {
		return nil
	}
	if l.Events < 0 || l.Events > maxFailures {
		return wrong("failures.events", "must be between 1 and %d", maxFailures)
	}
	if w := time.Duration(l.Window); w != 0 && (w < minFailureWindow || w > maxFailureWindow) {
		return wrong("failures.window", "must be between %s and %s", minFailureWindow, maxFailureWindow)
	}
	return nil
}

// counter returns the count of failures. It begins anew with each configuration.
func (l *FailureLimit) counter(logger *zap.Logger) failureCount {
	if l == nil {
		l = new(FailureLimit)
	}
	events, window := l.Events, time.Duration(l.Window)
	if events == 0 {
		events = defaultFailures
	}
	if window == 0 {
		window = defaultFailureWindow
	}
	return failureCount{limit.NewFailures(events, window, time.Now), logger}
}

// failureCount counts by address which calls of a site have failed.
type failureCount struct {
	*limit.Failures
	logger *zap.Logger
}

// serve answers a call, unless too many from its address have failed. Calls
// that are under way when the last one fails are not called back.
func (f failureCount) serve(w http.ResponseWriter, r *http.Request, answer http.HandlerFunc) {
	addr := clientAddr(r)
	if wait := f.Wait(addr); wait > 0 {
		(&api.Error{
			Status: http.StatusTooManyRequests, Code: "too_many_failures", RetryAfter: wait,
			Message: "Too many calls from this address have failed; wait before the next one",
		}).Write(w)
		return
	}
	rec := caddyhttp.NewResponseRecorder(w, nil, nil)
	answer(rec, r)
	if failed(rec.Status()) && f.Add(addr) {
		f.logger.Warn("refusing calls from an address: too many have failed", zap.Stringer("network", limit.Network(addr)))
	}
}

// failed tells whether an answer is that to a try that was wrong. A path that is
// not there is none, and an outage nobody's fault.
func failed(status int) bool {
	return status >= 400 && status < 500 && status != http.StatusNotFound && status != http.StatusMethodNotAllowed
}

// clientAddr is who Caddy says has called, which a proxy that it trusts may name.
func clientAddr(r *http.Request) netip.Addr {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	addr, _ := netip.ParseAddr(text)
	return addr
}
