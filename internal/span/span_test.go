package span

import (
	"context"
	"fmt"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

func TestAServerIsNamedByHostAndPort(t *testing.T) {
	for _, tc := range []struct{ host, scheme, want string }{
		{"api.example", "https", "api.example 443"},
		{"api.example", "http", "api.example 80"},
		{"api.example:8443", "https", "api.example 8443"},
		{"[2001:db8::1]", "https", "2001:db8::1 443"},
		{"[2001:db8::1]:8200", "http", "2001:db8::1 8200"},
		{"/run/vault.sock", "unix", "/run/vault.sock"},
	} {
		got := ""
		for _, a := range Server(tc.host, tc.scheme) {
			if got != "" {
				got += " "
			}
			got += a.Value.String()
		}
		if got != tc.want {
			t.Errorf("%s://%s is %q, want %q", tc.scheme, tc.host, got, tc.want)
		}
	}
}

// Without a span, and below one that is not sampled, nothing is made.
func TestNothingIsMadeForWhatIsNotTraced(t *testing.T) {
	unsampled := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	for n, ctx := range []context.Context{t.Context(), unsampled} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			got, s := Start(ctx, "x")
			if got != ctx || s.IsRecording() {
				t.Error("a span is recorded")
			}
			to := context.Background()
			if Carry(to, ctx) != to {
				t.Error("a span is carried on")
			}
			if n := testing.AllocsPerRun(100, func() { _, s := Wait(ctx); s.End() }); n > 0 {
				t.Errorf("it costs %v allocations", n)
			}
		})
	}
}
