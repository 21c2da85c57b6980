// This file holds how it is told that keys of connections run out.

package directory

import (
	"context"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// TellAged tells the observer which keys of an integration's connections have
// come to a step of their life: soon and now are what is left of maxAge then.
// Each is told once, by one of all nodes, and of several steps the last.
func (d *Directory) TellAged(ctx context.Context, integration string, maxAge, soon, now time.Duration) error {
	for _, a := range []struct {
		kind Kind
		step int
		left time.Duration
	}{{ConnectionExpired, 3, 0}, {ConnectionExpiring, 2, now}, {ConnectionExpiring, 1, soon}} {
		for {
			seen, err := d.catalog.ClaimAged(ctx, catalog.Aging{Integration: integration, Step: a.step, Age: maxAge - a.left, Limit: chunk})
			if err != nil {
				return err
			}
			for _, s := range seen {
				d.tell(Event{Kind: a.kind, Sighting: s, Ends: s.At.Add(maxAge)})
			}
			if len(seen) < chunk {
				break
			}
		}
	}
	return nil
}
