// This file holds how a key is removed.

package custody

import (
	"context"
	"errors"
	"fmt"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// Remove deletes the description of a connection and then its key with all its
// versions. When it was cut off between the two it may be repeated, and a sweep
// does the same; so it also removes a key without a description. It is a
// [catalog.ErrNotFound] when there is neither, and a [catalog.ErrConflict] while
// the key is being written or destroyed.
func (c *Custody) Remove(ctx context.Context, integration, id string) error {
	who := connection{integration, id}
	doing := "removing " + who.String()
	p, err := c.place(who)
	if err != nil {
		return err
	}
	_, err = c.cfg.Catalog.DeleteConnection(ctx, integration, id)
	if errors.Is(err, catalog.ErrNotFound) {
		return c.removeRest(ctx, p, who, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return c.destroy(ctx, p, who)
}

// removeRest removes a key whose description is missing.
func (c *Custody) removeRest(ctx context.Context, p place, who connection, missing error) error {
	before, err := c.cfg.Catalog.BeginKeyDelete(ctx, who.integration, who.id)
	if errors.Is(err, catalog.ErrExists) { // entered meanwhile
		err = fmt.Errorf("%w: %w", catalog.ErrConflict, err)
	}
	if err != nil {
		return fmt.Errorf("removing %s: %w", who, err)
	}
	if !before {
		version, err := p.version(ctx)
		if err == nil && version == 0 {
			err = errors.Join(missing, c.cfg.Catalog.FinishKeyDelete(ctx, who.integration, who.id))
		}
		if err != nil {
			return fmt.Errorf("removing %s: %w", who, err)
		}
	}
	return c.destroy(ctx, p, who)
}

// RemoveAll removes the keys of connections whose descriptions are deleted, as
// [catalog.DB.DeleteIntegration] does. What cannot be removed now is left for
// the sweep: see [Custody.Destroy].
func (c *Custody) RemoveAll(ctx context.Context, gone []catalog.Connection) {
	_ = c.Destroy(ctx, gone) // what it tells is in the catalog, too
}

// Destroy is [Custody.RemoveAll] for who has to know: its error is the first
// one that came up. The sweep repeats what failed.
func (c *Custody) Destroy(ctx context.Context, gone []catalog.Connection) error {
	var (
		first error
		away  aways
	)
	for i := range gone {
		who := connection{gone[i].Integration, gone[i].ID}
		p, err := c.place(who)
		if err == nil && !away.has(p) {
			// The list may be long, and a sweep have been here: a connection of
			// that name, made since, is left alone.
			if _, err = c.cfg.Catalog.BeginKeyDelete(ctx, who.integration, who.id); errors.Is(err, catalog.ErrExists) || errors.Is(err, catalog.ErrConflict) {
				continue
			}
			if err == nil {
				err = c.destroy(ctx, p, who)
			}
			away.note(p, err)
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// destroy removes a key whose deletion is entered, and closes the entry.
func (c *Custody) destroy(ctx context.Context, p place, who connection) error {
	if _, busy := c.removing.LoadOrStore(who, true); busy {
		return fmt.Errorf("destroying the key of %s: %w: somebody else does", who, catalog.ErrConflict)
	}
	defer c.removing.Delete(who)
	ctx, cancel := settling(ctx)
	defer cancel()
	err := p.store.Delete(ctx, p.address)
	c.cfg.Forget(who.integration, who.id) // after it, so that nobody reads the key again
	if err == nil {
		err = c.cfg.Catalog.FinishKeyDelete(ctx, who.integration, who.id)
	}
	if err != nil {
		return fmt.Errorf("destroying the key of %s: %w", who, err)
	}
	return nil
}
