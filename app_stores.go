package apikeyinject

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vault"
)

// This file holds the stores of a configuration: their modules, and its views of
// the rings behind them.

// keyStore is what a module in the namespace apikey_inject.stores implements.
type keyStore interface {
	caddy.Module

	// identity says which secrets the store shows: two stores with the same
	// identity share what they have cached. It holds no secret.
	identity() string

	// open makes the client. It does no I/O.
	open() (store.Store, error)

	// start readies the client, which an earlier configuration may have made.
	// Only what will not go by itself is an error.
	start(ctx context.Context, s store.Store) error

	// prefix is what the paths of connections' keys begin with.
	prefix() string

	// options are this configuration's own.
	options() keyring.Options

	// eager tells whether the configuration must not start without its keys.
	eager() bool
}

// heldView is a view with the ring it keeps alive.
type heldView struct {
	*keyring.View
	ring *pooledRing
	deaf func() // ends what the store's client tells; nil: it tells nothing
}

// end gives a view and its ring back.
func (v *heldView) end(a *App) {
	v.Close()
	if v.deaf != nil {
		v.deaf()
	}
	v.ring.leave(a)
	v.ring.release()
}

func (a *App) loadStores(ctx caddy.Context) error {
	if len(a.StoresRaw) == 0 {
		a.StoresRaw = map[string]json.RawMessage{"vault": json.RawMessage(`{"store":"vault"}`)}
	}
	var err error
	if a.catalogConfig, err = a.Catalog.config(); err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(a.StoresRaw))
	mods, err := ctx.LoadModule(a, "StoresRaw")
	if err != nil {
		return fmt.Errorf("stores: %w", err)
	}
	a.modules = make(map[string]keyStore, len(names))
	for name, mod := range mods.(map[string]any) {
		a.modules[name] = mod.(keyStore)
		if l, ok := mod.(*LocalStore); ok {
			l.catalog = a.catalogConfig
		}
	}
	if a.DefaultStore == "" && len(names) == 1 {
		a.DefaultStore = names[0]
	}
	if a.DefaultStore == "" {
		return wrong("default_store", "is required: there are several stores: %s", strings.Join(names, ", "))
	}
	if _, ok := a.modules[a.DefaultStore]; !ok {
		return wrong("default_store", "there is no store %q%s; there are %s",
			a.DefaultStore, didYouMean(a.DefaultStore, names), strings.Join(names, ", "))
	}
	for _, key := range slices.Sorted(maps.Keys(a.Integrations)) {
		if a.Integrations[key].Key == nil {
			continue
		}
		if err := a.checkStore(a.Integrations[key].Key.Store); err != nil {
			return fmt.Errorf("integrations.%s.key.store: %w", key, err)
		}
	}
	return nil
}

// checkStore refuses the name of a store that is not there.
func (a *App) checkStore(name string) error {
	return checkStoreName(name, slices.Sorted(maps.Keys(a.modules)))
}

// checkStoreNames is checkStore for a configuration that is still being
// parsed.
func (a *App) checkStoreNames(name string) error {
	names := slices.Sorted(maps.Keys(a.StoresRaw))
	if len(names) == 0 {
		names = []string{"vault"}
	}
	return checkStoreName(name, names)
}

func checkStoreName(name string, names []string) error {
	if name == "" || slices.Contains(names, name) {
		return nil
	}
	return fmt.Errorf("there is no store %q%s; there are %s", name, didYouMean(name, names), strings.Join(names, ", "))
}

// view returns this configuration's view of a store's ring. The app alone
// acquires rings, and releases in Cleanup what it acquired.
func (a *App) view(name string) (*keyring.View, error) {
	v, err := a.heldView(name)
	if err != nil {
		return nil, err
	}
	return v.View, nil
}

func (a *App) heldView(name string) (*heldView, error) {
	if name == "" {
		name = a.DefaultStore
	}
	if err := a.checkStore(name); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if v, ok := a.views[name]; ok {
		return v, nil
	}
	mod := a.modules[name]
	ring, err := acquireRing(mod)
	if err != nil {
		return nil, err
	}
	opts := mod.options()
	opts.Observe = a.observer(name, ring)
	v := &heldView{View: ring.View(opts), ring: ring}
	if a.started { // an integration that a request chose is the first in this store
		if err := a.startStore(a.ctx, name, v); err != nil {
			ring.release()
			return nil, err
		}
	}
	if a.ended { // lingers for the requests that still run
		v.end(a)
		return v, nil
	}
	a.views[name] = v
	return v, nil
}

func (a *App) startStores() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	quieten()
	ctx, cancel := context.WithTimeout(a.ctx, openBudget)
	defer cancel()
	for name, v := range a.views {
		if err := a.startStore(ctx, name, v); err != nil {
			return err
		}
	}
	a.started = true
	return nil
}

func (a *App) startStore(ctx context.Context, name string, v *heldView) error {
	if err := a.modules[name].start(ctx, v.ring.store); err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	v.ring.join(a)
	if c, ok := v.ring.store.(*vault.Client); ok {
		v.deaf = c.OnToken(a.observeToken(name, v.ring))
	}
	v.Start()
	return nil
}
