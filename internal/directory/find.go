// This file holds the request path: from names to rows.

package directory

import (
	"context"
	"errors"
	"fmt"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// Integration returns the integration of a unique key. It does no I/O and takes
// no lock.
func (d *Directory) Integration(uniqueKey string) (*Integration, bool) {
	i, ok := (*d.integrations.Load())[uniqueKey]
	return i, ok
}

// Connection returns a connection. One that is held costs neither I/O, nor a
// lock, nor an allocation; one that is not, or that was changed, is read once
// for all who wait for it.
//
// The error is a [catalog.ErrNotFound], remembered for five seconds; ctx's own
// when it ended first; and a [catalog.ErrUnavailable] when nothing is held and
// the catalog cannot be asked.
func (d *Directory) Connection(ctx context.Context, integration, id string) (*Connection, error) {
	if s := d.slot(key{integration, id}); s != nil && !s.changed.Load() {
		if !s.touched.Load() { // written rarely, read by all
			s.touched.Store(true)
		}
		return s.row.Load(), nil
	}
	c, err := d.cold(ctx, key{integration, id})
	if err != nil {
		return nil, fmt.Errorf("looking up the connection %q of %q: %w", id, integration, err)
	}
	return c, nil
}

func (d *Directory) slot(k key) *slot {
	if s, ok := d.connections.Load(k); ok {
		return s.(*slot)
	}
	return nil
}

func (d *Directory) cold(ctx context.Context, k key) (*Connection, error) {
	if k.id == "" { // would name the integration
		return nil, catalog.ErrNotFound
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, f, err := d.ask(k)
	if f == nil {
		return c, err
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if f.err == nil || errors.Is(f.err, catalog.ErrNotFound) {
		return f.connection, f.err
	}
	if s := d.slot(k); s != nil {
		return s.row.Load(), nil
	}
	return nil, f.err
}

// ask returns what can be said of k at once, or else a flight to wait for.
func (d *Directory) ask(k key) (*Connection, *flight, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.slot(k)
	if s != nil && !s.changed.Load() { // it has come meanwhile
		return s.row.Load(), nil, nil
	}
	if s == nil && d.unknown.has(k, d.opts.Now()) {
		return nil, nil, catalog.ErrNotFound
	}
	o := d.outage.Load()
	if o == nil {
		if f := d.join(k); f != nil {
			return nil, f, nil
		}
	}
	switch {
	case s != nil:
		return s.row.Load(), nil, nil
	case o != nil:
		return nil, nil, o.Err
	}
	return nil, nil, fmt.Errorf("%w: %w", catalog.ErrUnavailable, errClosed)
}
