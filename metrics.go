package apikeyinject

// This file holds the figures in Caddy's metrics registry. Labels come from
// the configuration only, never from a request.

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
)

// Counters belong to the process, so that a reload does not reset them. Each
// configuration has a registry of its own and registers them anew.
var (
	requestsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "apikey_inject", Name: "requests_total",
		Help: "Requests by integration and outcome: injected, replayed, upstream_failed, or the code of the refusal.",
	}, []string{"integration", "outcome"})

	vaultRequestsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "apikey_inject", Name: "vault_requests_total",
		Help: "Requests to Vault by operation and class of the answer.",
	}, []string{"op", "class"})

	vaultRequestSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "caddy", Subsystem: "apikey_inject", Name: "vault_request_seconds",
		Help:    "Time that requests to Vault took, by operation.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	}, []string{"op"})
)

// observeVault counts one request to Vault.
func observeVault(op, class string, took time.Duration) {
	vaultRequestsTotal.WithLabelValues(op, class).Inc()
	vaultRequestSeconds.WithLabelValues(op).Observe(took.Seconds())
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

var (
	keyAge = prometheus.NewDesc("caddy_apikey_inject_key_age_seconds",
		"Time since the version of the key in use was written, where the store tells.", []string{"integration"}, nil)
	keyVersion = prometheus.NewDesc("caddy_apikey_inject_key_version",
		"Version of the key in use, 0 where the store has none.", []string{"integration"}, nil)
	keyHeld = prometheus.NewDesc("caddy_apikey_inject_key_held",
		"Whether a usable key is held: 1, or 0.", []string{"integration"}, nil)
	breakerState = prometheus.NewDesc("caddy_apikey_inject_breaker_state",
		"Whether the store is held to be away: 1, or 0.", []string{"store"}, nil)
)

// figures are the gauges of one configuration, read when they are asked for.
type figures struct{ app *App }

// Describe sends the descriptions of the gauges.
func (f figures) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{keyAge, keyVersion, keyHeld, breakerState} {
		ch <- d
	}
}

// Collect sends what the gauges stand at now.
func (f figures) Collect(ch chan<- prometheus.Metric) {
	fixed, views := f.app.watched()
	gauge := func(d *prometheus.Desc, value float64, label string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, label)
	}
	for _, label := range slices.Sorted(maps.Keys(fixed)) {
		st, held := fixed[label].entry.Status(), fixed[label].entry.Holds(fixed[label].field)
		gauge(keyHeld, boolean(held), label)
		if !held {
			continue
		}
		gauge(keyVersion, float64(st.Version), label)
		if !st.CreatedAt.IsZero() {
			gauge(keyAge, time.Since(st.CreatedAt).Seconds(), label)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(views)) {
		gauge(breakerState, boolean(views[name].Health().Down), name)
	}
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// watchedKey is a key that a configuration names.
type watchedKey struct {
	entry *keyring.Entry
	field string
}

// watch remembers the key of a route for the gauges.
func (a *App) watch(label, field string, e *keyring.Entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fixed[label] = watchedKey{e, field}
}

// watched returns copies of what the gauges look at.
func (a *App) watched() (map[string]watchedKey, map[string]*heldView) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.fixed), maps.Clone(a.views)
}

// registerMetrics registers everything with a configuration's registry.
func (a *App) registerMetrics(ctx caddy.Context) error {
	return register(ctx.GetMetricsRegistry(), requestsTotal, vaultRequestsTotal, vaultRequestSeconds, figures{a})
}

// counters are the counters of one integration, looked up once.
type counters map[string]prometheus.Counter

const (
	// maxLabels bounds the integrations with counters of their own: those that
	// are made through the API are without number.
	maxLabels = 1000

	// otherLabel is what the others are counted under.
	otherLabel = "other"
)

var labelled = struct {
	sync.Mutex
	counters map[string]counters
}{counters: make(map[string]counters)}

// countersOf returns the counters of a label.
func countersOf(label string) counters {
	labelled.Lock()
	defer labelled.Unlock()
	if _, ok := labelled.counters[label]; !ok && len(labelled.counters) >= maxLabels {
		label = otherLabel
	}
	c, ok := labelled.counters[label]
	if !ok {
		c = make(counters, len(outcomes))
		for _, o := range outcomes {
			c[o] = requestsTotal.WithLabelValues(label, o)
		}
		labelled.counters[label] = c
	}
	return c
}

func (c counters) count(outcome string) {
	if n, ok := c[outcome]; ok {
		n.Inc()
	}
}
