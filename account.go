package apikeyinject

// This file holds what is said of each request: the counter, the fields of
// the access log, and the line of the audit log.

import (
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// The outcomes of requests that went out. The others are the codes of failures.
const (
	outcomeInjected = "injected"
	outcomeReplayed = "replayed"        // sent once more, with another key
	outcomeFailed   = "upstream_failed" // no answer came
)

// outcomes lists every outcome.
var outcomes = []string{
	outcomeInjected, outcomeReplayed, outcomeFailed, "forbidden", "disabled", "egress_denied", "bad_path", "bad_header", "bad_connection",
	"unknown_integration", "unknown_connection", "origin_changed", "method_not_allowed", "key_not_found", "key_invalid", "key_unavailable", "no_injection",
}

// account is what is said of one request. It holds names and versions, never a
// key.
type account struct {
	integration string
	connection  string
	version     int           // of the key; 0: none, or the store has none
	age         time.Duration // of that version; 0: nothing was sent, or the store does not tell
	outcome     string
	attempts    int           // to reach the upstream
	latency     time.Duration // of the last one, to the header of its answer
}

// MarshalLogObject writes the fields of the access log.
func (a *account) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("integration", a.integration)
	if a.connection != "" {
		enc.AddString("connection", a.connection)
	}
	if a.version != 0 {
		enc.AddInt("key_version", a.version)
	}
	if a.age != 0 {
		enc.AddInt64("key_age_seconds", int64(a.age/time.Second))
	}
	enc.AddString("outcome", a.outcome)
	if a.attempts != 0 {
		enc.AddInt("attempts", a.attempts)
		enc.AddDuration("upstream_latency", a.latency)
	}
	return nil
}

// settle says of a request what became of it. ex is how it was sent, nil when it
// was not.
func (h *Handler) settle(r *http.Request, t *target, repl *caddy.Replacer, ex *exchange, outcome string, status int) {
	repl.Set("http.apikey_inject.outcome", outcome)
	t.counters.count(outcome)
	if !h.accessLogs && !t.audit {
		return
	}
	a := &audited{account: account{integration: t.label, outcome: outcome}}
	if h.connection.expr != "" || h.gateway {
		a.connection, _ = repl.GetString("http.apikey_inject.connection")
	}
	if ex != nil {
		a.sent(ex)
	}
	if h.accessLogs {
		if extra, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
			extra.Set(zap.Object("apikey_inject", &a.account))
		}
	}
	if !t.audit {
		return
	}
	if entry := h.auditLog.Check(zapcore.InfoLevel, "request"); entry != nil {
		a.request, a.caller, a.ip, a.status = r, h.callerOf(r, t, repl), clientIP(r), status
		if base := baseOf(t, ex); base != nil {
			a.upstream = base.Host
		}
		entry.Write(zap.Inline(a))
	}
}

// sent says how a request was sent.
func (a *account) sent(ex *exchange) {
	key := ex.ren.key
	a.version, a.attempts, a.latency = key.Version, ex.attempts.n, ex.attempts.latency
	if !key.CreatedAt.IsZero() {
		a.age = max(ex.attempts.ended.Sub(key.CreatedAt), 1) // clocks differ
	}
}

// settleSent says what became of a request that got its key. err is the
// proxy's.
func (h *Handler) settleSent(r *http.Request, repl *caddy.Replacer, ex *exchange, err error) {
	outcome, status := outcomeInjected, ex.writer.status
	if ex.replayed {
		outcome = outcomeReplayed
		repl.Set("http.apikey_inject.key_version", ex.ren.version)
	}
	if err != nil {
		outcome, status = outcomeFailed, statusOf(err)
	}
	h.settle(r, ex.target, repl, ex, outcome, status)
}

func clientIP(r *http.Request) string {
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return ip
}

// statusOf returns the status that Caddy answers an error with.
func statusOf(err error) int {
	if he, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		return he.StatusCode
	}
	return http.StatusInternalServerError
}
