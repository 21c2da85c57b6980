// This file holds how a directory knows whether the catalog is there.

package directory

import (
	"context"
	"time"
)

const (
	// beat is how often the catalog is asked for a sign of life, and awayBeat
	// how often while it gives none.
	beat     = 5 * time.Second
	awayBeat = time.Second
)

// Outage is a catalog that is away.
type Outage struct {
	Since time.Time
	Err   error // a catalog.ErrUnavailable
}

// suspect asks for a sign of life now: something could not be read.
func (d *Directory) suspect() {
	select {
	case d.doubt <- struct{}{}:
	default:
	}
}

// pulse asks the catalog for a sign of life, now and then and when there is a
// doubt. It alone decides whether the catalog is away: one read that fails, of
// many, says little, and while it is away no request waits for a read.
func (d *Directory) pulse() {
	for {
		every, doubt := beat, d.doubt
		if d.outage.Load() != nil {
			every, doubt = awayBeat, nil // known already
		}
		t := time.NewTimer(every)
		select {
		case <-t.C:
		case <-doubt:
		case <-d.ctx.Done():
		}
		t.Stop()
		ctx, cancel := context.WithTimeout(d.ctx, readTimeout)
		_, err := d.catalog.LastChange(ctx)
		cancel()
		if d.ctx.Err() != nil {
			return
		}
		if d.judge(classed(err)) { // a row that alone cannot be read is no reason to hurry
			t := time.NewTimer(awayBeat)
			select {
			case <-t.C:
			case <-d.ctx.Done():
			}
			t.Stop()
		}
	}
}

// judge acts on a sign of life, or its absence, and reports which it was.
func (d *Directory) judge(err error) bool {
	was := d.outage.Load()
	switch {
	case err != nil && was == nil:
		d.outage.Store(&Outage{Since: d.opts.Now(), Err: err})
		d.tell(Event{Kind: CatalogAway, Err: err})
	case err == nil && was != nil:
		d.outage.Store(nil)
		d.tell(Event{Kind: CatalogBack})
		select {
		case d.back <- struct{}{}:
		default:
		}
		d.notes.poke()
	}
	if err == nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.retry()
	}
	return err == nil
}
