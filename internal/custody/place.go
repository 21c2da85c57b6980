// This file holds where keys are.

package custody

import (
	"context"
	"errors"
	"fmt"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// place is where the key of a connection is kept.
type place struct {
	store    store.Store
	versions store.Versioner
	address  store.Address
	field    string
}

// place finds it. A name that cannot be a segment of a path, or a store that
// tells no versions, is a [store.ErrMisconfigured].
func (c *Custody) place(who connection) (place, error) {
	for _, name := range []string{who.integration, who.id} {
		if err := store.CheckSegment(name); err != nil {
			return place{}, fmt.Errorf("placing the key of %s: %w: %w", who, err, store.ErrMisconfigured)
		}
	}
	s, a, field, err := c.cfg.Place(who.integration, who.id)
	if err != nil {
		return place{}, fmt.Errorf("placing the key of %s: %w", who, err)
	}
	versions, ok := s.(store.Versioner)
	if !ok {
		return place{}, fmt.Errorf("placing the key of %s: its store tells no versions: %w", who, store.ErrMisconfigured)
	}
	if field == "" {
		field = store.DefaultField
	}
	return place{s, versions, a, field}, nil
}

// version returns the number of the newest version, 0 for none.
func (p place) version(ctx context.Context) (int, error) {
	v, err := p.versions.Version(ctx, p.address)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	return v, err
}
