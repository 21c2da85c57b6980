package apikeyinject

// This file holds the line of the audit log: who did what with whose key.

import (
	"net/http"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
)

// audited is an account with who called, and what for.
type audited struct {
	account

	request  *http.Request
	caller   string
	ip       string
	upstream string // host; empty where each connection has its own and none was chosen
	status   int
}

// MarshalLogObject writes the fields of a line. The query is left out: it may
// hold what callers hold secret.
func (a *audited) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("caller", a.caller)
	enc.AddString("remote_ip", a.ip)
	enc.AddString("integration", a.integration)
	enc.AddString("connection", a.connection)
	enc.AddInt("key_version", a.version)
	enc.AddInt64("key_age_seconds", int64(a.age/time.Second))
	enc.AddString("method", a.request.Method)
	enc.AddString("host", a.request.Host)
	enc.AddString("path", a.request.URL.EscapedPath())
	enc.AddString("upstream", a.upstream)
	enc.AddInt("status", a.status)
	enc.AddString("outcome", a.outcome)
	enc.AddInt("attempts", a.attempts)
	enc.AddDuration("upstream_latency", a.latency)
	return nil
}

// callerOf names who calls, or nobody.
func (h *Handler) callerOf(r *http.Request, t *target, repl *caddy.Replacer) string {
	if h.gateway {
		if token, _ := repl.GetString("http.apikey_inject.token"); token != "" {
			return token
		}
	}
	if user := t.user(repl); user != "" {
		return user
	}
	subject, _ := verifiedSubject(r)
	return subject
}

// baseOf returns where a request went, or would have gone.
func baseOf(t *target, ex *exchange) *inject.Base {
	if ex != nil {
		return ex.ren.base
	}
	return t.base
}
