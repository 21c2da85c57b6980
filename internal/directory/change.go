// This file holds how changes are heard of.

package directory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// Refresh reads a row that the caller has written, an integration when id is
// empty, and returns when it is published, or is gone: requests that come after
// that go by it. Without it they would as soon as the change is heard of.
func (d *Directory) Refresh(ctx context.Context, integration, id string) error {
	k := key{integration, id}
	d.mu.Lock()
	d.outdate(k)
	f := d.join(k)
	d.mu.Unlock()
	err := fmt.Errorf("%w: %w", catalog.ErrUnavailable, errClosed)
	if f != nil {
		select {
		case <-f.done:
			err = f.err
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err == nil || errors.Is(err, catalog.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("refreshing %q of %q: %w", id, integration, err)
}

// outdate notes that a row was changed: what is held of it is not used before
// it was read again, and a read under way does not count. The lock is held.
func (d *Directory) outdate(k key) {
	if f := d.flights[k]; f != nil {
		f.overtaken = true
	}
	if k.id == "" {
		if d.recent != nil {
			d.recent[k.integration] = struct{}{}
		}
		return
	}
	d.unknown.remove(k)
	if c := d.held(k); c != nil {
		c.changed.Store(true)
	}
}

// keep loads and watches until the directory ends.
func (d *Directory) keep() {
	pause := firstPause
	for d.ctx.Err() == nil {
		seq, err := d.load()
		if err == nil {
			pause = firstPause
			d.watch(seq)
			continue
		}
		d.suspect()
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-d.back:
		case <-d.ctx.Done():
		}
		t.Stop()
		pause = min(2*pause, lastPause)
	}
}

// load reads the integrations, and returns the number of the last change before
// it. Whatever was held before may have missed changes, so all of it is read
// anew; until then, or as long as the catalog is away, it stays in use.
func (d *Directory) load() (int64, error) {
	ctx, cancel := context.WithTimeout(d.ctx, loadTimeout)
	defer cancel()
	seq, err := d.catalog.LastChange(ctx)
	if err != nil {
		return 0, err
	}
	d.outdateAll()
	all, err := d.catalog.Integrations(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.putIntegrations(all)
		select {
		case <-d.loaded:
		default:
			close(d.loaded)
		}
	}
	d.recent = nil
	return seq, err
}

// outdateAll notes that anything held may have been changed.
func (d *Directory) outdateAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watching = true // from the number that was just read
	d.recent = map[string]struct{}{}
	for k := range d.flights {
		d.outdate(k)
	}
	d.unknown.clear()
	for _, s := range d.ring {
		k := s.row.key()
		d.outdate(k)
		d.casual.push(k)
	}
	d.pump()
}

// watch follows the changes after number seq until some are lost.
func (d *Directory) watch(seq int64) {
	for d.ctx.Err() == nil {
		ctx, cancel := context.WithCancel(d.ctx)
		var waiter sync.WaitGroup
		waiter.Go(func() {
			select {
			case <-d.back: // look at once; a watcher that met an error sleeps
				cancel()
			case <-ctx.Done():
			}
		})
		err := d.catalog.Watch(ctx, seq, func(changes []catalog.Change) error {
			d.heard(changes)
			seq = changes[len(changes)-1].Seq
			return nil
		})
		cancel()
		waiter.Wait()
		if errors.Is(err, catalog.ErrChangesLost) {
			return
		}
	}
}

// heard takes changes in. The rows are read in the background, but for those
// that a request wants before.
func (d *Directory) heard(changes []catalog.Change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range changes {
		k := key{c.Integration, c.Connection}
		d.outdate(k)
		switch {
		case k.id == "":
			d.urgent.push(k)
		case d.held(k) != nil:
			d.casual.push(k)
		}
	}
	d.pump()
}
