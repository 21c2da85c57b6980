package apikeyinject

// This file holds when the keys that routes name are read: before the first
// request, with it, or before the configuration is in force.

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
)

// The startup modes of a store.
const (
	startupLazy  = "lazy"
	startupWarm  = "warm"
	startupEager = "eager"
)

const (
	// eagerBudget bounds the wait for the keys of an eager start, of all stores
	// together. Orchestrators kill what takes much longer to start.
	eagerBudget = 30 * time.Second

	// eagerAtOnce bounds the keys that are waited for at once, well below the
	// 64 reads that a ring lets wait.
	eagerAtOnce = 16

	// eagerNamed bounds the keys an error names.
	eagerNamed = 5
)

// checkStartup refuses unknown modes.
func checkStartup(mode string) error {
	modes := []string{startupLazy, startupWarm, startupEager}
	if mode == "" || slices.Contains(modes, mode) {
		return nil
	}
	return fmt.Errorf("must be one of: lazy, warm, eager; not %q%s", mode, didYouMean(mode, modes))
}

// keyUse is a key as one route uses it.
type keyUse struct {
	label      string
	key        *KeyReference
	connection string         // expression; empty: the integration's own key
	entry      *keyring.Entry // nil when it is chosen per request
}

// use remembers the key of a route.
func (a *App) use(u *keyUse) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refs = append(a.refs, u)
}

// inUse returns copies of what is known of the keys of routes, and of the views of
// stores.
func (a *App) inUse() ([]*keyUse, map[string]*heldView) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.refs), maps.Clone(a.views)
}

// storeName returns the name of the store that a key is in.
func (a *App) storeName(k *KeyReference) string { return firstSet(k.Store, a.DefaultStore) }

// awaitEager waits for the keys of the stores that start eagerly. The error
// names every key that cannot be had, or the first few, and is safe to show.
func (a *App) awaitEager(ctx context.Context) error {
	refs, _ := a.inUse()
	ctx, cancel := context.WithTimeout(ctx, eagerBudget)
	defer cancel()
	errs := make([]error, len(refs))
	places := make(chan struct{}, eagerAtOnce)
	var wg sync.WaitGroup
	for i, u := range refs {
		if u.entry == nil || !a.modules[a.storeName(u.key)].eager() {
			continue
		}
		wg.Go(func() {
			places <- struct{}{} // every holder obeys ctx
			defer func() { <-places }()
			if _, err := u.entry.Await(ctx, u.key.Field); err != nil {
				errs[i] = fmt.Errorf("%s: key %s: %s: %w", u.label, u.key.address(""), keyring.ClassOf(err), err)
			}
		})
	}
	wg.Wait()
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) == 0 {
		return nil
	}
	if more := len(errs) - eagerNamed; more > 0 {
		errs = append(errs[:eagerNamed], fmt.Errorf("and %d more", more))
	}
	return fmt.Errorf("starting eagerly: %w", errors.Join(errs...))
}
