// What each call was and what became of it, for figures.

package vault

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/apikeyinject/caddy-apikey-inject/internal/span"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// Operations and classes of [Config.Observe].
const (
	OpRead   = "read"
	OpWrite  = "write"
	OpDelete = "delete"
	OpLogin  = "login"
	OpToken  = "token" // renewal, look-up and revocation of our own token
	OpMounts = "mounts"
	OpUnwrap = "unwrap"
	OpHealth = "health"

	ClassOK          = "ok"
	ClassNotFound    = "not_found"
	ClassDenied      = "denied"
	ClassRejected    = "rejected" // another 4xx: wrong credentials, a lost check-and-set
	ClassThrottled   = "throttled"
	ClassUnavailable = "unavailable"
)

// send makes a call, tells [Config.Observe], and is a span in the trace of ctx.
// The span has neither path nor body: both may hold what nobody else may see.
func (c *Client) send(ctx context.Context, q call) (*answer, error) {
	op, began := q.op(), time.Now()
	ctx, s := span.Start(ctx, "vault "+op, trace.WithSpanKind(trace.SpanKindClient))
	defer s.End()
	a, err := c.sendAnywhere(ctx, q)
	class := classify(a, err)
	if c.cfg.Observe != nil {
		c.cfg.Observe(op, class, time.Since(began))
	}
	if s.IsRecording() {
		c.describe(s, a, class)
	}
	return a, err
}

// describe says in a span what became of a call.
func (c *Client) describe(s trace.Span, a *answer, class string) {
	wires := *c.wires.Load()
	w := wires[int(c.sticky.Load())%len(wires)]
	s.SetAttributes(append(span.Server(w.host, w.scheme), attribute.String("apikey_inject.vault.class", class))...)
	if a != nil {
		s.SetAttributes(semconv.HTTPResponseStatusCode(a.status))
	}
	if class == ClassUnavailable || class == ClassDenied || class == ClassRejected || class == ClassThrottled {
		s.SetAttributes(semconv.ErrorTypeKey.String(class))
		s.SetStatus(codes.Error, class)
	}
}

// op names the call by its path; the path itself may hold a customer's id.
func (q call) op() string {
	switch {
	case strings.HasPrefix(q.path, "auth/token/"):
		return OpToken
	case strings.HasPrefix(q.path, "auth/"):
		return OpLogin
	case strings.HasPrefix(q.path, "sys/wrapping/"):
		return OpUnwrap
	case strings.HasPrefix(q.path, "sys/internal/"):
		return OpMounts
	case q.path == "sys/health":
		return OpHealth
	case q.method == http.MethodGet:
		return OpRead
	case q.method == http.MethodDelete:
		return OpDelete
	}
	return OpWrite
}

func classify(a *answer, err error) string {
	var throttled *store.ThrottledError
	switch {
	case errors.As(err, &throttled):
		return ClassThrottled
	case err != nil || a.huge:
		return ClassUnavailable
	case a.status < 400:
		return ClassOK
	case a.status == http.StatusNotFound:
		return ClassNotFound
	case a.status == http.StatusForbidden:
		return ClassDenied
	case a.status == http.StatusTooManyRequests:
		return ClassThrottled
	case a.status < 470:
		return ClassRejected
	}
	return ClassUnavailable
}
