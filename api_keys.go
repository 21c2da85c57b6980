package apikeyinject

// This file holds how the API enters and removes keys, and what becomes of
// writes that a crash cut off.

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/apikeyinject/caddy-apikey-inject/internal/api"
	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/custody"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// sweepEvery parts two looks for writes that a crash cut off.
const sweepEvery = time.Minute

// learnBudget bounds what the use of an entered key waits for its row.
const learnBudget = 2 * time.Second

// apiKeys enters and removes keys.
type apiKeys struct{ *App }

// custody returns what keeps keys and descriptions together.
func (a *App) custody() (*custody.Custody, error) {
	open, err := a.open()
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.keeper == nil || a.keptIn != open {
		a.keptIn = open
		a.keeper = custody.New(custody.Config{
			Catalog: open.db, Place: a.place, Configured: a.configures, Learn: a.learn, Forget: a.forget,
		})
	}
	return a.keeper, nil
}

// configures tells whether an integration is one of the Caddy configuration.
func (a *App) configures(key string) bool { return a.Integrations[key] != nil }

// keyOf says where the key of a connection is.
func (a *App) keyOf(integration string) *KeyReference {
	if i := a.Integrations[integration]; i != nil && i.Key != nil && i.Key.perConnection() {
		return i.Key
	}
	return a.keyOfConnection(integration)
}

func (a *App) place(integration, id string) (store.Store, store.Address, string, error) {
	ref := a.keyOf(integration)
	v, err := a.heldView(ref.Store)
	if err != nil {
		return nil, store.Address{}, "", err
	}
	return v.ring.store, ref.address(id), ref.Field, nil
}

// learn has this node use a key that was just entered. Its connection's row comes
// first: by the row before, the key could still go where the connection led
// then.
func (a *App) learn(integration, id string, d *store.Document) {
	if open, err := a.open(); err == nil {
		ctx, cancel := context.WithTimeout(a.ctx, learnBudget)
		defer cancel()
		_ = open.dir.Refresh(ctx, integration, id) // it hears of the change anyway
	}
	ref := a.keyOf(integration)
	if v, err := a.heldView(ref.Store); err == nil {
		v.ring.Learn(ref.address(id), d)
	}
}

func (a *App) forget(integration, id string) {
	ref := a.keyOf(integration)
	if v, err := a.heldView(ref.Store); err == nil {
		v.ring.Invalidate(ref.address(id))
	}
}

// Enter implements [api.Keys].
func (a apiKeys) Enter(ctx context.Context, c *catalog.Connection, key secret.Value) error {
	keeper, err := a.custody()
	if err != nil {
		return err
	}
	if c.Origin, err = a.originOf(ctx, c.Integration); err != nil {
		return err
	}
	err = a.write(ctx, c.Integration, c.ID, func(*catalog.DB) error { return keeper.Enter(ctx, c, key) })
	if err == nil {
		a.tellEntered(c)
	}
	return err
}

// originOf says where keys that are entered now may go.
func (a *App) originOf(ctx context.Context, integration string) (string, error) {
	if p := a.plans[integration]; p != nil {
		return p.base.Origin(), nil
	}
	i, err := apiCatalog{a}.Integration(ctx, integration)
	if err != nil {
		return "", err
	}
	return originOf(i.BaseURL), nil
}

// Remove implements [api.Keys].
func (a apiKeys) Remove(ctx context.Context, integration, id string) error {
	keeper, err := a.custody()
	if err != nil {
		return err
	}
	return a.write(ctx, integration, id, func(*catalog.DB) error { return keeper.Remove(ctx, integration, id) })
}

// Destroy implements [api.Keys].
func (a apiKeys) Destroy(ctx context.Context, gone []catalog.Connection) error {
	keeper, err := a.custody()
	if err != nil {
		return err
	}
	err = keeper.Destroy(ctx, gone)
	for _, c := range gone {
		err = errors.Join(err, a.write(ctx, c.Integration, c.ID, func(*catalog.DB) error { return nil }))
	}
	return err
}

// keepSwept has one sweep run, however many parts of the configuration write.
func (a *App) keepSwept() { a.sweeping.Do(func() { go a.sweep() }) }

// sweep ends what crashes cut off, for as long as this configuration runs.
func (a *App) sweep() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if keeper, err := a.custody(); err == nil {
			done, err := keeper.Sweep(a.ctx)
			switch {
			case a.ctx.Err() != nil:
				return
			case err != nil:
				a.logger.Warn("ending writes of keys that were cut off", zap.Error(err))
			case done != custody.Swept{}:
				a.logger.Info("ended writes of keys that were cut off", zap.Any("swept", done))
			}
			a.pruneSessions()
		}
		select {
		case <-a.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Interface guard
var _ api.Keys = apiKeys{}
