package apikeyinject

// This file holds routes whose integration is chosen per request.

import (
	"net/http"
	"sync"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/directory"
)

// targets are the integrations that a route's requests have chosen so far.
type targets struct {
	byKey sync.Map // unique key to *target, or to *madeTarget

	// The base transports of integrations that have one of their own, by
	// unique key, of those that may send keys in clear, and of those that are
	// not the operator's word.
	own      map[string]http.RoundTripper
	insecure http.RoundTripper
	guarded  http.RoundTripper
}

// madeTarget is the target of an integration that was made through the API, as
// it was at that time.
type madeTarget struct {
	*target
	of *directory.Integration
}

// nobody stands for the integration of requests that name none that there is.
const nobody = "unknown"

// provisionChoice prepares a route whose integration is chosen per request.
func (h *Handler) provisionChoice(ctx caddy.Context) (err error) {
	if h.names, err = newIDSource(h.Name, h.Allow != nil || h.gateway); err != nil {
		return &fieldError{"integration", err}
	}
	if own := h.ownFields(); len(own) > 0 {
		return wrong(own[0], "is not allowed beside an integration that is chosen per request")
	}
	if h.LabelAs != "" {
		return wrong("label_as", "is not allowed beside an integration that is chosen per request")
	}
	if err := h.check(); err != nil {
		return err
	}
	h.app.useCatalog()
	h.app.tryConnections()
	if err := h.app.useStores(); err != nil {
		return err
	}
	if !h.gateway {
		h.warnChoice(ctx)
	}
	if err := h.loadTransports(ctx); err != nil {
		return err
	}
	h.ProxyRaw, err = choiceProxyConfig(h.ProxyRaw)
	return err
}

// loadTransports loads the base transports beside the route's own.
func (h *Handler) loadTransports(ctx caddy.Context) error {
	h.chosen = &targets{own: make(map[string]http.RoundTripper)}
	var err error
	if h.chosen.guarded, err = h.app.loadBase(ctx, object{}, guardEgress); err != nil {
		return err
	}
	if h.chosen.insecure, err = h.app.loadBase(ctx, object{}, guardNothing); err != nil {
		return err
	}
	for key, i := range h.app.Integrations {
		if len(i.TransportRaw) == 0 {
			continue
		}
		o, err := baseTransport(nil, i)
		if err != nil {
			return err
		}
		if h.chosen.own[key], err = h.app.loadBase(ctx, o, guardOf(i, h.app.plans[key])); err != nil {
			return err
		}
	}
	return nil
}

// useStores has every store started that an integration of this configuration
// or of the API may keep its keys in.
func (a *App) useStores() error {
	names := []string{a.DefaultStore}
	for _, i := range a.Integrations {
		if i.Key != nil {
			names = append(names, i.Key.Store)
		}
	}
	for _, name := range names {
		if _, err := a.heldView(name); err != nil {
			return err
		}
	}
	return nil
}

// choose returns the integration of a request.
func (h *Handler) choose(r *http.Request, repl *caddy.Replacer) (*target, *failure) {
	if h.target != nil {
		return h.target, nil
	}
	name, ok := h.names.id(r, repl)
	if !ok {
		return h.app.nobody, errUnknownIntegration
	}
	return h.targetOf(name)
}

// targetOf returns the integration of that unique key, as this route uses it.
// Those of the Caddy configuration win.
func (h *Handler) targetOf(key string) (*target, *failure) {
	if _, ok := h.app.Integrations[key]; ok {
		return h.configured(key)
	}
	dir, fail := h.app.directory()
	if fail != nil {
		return h.app.nobody, fail
	}
	made, ok := dir.Integration(key)
	if !ok && !dir.Loaded() { // so nobody can say that there is none
		if !h.app.loads(dir) {
			return h.app.nobody, failUnavailable(catalogRetry)
		}
		made, ok = dir.Integration(key)
	}
	if !ok {
		h.chosen.byKey.Delete(key) // it may have been deleted
		return h.app.nobody, errUnknownIntegration
	}
	if known, ok := h.chosen.byKey.Load(key); ok {
		if m := known.(*madeTarget); m.of == made {
			return m.target, nil
		}
	}
	t, err := h.app.targetOfAPI(made)
	if err == nil {
		t.via = h.chosen.guarded
		err = h.finish(t)
	}
	if err != nil {
		h.logger.Error("using an integration of the catalog", zap.Error(err), zap.String("integration", key))
		return h.app.nobody, errUnknownIntegration
	}
	h.chosen.byKey.Store(key, &madeTarget{t, made})
	return t, nil
}

// configured returns an integration of the Caddy configuration.
func (h *Handler) configured(key string) (*target, *failure) {
	if known, ok := h.chosen.byKey.Load(key); ok {
		return known.(*target), nil
	}
	i := h.app.Integrations[key]
	t := &target{integration: i, plan: h.app.plans[key], key: key, label: key}
	switch {
	case h.chosen.own[key] != nil:
		t.via = h.chosen.own[key]
	case t.plan.base.Fixed() == nil:
		t.via = h.chosen.guarded
	case i.InsecureHTTP:
		t.via = h.chosen.insecure
	}
	if err := h.finish(t); err != nil {
		h.logger.Error("using an integration of the configuration", zap.Error(err), zap.String("integration", key))
		return h.app.nobody, errUnknownIntegration
	}
	actual, _ := h.chosen.byKey.LoadOrStore(key, t)
	return actual.(*target), nil
}

// finish merges an integration with the route, and finds its keys.
func (h *Handler) finish(t *target) error {
	if err := t.merge(h); err != nil {
		return err
	}
	if err := t.open(h.app); err != nil {
		return err
	}
	t.catalogued = t.integration.Key == nil || !t.integration.Key.perConnection()
	return nil
}
