package apikeyinject

// This file holds how a route and its integration become one.

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
)

// target is an integration as the requests of a route use it: what both say,
// merged and compiled. Apart from what it remembers it does not change.
type target struct {
	integration *Integration
	plan        *plan
	label       string
	labelValue  any // label, boxed once

	allow       [2]*Allow // the integration's and the route's; both must fit
	restricted  bool      // not everyone who reaches the route may call
	caller      string
	stripPrefix string
	config      map[string]string
	base        *inject.Base // by config

	refused      []int      // statuses that refuse a key; none: off
	replayBuffer int64      // bytes
	readHeaders  []string   // headers that caller and connection read
	leaves       [][]string // see leftOut

	audit    bool
	counters counters

	keys     *keyring.View
	fixed    *keyring.Entry // without a connection
	rendered atomic.Pointer[rendered]
}

// resolveIntegration finds the integration and compiles it.
func (h *Handler) resolveIntegration(app *App) (*target, error) {
	if h.Name == "" {
		p, err := h.compile()
		if err != nil {
			return nil, err
		}
		return &target{integration: &h.Integration, plan: p, label: h.LabelAs}, nil
	}
	if err := checkName(h.Name); err != nil {
		return nil, &fieldError{"integration", err}
	}
	if own := h.ownFields(); len(own) > 0 {
		return nil, wrong(own[0], "is not allowed beside integration %q: it belongs into the integration", h.Name)
	}
	if h.LabelAs != "" {
		return nil, wrong("label_as", "is not allowed beside integration %q, which is the label", h.Name)
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	integration, plan, err := app.integration(h.Name)
	if err != nil {
		return nil, &fieldError{"integration", err}
	}
	return &target{integration: integration, plan: plan, label: h.Name}, nil
}

// checkName refuses an integration given by placeholder.
func checkName(name string) error {
	if strings.ContainsAny(name, "{}") {
		return fmt.Errorf("%q holds a placeholder; the integration of a route is fixed", name)
	}
	return nil
}

// merge fills in what the route and its integration say together.
func (t *target) merge(h *Handler) (err error) {
	repl := caddy.NewReplacer()
	if err := t.configure(h); err != nil {
		return err
	}
	t.label = firstSet(t.label, t.base.Host)
	t.labelValue = t.label
	t.stripPrefix = firstSet(h.StripPrefix, t.integration.StripPrefix)
	t.caller = firstSet(h.Caller, t.integration.Caller)
	if t.integration != &h.Integration {
		if t.allow[0], err = t.integration.Allow.expanded(repl); err != nil {
			return err
		}
	}
	if t.allow[1], err = h.Allow.expanded(repl); err != nil {
		return err
	}
	t.restricted = t.allow[0].restricts() || t.allow[1].restricts()
	t.refused, t.replayBuffer = defaultRefused, defaultReplayBuffer
	if t.integration.RefusedStatuses != nil {
		t.refused = t.integration.RefusedStatuses
	}
	if n := t.integration.ReplayBuffer; n != nil {
		t.replayBuffer = *n
	}
	for _, on := range []*bool{t.integration.Audit, h.Audit} {
		if on != nil {
			t.audit = *on
		}
	}
	if err := checkConnectionKey(h.Connection, t.integration.Key); err != nil {
		return err
	}
	t.readHeaders = append(headersRead(t.caller), headersRead(h.Connection)...)
	t.leaves = t.leftOut()
	t.counters = newCounters(t.label)
	return nil
}

// configure fills in what ${connectionConfig.NAME} stands for.
func (t *target) configure(h *Handler) (err error) {
	t.config = maps.Clone(t.integration.ConnectionConfig)
	if t.config == nil {
		t.config = map[string]string{}
	}
	maps.Copy(t.config, h.ConnectionConfig)
	t.base, err = t.plan.resolve(t.config)
	return err
}

// resolve returns the base URL for these values of ${connectionConfig.NAME}.
// The error is a [*fieldError].
func (p *plan) resolve(config map[string]string) (*inject.Base, error) {
	for _, name := range p.template.Fields() {
		if config[name] == "" {
			return nil, wrong("value_template", "needs ${connectionConfig.%s}, and connection_config has no %q", name, name)
		}
	}
	base, err := p.base.Resolve(config)
	var missing *inject.MissingFieldError
	if errors.As(err, &missing) {
		return nil, wrong("base_url", "needs ${connectionConfig.%s}, and connection_config has no %q", missing.Name, missing.Name)
	}
	if err != nil {
		return nil, &fieldError{"connection_config", err}
	}
	return base, nil
}

func firstSet(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
