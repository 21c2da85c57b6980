package main

// This file holds what is made of the rounds, and how it is shown.

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// Figures are the medians of one route over all rounds. The ratios are the
// medians of each round's own ratio: what slows a round down slows both.
type Figures struct {
	Route string `json:"route"`

	// Requests per second, and the 99th percentile of their time in microseconds.
	Rate float64 `json:"requests_per_second"`
	P99  float64 `json:"p99_us"`

	// Times the requests per second and the p99 of reverse_proxy with Caddy's
	// defaults, and with the same pool and compression off.
	RateToDefaults float64 `json:"rate_to_defaults"`
	RateToSame     float64 `json:"rate_to_same_pool"`
	P99ToDefaults  float64 `json:"p99_to_defaults"`
	P99ToSame      float64 `json:"p99_to_same_pool"`

	// Allocations per request more than reverse_proxy with the same pool.
	MoreAllocs float64 `json:"more_allocations_than_same_pool"`
}

func summarize(rounds []round) []Figures {
	figures := make([]Figures, len(routes))
	for i, r := range routes {
		over := func(f func(own, defaults, same Sample) float64) float64 {
			values := make([]float64, len(rounds))
			for j, one := range rounds {
				values[j] = f(one[r.name], one[routeDefaults], one[routeSame])
			}
			return median(values)
		}
		figures[i] = Figures{
			Route:          r.name,
			Rate:           over(func(own, _, _ Sample) float64 { return own.Rate }),
			P99:            over(func(own, _, _ Sample) float64 { return float64(own.P99) / float64(time.Microsecond) }),
			RateToDefaults: over(func(own, defaults, _ Sample) float64 { return own.Rate / defaults.Rate }),
			RateToSame:     over(func(own, _, same Sample) float64 { return own.Rate / same.Rate }),
			P99ToDefaults:  over(func(own, defaults, _ Sample) float64 { return float64(own.P99) / float64(defaults.P99) }),
			P99ToSame:      over(func(own, _, same Sample) float64 { return float64(own.P99) / float64(same.P99) }),
			MoreAllocs:     over(func(own, _, same Sample) float64 { return own.Allocs - same.Allocs }),
		}
	}
	return figures
}

// median returns the middle one of values, or the mean of the two in the middle.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

func printTable(w io.Writer, p Plan, figures []Figures) error {
	fmt.Fprintf(w, "Medians of %d rounds of %s for each route, %d keep-alive clients; clients, Caddy and upstream in one process.\n\n",
		p.Rounds, p.Each, p.Clients)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "route\treq/s\tto same pool\tto defaults\tp99\tto same pool\tto defaults\tallocs more")
	for _, f := range figures {
		fmt.Fprintf(t, "%s\t%.0f\t%.3f\t%.3f\t%.0f µs\t%.2f\t%.2f\t%+.1f\n",
			f.Route, f.Rate, f.RateToSame, f.RateToDefaults, f.P99, f.P99ToSame, f.P99ToDefaults, f.MoreAllocs)
	}
	return t.Flush()
}
