package apikeyinject

// This file holds how a key is tried before it is entered.

import (
	"context"
	"maps"

	"go.uber.org/zap"

	"github.com/apikeyinject/caddy-apikey-inject/internal/api"
	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/directory"
	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// apiTrials try keys for the API.
type apiTrials struct{ *App }

// Try implements [api.Trials].
func (a apiTrials) Try(ctx context.Context, i *catalog.Integration, c *catalog.Connection, key secret.Value) api.Verdict {
	t, err := a.trier()
	if err == nil {
		var ex *exchange
		if ex, err = t.entering(i, c, key); err == nil {
			return t.try(ctx, ex)
		}
	}
	a.logger.Warn("trying a key", zap.String("integration", i.UniqueKey), zap.String("connection", c.ID), zap.Error(err))
	return api.NoVerdict
}

// entering returns the exchange of a key that is to be entered. It leads where
// the integration leads by the row that the caller read: this node may not have
// heard of its last change.
func (t *trier) entering(i *catalog.Integration, c *catalog.Connection, key secret.Value) (*exchange, error) {
	to, err := t.leads(i)
	if err != nil {
		return nil, err
	}
	config := to.config
	if len(c.Config) > 0 {
		config = maps.Clone(to.config)
		maps.Copy(config, c.Config)
	}
	base, err := to.plan.resolve(config)
	if err != nil {
		return nil, err
	}
	inj, err := inject.Place(to.plan.placement, to.plan.template, key, config)
	if err != nil {
		return nil, err
	}
	return &exchange{target: to, use: use{ren: &rendered{key: &keyring.Key{Value: key}, inj: inj, base: base}}}, nil
}

// leads returns an integration as trials use it.
func (t *trier) leads(i *catalog.Integration) (*target, error) {
	if t.app.configures(i.UniqueKey) {
		to, fail := t.configured(i.UniqueKey)
		if fail != nil {
			return nil, fail
		}
		return to, nil
	}
	to, err := t.app.targetOfAPI(&directory.Integration{Integration: *i})
	if err != nil {
		return nil, err
	}
	to.via = t.chosen.guarded
	return to, to.merge(t.Handler)
}

// Interface guard
var _ api.Trials = apiTrials{}
