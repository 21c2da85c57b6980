// This file holds how a row is read: one flight at a time, whoever asks.

package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// foreground bounds the reads that requests wait for at once, so that ids made
// up by callers take neither all memory nor all connections to a database.
const foreground = 64

// flight is the read of one row. Connection and err are set before done is
// closed.
type flight struct {
	key        key
	queued     bool // begun by the queue
	overtaken  bool // the row was changed since the read began; guarded by mu
	done       chan struct{}
	connection *Connection // nil for an integration
	err        error
}

// row is what a read brings: one of both.
type row struct {
	integration *catalog.Integration
	connection  *catalog.Connection
}

// join returns the flight of k under way, or begins one that its waiters may
// all leave. It is nil when the directory is closed. The lock is held.
func (d *Directory) join(k key) *flight { return d.begin(k, false) }

func (d *Directory) begin(k key, queued bool) *flight {
	if f := d.flights[k]; f != nil {
		return f
	}
	if d.closed {
		return nil
	}
	// The caller's strings may be parts of a request.
	k = key{strings.Clone(k.integration), strings.Clone(k.id)}
	f := &flight{key: k, queued: queued, done: make(chan struct{})}
	d.flights[k] = f
	d.running.Go(func() {
		for over := false; !over; { // few rounds: each takes a write during a read
			r, err := d.read(f)
			over = d.land(f, r, err)
		}
	})
	return f
}

// read returns the row, its absence as a [catalog.ErrNotFound], or a
// [catalog.ErrUnavailable].
func (d *Directory) read(f *flight) (r row, err error) {
	ctx, cancel := context.WithTimeout(d.ctx, readTimeout)
	defer cancel()
	if !f.queued { // the queue has a bound of its own
		select {
		case d.places <- struct{}{}:
			defer func() { <-d.places }()
		case <-ctx.Done():
			return row{}, fmt.Errorf("%w: too many reads are waited for", catalog.ErrUnavailable)
		}
	}
	if f.key.id == "" {
		r.integration, err = d.catalog.Integration(ctx, f.key.integration)
	} else {
		r.connection, err = d.catalog.Connection(ctx, f.key.integration, f.key.id)
	}
	return r, classed(err)
}

// classed makes of every error that is no answer a [catalog.ErrUnavailable].
func classed(err error) error {
	if err == nil || errors.Is(err, catalog.ErrNotFound) || errors.Is(err, catalog.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", catalog.ErrUnavailable, err)
}

// land publishes what f brought and reports whether the flight is over. It is
// not when the row was changed after the read began: what was read may be older
// than the change, and nobody would tell again.
func (d *Directory) land(f *flight, r row, err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	gone := errors.Is(err, catalog.ErrNotFound)
	if f.overtaken && (err == nil || gone) {
		f.overtaken = false
		return false
	}
	switch {
	case f.key.id == "" && gone:
		d.putIntegration(f.key.integration, nil)
	case gone:
		d.drop(f.key)
		d.unknown.add(f.key, d.opts.Now())
	case err != nil:
		d.unread(f.key)
	case f.key.id == "":
		d.putIntegration(f.key.integration, r.integration)
	default:
		f.connection = d.putConnection(r.connection)
	}
	f.err = err
	delete(d.flights, f.key)
	if f.queued {
		d.flying--
	}
	close(f.done)
	d.pump()
	return true
}
