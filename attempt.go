package apikeyinject

// This file holds what is noted of each attempt to reach an upstream: how many
// there were, how long the last one took, and its span.

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/apikeyinject/caddy-apikey-inject/internal/span"
)

// attempts are those of one request.
type attempts struct {
	timed   bool // somebody wants to know
	n       int
	latency time.Duration // of the last one, to the header of its answer
	ended   time.Time     // then
}

// send makes one attempt.
func (ex *exchange) send(base http.RoundTripper, out *http.Request) (*http.Response, error) {
	ex.attempts.n++
	if _, ok := span.Of(ex.Context); ok {
		return ex.traced(base, out)
	}
	return ex.attempts.time(base, out)
}

func (a *attempts) time(base http.RoundTripper, out *http.Request) (*http.Response, error) {
	if !a.timed {
		return base.RoundTrip(out)
	}
	began := time.Now()
	res, err := base.RoundTrip(out)
	a.ended = time.Now()
	a.latency = a.ended.Sub(began)
	return res, err
}

// traced is an attempt with a span of its own, which the upstream gets as its
// parent. The span has neither path nor query, which may hold the key, nor the
// text of an error, which may quote an answer.
func (ex *exchange) traced(base http.RoundTripper, out *http.Request) (*http.Response, error) {
	ctx, s := span.Start(ex.Context, method(out), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(ex.describe(out)...))
	defer s.End()
	propagate(ctx, out.Header)
	res, err := ex.attempts.time(base, out)
	switch {
	case err != nil:
		s.SetAttributes(semconv.ErrorTypeOther)
		s.SetStatus(codes.Error, "no answer")
	default:
		s.SetAttributes(semconv.HTTPResponseStatusCode(res.StatusCode))
		if res.StatusCode >= http.StatusBadRequest {
			s.SetStatus(codes.Error, "")
		}
	}
	return res, err
}

// describe says of an attempt what the conventions for HTTP clients want to know.
func (ex *exchange) describe(out *http.Request) []attribute.KeyValue {
	base := ex.ren.base
	all := append(span.Server(base.Host, base.Scheme),
		semconv.HTTPRequestMethodKey.String(method(out)), semconv.URLScheme(base.Scheme),
		attribute.String("apikey_inject.integration", ex.target.label),
		attribute.Int("apikey_inject.key_version", ex.ren.key.Version))
	if again := ex.attempts.n - 1; again > 0 {
		all = append(all, semconv.HTTPRequestResendCount(again))
	}
	return all
}

// method names the method of a request, or says that it is none that is known:
// one that a caller made up is no name for a span.
func method(r *http.Request) string {
	known := []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	}
	if slices.Contains(known, r.Method) {
		return r.Method
	}
	return "_OTHER"
}

// propagator writes trace contexts as Caddy's does, by OTEL_PROPAGATORS.
var propagator = sync.OnceValue(func() propagation.TextMapPropagator { return autoprop.NewTextMapPropagator() })

// propagate tells the upstream of the attempt's span in place of Caddy's own.
func propagate(ctx context.Context, h http.Header) { propagator().Inject(ctx, replacing(h)) }

// replacing is a header that takes nothing but other values for what it has: who
// has taken trace contexts off, because they are none of the upstream's business,
// does not get them back.
type replacing http.Header

// Get implements [propagation.TextMapCarrier].
func (h replacing) Get(name string) string { return http.Header(h).Get(name) }

// Set implements [propagation.TextMapCarrier].
func (h replacing) Set(name, value string) {
	name = http.CanonicalHeaderKey(name)
	if _, ok := h[name]; ok {
		h[name] = []string{value}
	}
}

// Keys implements [propagation.TextMapCarrier].
func (h replacing) Keys() []string { return nil }
