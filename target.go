package apikeyinject

// This file holds how a route and its integration become one.

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
)

// target is an integration as the requests of a route use it: what both say,
// merged and compiled. Apart from what it remembers it does not change.
type target struct {
	integration *Integration
	plan        *plan
	key         string // unique key; empty for an integration that has no name
	ofAPI       bool   // made through the API
	origin      string // where its keys may go, if so
	ofGateway   bool   // as the gateway's callers use it
	label       string
	labelValue  any // label, boxed once

	allow       [2]*Allow // the integration's and the route's; both must fit
	restricted  bool      // not everyone who reaches the route may call
	caller      string
	stripPrefix string
	config      map[string]string

	// base is the base URL by config. Where config lacks something it is nil,
	// and incomplete says what.
	base       *inject.Base
	incomplete error

	refused      []int      // statuses that refuse a key; none: off
	refusedAfter int        // how many of them in a row count
	replayBuffer int64      // bytes
	readHeaders  []string   // headers that caller and connection read
	leaves       [][]string // see leftOut

	audit    bool
	counters *counters
	logger   *zap.Logger

	// via is the base transport, where it is not the route's own.
	via http.RoundTripper

	// keys are the connections', and each is where they are; catalogued tells
	// that these are in the catalog, and not only in a store.
	keys       *keyring.View
	each       *KeyReference
	catalogued bool

	own      *keyring.Entry // the integration's own key; nil: it has none
	rendered atomic.Pointer[rendered]
}

// resolveIntegration finds the integration and compiles it.
func (h *Handler) resolveIntegration(app *App) (*target, error) {
	if h.Name == "" {
		p, err := h.compile()
		if err != nil {
			return nil, err
		}
		if h.Key == nil {
			return nil, errNoKey
		}
		return &target{integration: &h.Integration, plan: p, label: h.LabelAs}, nil
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
	return &target{integration: integration, plan: plan, key: h.Name, label: h.Name}, nil
}

// errNoKey says that an integration has neither a key of its own nor
// connections that have one.
var errNoKey = wrong("key", "is required: the path of the document that holds the key, and its field")

// merge fills in what the route and its integration say together.
func (t *target) merge(h *Handler) (err error) {
	repl := caddy.NewReplacer()
	if err := t.configure(h); err != nil {
		return err
	}
	if t.label == "" && t.base != nil {
		t.label = t.base.Host
	}
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
	t.refused, t.replayBuffer, t.refusedAfter = defaultRefused, defaultReplayBuffer, max(1, t.integration.RefusedAfter)
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
	t.ofGateway, t.logger = h.gateway, h.logger
	t.readHeaders = headersRead(t.caller + h.Connection + h.Name)
	t.leaves = t.leftOut()
	t.counters = countersOf(t.label)
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
	if errors.Is(err, errIncomplete) {
		t.incomplete = err
		return nil
	}
	return err
}

// open finds the keys.
func (t *target) open(app *App) (err error) {
	key := t.integration.Key
	switch {
	case key == nil || !key.perConnection():
		t.each = app.keyOfConnection(t.key)
	default:
		t.each = key
	}
	if t.keys, err = app.view(t.each.Store); err != nil {
		return &fieldError{"key.store", err}
	}
	if key != nil && !key.perConnection() {
		own, err := app.view(key.Store)
		if err != nil {
			return &fieldError{"key.store", err}
		}
		t.own = own.Pin(key.address(""))
	}
	return nil
}

// field is where the integration's own key is in its document, or a
// connection's.
func (t *target) field(ofConnection bool) string {
	if ofConnection {
		return t.each.Field
	}
	return t.integration.Key.Field
}

// errIncomplete says that a connection has to say more.
var errIncomplete = errors.New("connection_config is incomplete")

// incompleteError is an errIncomplete that names what is missing.
type incompleteError struct{ *fieldError }

// Is makes it an errIncomplete.
func (incompleteError) Is(target error) bool { return target == errIncomplete }

// Unwrap gives the field.
func (e incompleteError) Unwrap() error { return e.fieldError }

// resolve returns the base URL for these values of ${connectionConfig.NAME}.
// The errors are [*fieldError]s; what is missing is an errIncomplete.
func (p *plan) resolve(config map[string]string) (*inject.Base, error) {
	missing := func(field, name string) error {
		return incompleteError{&fieldError{field, fmt.Errorf("needs ${connectionConfig.%s}, and connection_config has no %q", name, name)}}
	}
	for _, name := range p.template.Fields() {
		if config[name] == "" {
			return nil, missing("value_template", name)
		}
	}
	base, err := p.base.Resolve(config)
	if absent, ok := errors.AsType[*inject.MissingFieldError](err); ok {
		return nil, missing("base_url", absent.Name)
	}
	if bad, ok := errors.AsType[*inject.FieldError](err); ok {
		return nil, wrong("connection_config."+bad.Name, "%s", bad.Reason)
	}
	return base, err
}

func firstSet(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
