//go:build !race

package apikeyinject

// This file holds what the plugin may cost a request. The race detector
// allocates on its own, so these tests run without it.

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"
)

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
			for range 20 { // a machine that is busy for a while is no slow plugin
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
	return median(func() float64 { return timed(f) / timed(g) })
}

// medianExtra returns how much longer f takes than g, in times of unit.
func medianExtra(f, g, unit func()) float64 {
	return median(func() float64 { return (timed(f) - timed(g)) / timed(unit) })
}

// median returns the median of many rounds.
func median(round func() float64) float64 {
	all := make([]float64, 101)
	for i := range all {
		all[i] = round()
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// timed returns how long some hundred runs take, in nanoseconds.
func timed(f func()) float64 {
	start := time.Now()
	for range 500 {
		f()
	}
	return float64(time.Since(start))
}
