// This file holds how what was cut off is ended.

package custody

import (
	"context"
	"errors"
	"fmt"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// Swept counts what a sweep found and did.
type Swept struct {
	Written   int // keys that were in the store: their descriptions were written
	Abandoned int // keys that never got there
	Destroyed int // keys whose description was deleted
	Left      int // could not be ended now; the next sweep tries again
}

// Sweep ends the key writes and deletions that were cut off more than a minute
// ago: a write that reached the store gets its description, one that did not is
// given up, and deletions are completed. Call it at the start and every minute;
// several nodes may do so at once. Its error is the first one that came up, and
// does not keep it from the rest.
func (c *Custody) Sweep(ctx context.Context) (Swept, error) {
	var (
		s     Swept
		first error
		away  aways
	)
	// All are read and judged by our own clock, as the entries' times are by
	// the clocks of nodes like this one.
	all, err := c.cfg.Catalog.PendingKeys(ctx, 0)
	if err != nil {
		return s, fmt.Errorf("sweeping: %w", err)
	}
	for _, pending := range all {
		if c.cfg.Now().Sub(pending.BeganAt) < sweepAge {
			continue
		}
		who := connection{pending.Integration, pending.ID}
		p, err := c.place(who)
		if err == nil && !away.has(p) {
			err = c.end(ctx, p, who, pending, &s)
			away.note(p, err)
		} else {
			s.Left++
		}
		if first == nil && err != nil {
			first = fmt.Errorf("sweeping: %w", err)
		}
	}
	return s, first
}

// end ends one entry, unless another node does.
func (c *Custody) end(ctx context.Context, p place, who connection, pending *catalog.PendingKey, s *Swept) error {
	err := c.cfg.Catalog.ClaimPending(ctx, pending)
	if errors.Is(err, catalog.ErrConflict) {
		return nil
	}
	written := false
	switch {
	case err != nil:
	case pending.Deletion:
		err = c.destroy(ctx, p, who)
	default:
		written, err = c.resolve(ctx, p, who, pending)
	}
	switch {
	case err != nil:
		s.Left++
	case pending.Deletion:
		s.Destroyed++
	case written:
		s.Written++
	default:
		s.Abandoned++
	}
	return err
}

// resolve ends a write by the version that the store has now, and tells whether
// the key was written.
func (c *Custody) resolve(ctx context.Context, p place, who connection, pending *catalog.PendingKey) (written bool, err error) {
	ctx, cancel := settling(ctx)
	defer cancel()
	version, err := p.version(ctx)
	if err == nil {
		err = c.cfg.Catalog.ResolveKeyWrite(ctx, pending, version)
	}
	if err != nil {
		return false, fmt.Errorf("ending the key write of %s: %w", who, err)
	}
	if version <= pending.Version {
		return false, nil
	}
	c.cfg.Forget(who.integration, who.id) // it is another one now, which only the store knows
	return true, nil
}
