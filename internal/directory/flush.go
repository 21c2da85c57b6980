// This file holds how notes are written down.

package directory

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

const (
	// gather is how long a verdict waits for others, to be one write with them.
	gather = 250 * time.Millisecond

	// chunk bounds the connections of one write: nobody else can write then.
	chunk = 500

	// writeTimeout ends the writing of all there is.
	writeTimeout = 10 * time.Second
)

// writeNotes writes uses down now and then, and verdicts soon. While the
// catalog is away both are kept, as far as the limits go.
func (d *Directory) writeNotes() {
	tick := time.NewTicker(d.opts.FlushEvery)
	defer tick.Stop()
	for {
		uses := false
		select {
		case <-tick.C:
			uses = true
		case <-d.notes.wake:
			t := time.NewTimer(gather)
			select {
			case <-t.C:
			case <-d.ctx.Done():
			}
			t.Stop()
		case <-d.ctx.Done():
			return
		}
		if d.outage.Load() != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(d.ctx, writeTimeout)
		if d.flush(ctx, uses) != nil { // tried again at the next tick, or when the catalog is back
			d.suspect()
		}
		cancel()
	}
}

// flush writes down what was noted, with the uses or without, and keeps what
// could not be written.
func (d *Directory) flush(ctx context.Context, withUses bool) error {
	uses, verdicts := d.notes.take(withUses)
	err := d.writeVerdicts(ctx, verdicts)
	if err == nil {
		err = d.writeUses(ctx, uses)
	}
	d.notes.giveBack(uses, verdicts)
	return err
}

// writeUses takes out of m what it has written.
func (d *Directory) writeUses(ctx context.Context, m map[key]time.Time) error {
	for keys := range slices.Chunk(slices.Collect(maps.Keys(m)), chunk) {
		seen := make([]catalog.Sighting, len(keys))
		for i, k := range keys {
			seen[i] = catalog.Sighting{Integration: k.integration, ID: k.id, At: m[k]}
		}
		if err := d.catalog.NoteUse(ctx, seen); err != nil {
			return err
		}
		for _, k := range keys {
			delete(m, k)
		}
	}
	return nil
}

// writeVerdicts takes out of m what it has written, and tells the observer what
// made a difference.
func (d *Directory) writeVerdicts(ctx context.Context, m map[key]verdict) error {
	for _, write := range []struct {
		refused bool
		kind    Kind
		note    func(context.Context, []catalog.Sighting) ([]catalog.Sighting, error)
	}{
		{true, ConnectionRefused, d.catalog.NoteAuthFailure},
		{false, ConnectionAccepted, d.catalog.NoteAuthSuccess},
	} {
		var keys []key
		for k, v := range m {
			if v.refused == write.refused {
				keys = append(keys, k)
			}
		}
		for keys := range slices.Chunk(keys, chunk) {
			seen := make([]catalog.Sighting, len(keys))
			for i, k := range keys {
				seen[i] = catalog.Sighting{Integration: k.integration, ID: k.id, Version: m[k].version, At: m[k].at}
			}
			news, err := write.note(ctx, seen)
			if err != nil {
				return err
			}
			for _, k := range keys {
				delete(m, k)
			}
			for _, s := range news {
				d.tell(Event{Kind: write.kind, Sighting: s})
			}
		}
	}
	return nil
}

// take returns what is to be written down, and forgets it.
func (n *notes) take(withUses bool) (uses map[key]time.Time, verdicts map[key]verdict) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if withUses {
		uses, n.uses = n.uses, map[key]time.Time{}
	}
	verdicts, n.verdicts = n.verdicts, map[key]verdict{}
	return uses, verdicts
}

// giveBack takes in again what was not written, but for what is newer by now.
func (n *notes) giveBack(uses map[key]time.Time, verdicts map[key]verdict) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dropped += refill(n.uses, uses, n.limit) + refill(n.verdicts, verdicts, n.limit)
}

// refill puts into m what it lacks of old, up to a limit, and returns how much
// was left out.
func refill[V any](m, old map[key]V, limit int) (dropped uint64) {
	for k, v := range old {
		if _, newer := m[k]; newer {
			continue
		}
		if len(m) >= limit {
			dropped++
			continue
		}
		m[k] = v
	}
	return dropped
}
