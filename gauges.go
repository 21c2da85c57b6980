package apikeyinject

// This file holds the figures that are read when they are asked for: how keys
// and stores of one configuration are doing.

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vault"
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(figure+name, help, labels, nil)
}

var (
	keyAge     = describe("key_age_seconds", "Time since the version of the key in use was written, where the store tells.", "integration")
	keyVersion = describe("key_version", "Version of the key in use, 0 where the store has none.", "integration")
	keyHeld    = describe("key_held", "Whether a usable key is held: 1, or 0.", "integration")
	keyStale   = describe("key_stale_seconds", "How long the key in use is past its ttl without a reading.", "integration")
	keyRefused = describe("key_refused", "Whether the upstream refuses the newest key: 1, or 0.", "integration")

	breakerState = describe("breaker_state", "Whether the store is held to be away: 1, or 0.", "store")
	storeStale   = describe("store_stale_seconds", "How long the oldest key in use is past its ttl without a reading.", "store")
	keysByState  = describe("keys", "Keys by state: fresh, stale, old, dead, or missing where the configuration names them.", "store", "state")
	keyLookups   = describe("key_lookups_total", "Requests for keys by what was held: fresh, stale, old, or missing.", "store", "state")
	keyReads     = describe("key_reads_total", "Readings of keys by result: first, changed, unchanged, or the class of the failure.", "store", "result")
	keyEvictions = describe("key_evictions_total", "Customer keys let go of, because they were idle or too many (full).", "store", "reason")
	tokenTTL     = describe("vault_token_ttl_seconds", "Time until the token for Vault ends, where it does.", "store")

	catalogUp          = describe("catalog_up", "Whether the catalog can be asked: 1, or 0.")
	catalogConnections = describe("catalog_connections", "Connections of the catalog that are held in memory.")
)

// figures are the gauges of one configuration.
type figures struct{ app *App }

// Describe sends the descriptions of the gauges.
func (f figures) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		keyAge, keyVersion, keyHeld, keyStale, keyRefused,
		breakerState, storeStale, keysByState, keyLookups, keyReads, keyEvictions, tokenTTL,
		catalogUp, catalogConnections,
	} {
		ch <- d
	}
}

// collected is where collected figures go.
type collected struct{ ch chan<- prometheus.Metric }

func (c collected) gauge(d *prometheus.Desc, value float64, labels ...string) {
	c.ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func (c collected) counters(d *prometheus.Desc, store string, values map[string]uint64) {
	for label, n := range values {
		c.ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), store, label)
	}
}

// Collect sends what the gauges stand at now.
func (f figures) Collect(ch chan<- prometheus.Metric) {
	out := collected{ch}
	uses, views := f.app.inUse()
	for label, k := range standings(uses) {
		k.send(out, label)
	}
	for name, v := range views {
		collectStore(out, name, v)
	}
	if p := f.app.opened.Load(); p != nil {
		collectCatalog(out, p)
	}
}

func collectStore(out collected, name string, v *heldView) {
	out.gauge(breakerState, boolean(v.Health().Down), name)
	ages := v.Ages()
	out.gauge(storeStale, ages.Stale.Seconds(), name)
	for state, n := range ages.States {
		out.gauge(keysByState, float64(n), name, state)
	}
	c := v.Counts()
	out.counters(keyLookups, name, c.Lookups)
	out.counters(keyReads, name, c.Reads)
	out.counters(keyEvictions, name, c.Evicted)
	if c, ok := v.ring.store.(*vault.Client); ok {
		if ends := c.Status().TokenEnds; !ends.IsZero() {
			out.gauge(tokenTTL, max(0, time.Until(ends).Seconds()), name)
		}
	}
}

func collectCatalog(out collected, p *pooledCatalog) {
	open := p.ready.Load()
	if open == nil {
		out.gauge(catalogUp, 0)
		return
	}
	st := open.dir.Status()
	out.gauge(catalogUp, boolean(st.Outage == nil))
	out.gauge(catalogConnections, float64(st.Connections))
}

// standing is how a key that the configuration names is doing, or the worst of
// those that share a label.
type standing struct {
	held, aged, refused bool
	version             int
	age, stale          time.Duration
}

// standings returns how the keys are doing that routes name, by the labels of their
// integrations. A key that several routes use is one.
func standings(uses []*keyUse) map[string]*standing {
	type key struct {
		label string
		entry *keyring.Entry
		field string
	}
	all := make(map[string]*standing, len(uses))
	seen := make(map[key]bool, len(uses))
	for _, u := range uses {
		if u.entry == nil { // chosen per request
			continue
		}
		k := key{labelOf(u.label), u.entry, u.key.Field}
		if seen[k] {
			continue
		}
		seen[k] = true
		now := standingOf(u)
		if was, ok := all[k.label]; ok {
			now.join(was)
		}
		all[k.label] = now
	}
	return all
}

func standingOf(u *keyUse) *standing {
	st, held := u.entry.Status(), u.entry.Holds(u.key.Field)
	s := &standing{held: held, refused: st.Rejected, version: st.Version, stale: u.entry.Stale()}
	if held && !st.CreatedAt.IsZero() {
		s.aged, s.age = true, time.Since(st.CreatedAt)
	}
	return s
}

func (s *standing) join(o *standing) {
	s.held, s.aged, s.refused = s.held && o.held, s.aged || o.aged, s.refused || o.refused
	s.version = 0 // of which?
	s.age, s.stale = max(s.age, o.age), max(s.stale, o.stale)
}

func (s *standing) send(out collected, label string) {
	out.gauge(keyHeld, boolean(s.held), label)
	out.gauge(keyRefused, boolean(s.refused), label)
	out.gauge(keyStale, s.stale.Seconds(), label)
	if s.held {
		out.gauge(keyVersion, float64(s.version), label)
	}
	if s.aged {
		out.gauge(keyAge, s.age.Seconds(), label)
	}
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
