package apikeyinject

// This file holds benchmarks of what the plugin adds to a request.

import (
	"context"
	"net/http"
	"testing"
)

func BenchmarkClone(b *testing.B) {
	r := requestWith(12)
	var kept *http.Request
	b.ReportAllocs()
	for b.Loop() {
		kept = r.Clone(context.Background())
	}
	_ = kept
}

func BenchmarkTransport(b *testing.B) {
	h := costly(b, "header")
	r := injected(b, h, requestWith(12))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = h.transport.RoundTrip(r) //nolint:bodyclose // there is none
	}
}

func BenchmarkWholePlugin(b *testing.B) {
	h := costly(b, "header")
	send(b, h, requestWith(12))
	w := discard{http.Header{}}
	r := prepared(requestWith(12), w, nil)
	b.ReportAllocs()
	for b.Loop() {
		_ = h.ServeHTTP(w, r, nil)
	}
}
