// This file holds who need not be asked again in a long list.

package custody

import (
	"errors"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// aways notes who was away when last asked, so that a long list does not wait
// for the same one again and again. A context that ended counts for the
// catalog, which says so.
type aways struct {
	catalog bool
	stores  map[store.Store]bool // stores are pointers
}

func (a *aways) has(p place) bool { return a.catalog || a.stores[p.store] }

func (a *aways) note(p place, err error) {
	if errors.Is(err, catalog.ErrUnavailable) {
		a.catalog = true
	}
	if errors.Is(err, store.ErrUnavailable) {
		if a.stores == nil {
			a.stores = make(map[store.Store]bool)
		}
		a.stores[p.store] = true
	}
}
