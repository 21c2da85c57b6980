// This file holds how somebody else than its writer takes over an unfinished
// key write or deletion.

package catalog

import (
	"context"
	"crypto/rand"
	"fmt"
)

// ClaimPending makes an unfinished entry the caller's: it begins anew, so that
// who looks for old ones passes it over, and p is the only one that can close
// it. Without that, a sweep that was slow would destroy a key that was entered
// after another sweep had done the same work. It is an [ErrConflict] when the
// entry is no longer as p was read.
func (db *DB) ClaimPending(ctx context.Context, p *PendingKey) error {
	made := *p
	made.token = rand.Text()
	err := db.write(ctx, "claiming the unfinished key of "+called(p.Integration, p.ID), func(t *tx) error {
		made.BeganAt = t.now
		n, err := t.count(ctx, `
			UPDATE pending_keys SET token = $4, began_at = $5
			WHERE integration = $1 AND id = $2 AND token = $3`, p.Integration, p.ID, p.token, made.token, toMillis(t.now))
		if err == nil && n == 0 {
			err = fmt.Errorf("%w: somebody else deals with it", ErrConflict)
		}
		return err
	})
	if err == nil {
		*p = made
	}
	return err
}

// BeginKeyDelete enters that the key of a connection without a description is
// to be destroyed, and tells whether that was entered before; then the entry
// begins anew. Once the store has destroyed the key, [DB.FinishKeyDelete] closes
// the entry. Where there is a description it is an [ErrExists]: see
// [DB.DeleteConnection]; while a key of it is being written, an [ErrConflict].
func (db *DB) BeginKeyDelete(ctx context.Context, integration, id string) (before bool, err error) {
	err = db.write(ctx, "beginning to destroy the key of "+called(integration, id), func(t *tx) error {
		described, err := t.has(ctx, "SELECT count(*) FROM connections WHERE integration = $1 AND id = $2", integration, id)
		if err != nil {
			return err
		}
		if described {
			return ErrExists
		}
		n, err := t.count(ctx, "DELETE FROM pending_keys WHERE integration = $1 AND id = $2 AND deletion", integration, id)
		if err != nil {
			return err
		}
		before = n > 0
		if err := t.checkNotPending(ctx, integration, id); err != nil { // a write
			return err
		}
		_, err = t.ExecContext(ctx, `
			INSERT INTO pending_keys (integration, id, token, deletion, version, description, began_at)
			VALUES ($1, $2, $3, true, 0, '', $4)`, integration, id, rand.Text(), toMillis(t.now))
		return err
	})
	return before, err
}
