package apikeyinject

// This file holds how it is told that keys grow older than a max_age.

import (
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

const (
	// agesEvery parts two looks at the keys of the configuration.
	agesEvery = 10 * time.Second

	// catalogAgesEvery is how many of these there are to a look at the
	// connections', in the catalog.
	catalogAgesEvery = 6
)

// agedKey is a key of the configuration that is to be replaced in time.
type agedKey struct {
	store   string
	address store.Address
	maxAge  time.Duration
}

// toldAges is how far keys had come when it was told last. It belongs to the
// process: a reload tells nothing again.
var toldAges sync.Map // of text to keyring.Lifetime

// ages adds the key of an integration to those that are looked at.
func (a *App) ages(i *Integration) {
	if i.MaxAge == 0 || i.Key == nil || i.Key.perConnection() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.aged = append(a.aged, agedKey{firstSet(i.Key.Store, a.DefaultStore), i.Key.address(""), time.Duration(i.MaxAge)})
}

// keepAges tells of keys that grow old, for as long as this configuration runs.
func (a *App) keepAges() {
	if len(a.aged) == 0 && a.opened.Load() == nil {
		return
	}
	go func() {
		tick := time.NewTicker(agesEvery)
		defer tick.Stop()
		for n := 0; ; n++ {
			a.tellOwnAges()
			if n%catalogAgesEvery == 0 {
				a.tellConnectionAges()
			}
			select {
			case <-a.ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
}

// tellOwnAges tells of the configuration's keys, by what this node holds.
func (a *App) tellOwnAges() {
	for _, k := range a.aged {
		v := a.viewNow(k.store)
		if v == nil || v.ring.newest() != a {
			continue
		}
		st := v.Peek(k.address)
		if st.CreatedAt.IsZero() {
			continue // not read yet, or its store does not say
		}
		ends := st.CreatedAt.Add(k.maxAge)
		l := keyring.LifetimeOf(st.CreatedAt, ends, time.Now())
		id := fmt.Sprintf("%s\n%s\n%d\n%s\n%s", a.modules[k.store].identity(), k.address, st.Version, st.CreatedAt, k.maxAge)
		if l == keyring.Unlimited {
			continue
		}
		if was, _ := toldAges.Swap(id, l); was == l {
			continue
		}
		a.observer(k.store, v.ring)(keyring.Event{Kind: l.Kind(), Address: k.address, Version: st.Version, Expires: ends})
	}
}

// tellConnectionAges tells of the connections' keys, by what the catalog knows.
func (a *App) tellConnectionAges() {
	p := a.opened.Load()
	if p == nil {
		return
	}
	open := p.ready.Load()
	if open == nil || open.dir.Ready(a.ctx) != nil {
		return
	}
	tell := func(key string, maxAge time.Duration) {
		if maxAge == 0 {
			return
		}
		soon, now := keyring.Leads(maxAge)
		if err := open.dir.TellAged(a.ctx, key, maxAge, soon, now); err != nil && a.ctx.Err() == nil {
			a.logger.Warn("looking for keys that grow old", zap.String("integration", key), zap.Error(err))
		}
	}
	for key, i := range a.Integrations {
		tell(key, time.Duration(i.MaxAge))
	}
	for i := range open.dir.Integrations {
		if !a.configures(i.UniqueKey) {
			tell(i.UniqueKey, i.MaxAge)
		}
	}
}
