//go:build !race

package apikeyinject

// This file holds what the plugin may cost a request. The race detector
// allocates on its own, so these tests run without it.

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// sink is a base transport that answers without allocating.
type sink struct{ res *http.Response }

func (s sink) RoundTrip(*http.Request) (*http.Response, error) { return s.res, nil }

// straight stands for the embedded proxy: it hands the request to the transport
// and nothing more, so that what is measured is ours alone.
type straight struct {
	t *Transport

	// header is what reverse_proxy's clone of the header would be.
	header http.Header
}

func (s *straight) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if s.header == nil {
		s.header = r.Header.Clone()
	}
	r.Header = s.header
	res, err := s.t.RoundTrip(r) //nolint:bodyclose // there is none
	if err != nil {
		return err
	}
	w.WriteHeader(res.StatusCode)
	return nil
}

// discard is a response writer that keeps nothing.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)               {}

// costly is a handler whose upstream and proxy cost nothing.
func costly(t testing.TB, placement string) *Handler {
	h := newHandler(t, "", `{"base_url": "https://api.example/v1", "key_name": "X-Api-Key", "key_placement": "`+placement+`",
		"value_template": "Bearer ${apiKey}", "key": {"path": "k"}, "allow": {"anyone": true}}`)
	h.transport.base = sink{&http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/plain"}}}}
	h.proxy = &straight{t: h.transport}
	return h
}

// requestWith returns a request with n headers as an ordinary client sends
// them.
func requestWith(n int) *http.Request {
	names := []string{
		"Accept", "Accept-Encoding", "Accept-Language", "User-Agent", "Content-Type", "X-Request-Id", "Traceparent",
		"If-None-Match", "Cache-Control", "Referer", "Tracestate", "Idempotency-Key",
	}
	r := httptest.NewRequest(http.MethodGet, "https://gateway.example/users/42?page=2&limit=50", nil)
	for i := range n {
		name := fmt.Sprintf("X-Extra-%d", i)
		if i < len(names) {
			name = names[i]
		}
		r.Header[name] = []string{"value-of-" + name}
	}
	return r
}

// injected returns r as the transport gets it from the handler.
func injected(t testing.TB, h *Handler, r *http.Request) *http.Request {
	t.Helper()
	var seen *http.Request
	was := h.proxy
	h.proxy = middleware(func(w http.ResponseWriter, r *http.Request) error {
		seen = r.Clone(r.Context()) // as reverse_proxy does
		return nil
	})
	send(t, h, r)
	h.proxy = was
	if seen == nil {
		t.Fatal("the request did not reach the proxy")
	}
	return seen
}

type middleware func(http.ResponseWriter, *http.Request) error

func (m middleware) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	return m(w, r)
}

func TestCostOfTheTransportInAllocations(t *testing.T) {
	for _, tc := range []struct {
		placement string
		headers   int
		limit     float64
	}{
		{"header", 1, 4},
		{"header", 7, 4},
		{"header", 12, 6},
		{"header", 20, 6},
		{"query", 1, 6},
		{"query", 7, 6},
		{"query", 12, 8},
		{"query", 20, 8},
	} {
		t.Run(fmt.Sprintf("%s placement with %d headers", tc.placement, tc.headers), func(t *testing.T) {
			h := costly(t, tc.placement)
			// Counted are the headers at the transport: what the handler adds
			// for reverse_proxy alone has nil values there and is left out.
			r := injected(t, h, requestWith(tc.headers))
			got := testing.AllocsPerRun(200, func() {
				if _, err := h.transport.RoundTrip(r); err != nil { //nolint:bodyclose // there is none
					t.Fatal(err)
				}
			})
			t.Logf("%v allocations", got)
			if got > tc.limit {
				t.Errorf("got %v allocations, want at most %v", got, tc.limit)
			}
		})
	}
}

func TestCostOfTheWholePluginInAllocations(t *testing.T) {
	const headers, limit = 12, 16
	for _, placement := range []string{"header", "query"} {
		t.Run(placement, func(t *testing.T) {
			h := costly(t, placement)
			send(t, h, requestWith(headers)) // the first fetches and renders the key
			r := requestWith(headers)
			w := discard{http.Header{}}
			bare := testing.AllocsPerRun(200, func() { _ = prepared(r, w, nil) })
			all := testing.AllocsPerRun(200, func() {
				if err := h.ServeHTTP(w, prepared(r, w, nil), nil); err != nil {
					t.Fatal(err)
				}
			})
			t.Logf("%v allocations", all-bare)
			want := float64(limit)
			if placement == "query" {
				want += 2
			}
			if got := all - bare; got > want {
				t.Errorf("got %v allocations, want at most %v", got, want)
			}
		})
	}
}

// The bounds are ratios to http.Request.Clone of the same request, in the same
// run: rounds of both are interleaved and their medians compared, so that a
// machine that is busy with something else is so for both.
func TestCostInTimeAsARatioToClone(t *testing.T) {
	const headers = 12
	h := costly(t, "header")
	r := requestWith(headers)
	send(t, h, requestWith(headers))
	w := discard{http.Header{}}
	atTransport := injected(t, h, requestWith(headers))
	ctx := context.Background()

	var kept *http.Request
	clone := func() { kept = r.Clone(ctx) }
	cloneThere := func() { kept = atTransport.Clone(ctx) }
	transport := func() { _, _ = h.transport.RoundTrip(atTransport) } //nolint:bodyclose // there is none
	ready := prepared(r, w, nil)
	whole := func() { _ = h.ServeHTTP(w, ready, nil) }

	for _, tc := range []struct {
		name     string
		f, clone func() // of the same request
		limit    float64
	}{{"the transport", transport, cloneThere, 1.0}, {"the whole plugin", whole, clone, 2.0}} {
		t.Run(tc.name, func(t *testing.T) {
			got := medianRatio(tc.f, tc.clone)
			for range 3 { // a machine that is busy for a second is no slow plugin
				if got <= tc.limit {
					break
				}
				got = min(got, medianRatio(tc.f, tc.clone))
			}
			t.Logf("%.2f times the time of Clone", got)
			if got > tc.limit {
				t.Errorf("got %.2f times the time of Clone, want at most %.2f", got, tc.limit)
			}
		})
	}
	_ = kept
}

// medianRatio returns how many times as long f takes as g: the median over
// rounds, each of which times both.
func medianRatio(f, g func()) float64 {
	const rounds, each = 101, 500
	timed := func(f func()) time.Duration {
		start := time.Now()
		for range each {
			f()
		}
		return time.Since(start)
	}
	ratios := make([]float64, rounds)
	for i := range ratios {
		a, b := timed(f), timed(g)
		ratios[i] = float64(a) / float64(b)
	}
	slices.Sort(ratios)
	return ratios[rounds/2]
}
