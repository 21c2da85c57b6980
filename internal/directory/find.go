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
	if c := d.held(key{integration, id}); c != nil && !c.changed.Load() {
		if !c.touched.Load() { // written rarely, read by all
			c.touched.Store(true)
		}
		return c, nil
	}
	c, err := d.cold(ctx, key{integration, id})
	if err != nil {
		return nil, fmt.Errorf("looking up the connection %q of %q: %w", id, integration, err)
	}
	return c, nil
}

// Peek returns what is held of a connection, nil for nothing. It is no use of it.
func (d *Directory) Peek(integration, id string) *Connection { return d.held(key{integration, id}) }

// held returns what is held of a connection, up to date or not.
func (d *Directory) held(k key) *Connection {
	if c, ok := d.connections.Load(k); ok {
		return c.(*Connection)
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
	if c := d.held(k); c != nil {
		return c, nil
	}
	return nil, f.err
}

// ask returns what can be said of k at once, or else a flight to wait for.
func (d *Directory) ask(k key) (*Connection, *flight, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.held(k)
	if c != nil && !c.changed.Load() { // it has come meanwhile
		return c, nil, nil
	}
	if c == nil && d.unknown.has(k, d.opts.Now()) {
		return nil, nil, catalog.ErrNotFound
	}
	o := d.outage.Load()
	if o == nil {
		if f := d.join(k); f != nil {
			return nil, f, nil
		}
	}
	switch {
	case c != nil:
		return c, nil, nil
	case o != nil:
		return nil, nil, o.Err
	}
	return nil, nil, fmt.Errorf("%w: %w", catalog.ErrUnavailable, errClosed)
}
