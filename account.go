package apikeyinject

// This file holds what is said of each request: the counter, the fields of
// the access log, and the line of the audit log.

import (
	"errors"
	"net/http"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// The outcomes of requests that went out. The others are the codes of
// failures, and failed: the upstream gave no answer.
const (
	outcomeInjected = "injected"
	outcomeReplayed = "replayed" // sent once more, with another key
	outcomeFailed   = "upstream_failed"
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
	version     int // of the key; 0: none, or the store has none
	outcome     string
	status      int
	upstream    string // host; empty where each connection has its own and none was chosen
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
	enc.AddString("outcome", a.outcome)
	return nil
}

// settle says of a request what became of it. ren is what was sent, nil when
// nothing was.
func (h *Handler) settle(r *http.Request, t *target, repl *caddy.Replacer, ren *rendered, outcome string, status int) {
	repl.Set("http.apikey_inject.outcome", outcome)
	t.counters.count(outcome)
	if !h.accessLogs && !t.audit {
		return
	}
	connection, _ := repl.GetString("http.apikey_inject.connection")
	a := &account{integration: t.label, connection: connection, outcome: outcome, status: status}
	base := t.base
	if ren != nil {
		a.version, base = ren.key.Version, ren.base
	}
	if base != nil {
		a.upstream = base.Host
	}
	if extra, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok && h.accessLogs {
		extra.Set(zap.Object("apikey_inject", a))
	}
	if t.audit {
		h.auditLine(r, t, repl, a)
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
	h.settle(r, ex.target, repl, ex.ren, outcome, status)
}

// auditLine writes who did what with whose key. The query is left out: it may
// hold what callers hold secret.
func (h *Handler) auditLine(r *http.Request, t *target, repl *caddy.Replacer, a *account) {
	caller, _ := repl.GetString("http.apikey_inject.token")
	if caller == "" {
		caller = t.user(repl)
	}
	if caller == "" {
		caller, _ = verifiedSubject(r)
	}
	h.auditLog.Info("request",
		zap.String("caller", caller),
		zap.String("remote_ip", clientIP(r)),
		zap.String("integration", a.integration),
		zap.String("connection", a.connection),
		zap.Int("key_version", a.version),
		zap.String("method", r.Method),
		zap.String("host", r.Host),
		zap.String("path", r.URL.EscapedPath()),
		zap.String("upstream", a.upstream),
		zap.Int("status", a.status),
		zap.String("outcome", a.outcome),
	)
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
