// Package span makes spans in the traces of requests.
//
// Caddy's `tracing` directive keeps its provider to itself and hands it on only
// in the context of a request, so that this is where it is taken from. Without
// the directive, and for requests that are not sampled, nothing is made and
// nothing allocated. No span has an attribute that may hold a key, a path of a
// store, or a query.
package span

import (
	"context"
	"net"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"
	"go.opentelemetry.io/otel/trace"
)

// scope names what makes the spans.
const scope = "github.com/apikeyinject/caddy-apikey-inject"

// Of returns the span of ctx, if it is sampled.
func Of(ctx context.Context) (s trace.Span, ok bool) {
	s = trace.SpanFromContext(ctx)
	return s, s.SpanContext().IsSampled()
}

// Start begins a span below that of ctx, and returns a context that holds it. It
// may begin after that one has ended: what is read for a request goes on when
// its caller has left. Without a span in ctx it returns ctx and one that records
// nothing.
func Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	parent, ok := Of(ctx)
	if !ok {
		return ctx, parent
	}
	return parent.TracerProvider().Tracer(scope).Start(ctx, name, options...)
}

// Carry returns to with the span of from, for work that ends by its own context.
func Carry(to, from context.Context) context.Context {
	s, ok := Of(from)
	if !ok {
		return to
	}
	return trace.ContextWithSpan(to, s)
}

// Server names who is asked, host and port.
func Server(host, scheme string) []attribute.KeyValue {
	name, text, err := net.SplitHostPort(host)
	if err != nil {
		name, text = strings.Trim(host, "[]"), map[string]string{"http": "80", "https": "443"}[scheme]
	}
	all := []attribute.KeyValue{semconv.ServerAddress(name)}
	if port, err := strconv.Atoi(text); err == nil {
		all = append(all, semconv.ServerPort(port))
	}
	return all
}

// Wait begins the span of a request that waits for a key.
func Wait(ctx context.Context) (context.Context, trace.Span) {
	return Start(ctx, "apikey_inject wait for key")
}
