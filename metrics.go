package apikeyinject

// This file holds how figures come into Caddy's metrics registry. Labels come
// from the configuration and the catalog's integrations only, never from a
// request.

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyserver/caddy/v2"
)

// figure is how every name of ours begins.
const figure = "caddy_apikey_inject_"

// processFigures are the counters and histograms. They belong to the process, so
// that a reload does not reset them. Each configuration has a registry of its
// own and registers them anew.
var processFigures = []prometheus.Collector{
	requestsTotal, authFailuresTotal, replaysTotal,
	vaultRequestsTotal, vaultRequestSeconds, vaultLoginsTotal,
	catalogQueriesTotal, catalogQuerySeconds,
	apiRequestsTotal, sessionsTotal,
	verificationsTotal, webhooksTotal, alertsTotal,
}

// registerMetrics registers everything with a configuration's registry.
func (a *App) registerMetrics(ctx caddy.Context) error {
	return register(ctx.GetMetricsRegistry(), append(slices.Clip(processFigures), figures{a})...)
}

// register registers collectors and tolerates those that are there.
func register(reg prometheus.Registerer, cs ...prometheus.Collector) error {
	var dup prometheus.AlreadyRegisteredError
	for _, c := range cs {
		if err := reg.Register(c); err != nil && !errors.As(err, &dup) {
			return fmt.Errorf("registering metrics: %w", err)
		}
	}
	return nil
}

// waits are buckets from a millisecond to the longest that anything waits.
var waits = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}

const (
	// maxLabels bounds the integrations with figures of their own: those that
	// are made through the API are without number.
	maxLabels = 1000

	// otherLabel is what the others are counted under.
	otherLabel = "other"
)

// labelled are the integrations with figures of their own: the first ones that
// this process met.
var labelled = struct {
	sync.Mutex
	counters map[string]*counters
}{counters: make(map[string]*counters)}

// labelOf returns what an integration is called in figures.
func labelOf(integration string) string { return countersOf(integration).label }

// countersOf returns the counters of an integration.
func countersOf(label string) *counters {
	labelled.Lock()
	defer labelled.Unlock()
	if _, ok := labelled.counters[label]; !ok && len(labelled.counters) > maxLabels { // with nobody, which is no integration and the first
		label = otherLabel
	}
	c, ok := labelled.counters[label]
	if !ok {
		c = newCounters(label)
		labelled.counters[label] = c
	}
	return c
}
