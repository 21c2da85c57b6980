// This file holds how a key gets into its store and its description into the
// catalog, though the process may be killed between the two.

package catalog

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// BeginKeyWrite enters that p's key is about to be written to its store, as the
// version after p.Version. The caller then writes it, with p.Version as
// check-and-set, and ends with [DB.FinishKeyWrite], or with [DB.AbandonKeyWrite]
// when the store has certainly not written it. When it cannot know, or is
// killed, the entry stays for a sweep:
//
//	for each of PendingKeys(ctx, olderThan)
//		a deletion    destroy the key in the store, FinishKeyDelete
//		a key write   read the version that the store has now, ResolveKeyWrite
//
// The sweep needs no permission to read keys. There is at most one entry for
// each connection, and only who holds it writes to the store; so a version
// above p.Version there is this write's, and any other says that it did not
// happen. olderThan must be longer than a writer waits for its store, and than the
// nodes' clocks differ.
//
// A second write of the same connection is an [ErrConflict], and so is one
// whose Row has another revision than the catalog. Where the row should be new
// and is there it is an [ErrExists]; where it is gone, or the integration is
// (see PendingKey.OfCatalog), an [ErrNotFound].
func (db *DB) BeginKeyWrite(ctx context.Context, p *PendingKey) error {
	made := *p
	made.token, made.Deletion = rand.Text(), false
	err := db.write(ctx, "beginning to write the key of "+called(p.Integration, p.ID), func(t *tx) error {
		made.BeganAt = t.now
		if err := t.checkKeyWrite(ctx, p); err != nil {
			return err
		}
		row, err := encodeRow(p)
		if err != nil {
			return err
		}
		_, err = t.ExecContext(ctx, `
			INSERT INTO pending_keys (integration, id, token, deletion, version, description, began_at)
			VALUES ($1, $2, $3, false, $4, $5, $6)`, p.Integration, p.ID, made.token, p.Version, row, toMillis(t.now))
		return err
	})
	if err == nil {
		*p = made
	}
	return err
}

func (t *tx) checkKeyWrite(ctx context.Context, p *PendingKey) error {
	if p.OfCatalog {
		if _, err := t.checkIntegration(ctx, p.Integration, 0); err != nil {
			return err
		}
	}
	if err := t.checkNotPending(ctx, p.Integration, p.ID); err != nil {
		return err
	}
	revision, err := t.revision(ctx, p.Integration, p.ID)
	switch {
	case errors.Is(err, ErrNotFound) && p.Row.Revision == 0:
		return nil
	case err != nil:
		return err
	case p.Row.Revision == 0:
		return ErrExists
	case p.Row.Revision != revision:
		return ErrConflict
	}
	return nil
}

// FinishKeyWrite writes p.Row with the version that the store gave, and closes
// the entry. It sets the times and the revision of p.Row. Finishing what was
// finished already does nothing; so it may be repeated when its answer was
// lost. It also works when a sweep came too early and gave the write up, unless
// the connection was changed or deleted since: that is an [ErrConflict], and
// the key that was written belongs to no description.
func (db *DB) FinishKeyWrite(ctx context.Context, p *PendingKey, version int) error {
	made := *p.Row
	err := db.write(ctx, "finishing to write the key of "+called(p.Integration, p.ID), func(t *tx) error {
		made.Integration, made.ID = p.Integration, p.ID
		mine, err := t.closePending(ctx, p)
		if err != nil {
			return err
		}
		if mine == 0 {
			if done, err := t.finished(ctx, &made, version); done || err != nil {
				return err
			}
			if err := t.checkNotPending(ctx, p.Integration, p.ID); err != nil {
				return err
			}
		}
		made.KeyVersion, made.KeyUpdatedAt = version, t.now
		operation := OperationOverride
		if made.Revision == 0 {
			operation = OperationCreation
			err = t.insertConnection(ctx, &made)
		} else {
			err = t.updateConnection(ctx, &made)
		}
		if errors.Is(err, ErrExists) || errors.Is(err, ErrNotFound) {
			return fmt.Errorf("%w: %w", ErrConflict, err)
		}
		if err != nil {
			return err
		}
		if err := t.resolveKey(ctx, p.Integration, p.ID); err != nil {
			return err
		}
		return t.hook(ctx, p.Integration, p.ID, operation, "")
	})
	if err == nil {
		*p.Row = made
	}
	return err
}

// finished tells whether the row is there as c would make it, which is one
// write further than c, and then sets c to it.
func (t *tx) finished(ctx context.Context, c *Connection, version int) (bool, error) {
	current, err := scanConnection(t.QueryRowContext(ctx, "SELECT "+connectionColumns+" FROM connections c WHERE c.integration = $1 AND c.id = $2", c.Integration, c.ID))
	if err = found(err); errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil || current.KeyVersion != version || current.Revision != c.Revision+1 || current.Fingerprint != c.Fingerprint {
		return false, err
	}
	*c = *current
	return true, nil
}

// AbandonKeyWrite closes the entry of a key that was not written. Abandoning
// what is closed does nothing.
func (db *DB) AbandonKeyWrite(ctx context.Context, p *PendingKey) error {
	return db.write(ctx, "abandoning the key of "+called(p.Integration, p.ID), func(t *tx) error {
		_, err := t.closePending(ctx, p)
		return err
	})
}

// ResolveKeyWrite ends a write that its writer left open, by the version that
// the store has now, 0 for none: see [DB.BeginKeyWrite]. Where somebody wrote
// to the store who does not go through the catalog the newest key is not p's,
// and its fingerprint and end are left empty.
func (db *DB) ResolveKeyWrite(ctx context.Context, p *PendingKey, version int) error {
	if version <= p.Version {
		return db.AbandonKeyWrite(ctx, p)
	}
	if version > p.Version+1 {
		row := *p.Row
		row.Fingerprint, row.KeyExpiresAt = "", time.Time{}
		other := *p
		other.Row = &row
		p = &other
	}
	return db.FinishKeyWrite(ctx, p, version)
}

// FinishKeyDelete closes the entry of a deletion, once the store has destroyed
// the key. Closing what is closed does nothing.
func (db *DB) FinishKeyDelete(ctx context.Context, integration, id string) error {
	return db.write(ctx, "finishing to delete the key of "+called(integration, id), func(t *tx) error {
		_, err := t.ExecContext(ctx, "DELETE FROM pending_keys WHERE integration = $1 AND id = $2 AND deletion", integration, id)
		return err
	})
}

// PendingKeys returns the writes and deletions that began longer ago than
// olderThan and are not finished, the oldest first.
func (db *DB) PendingKeys(ctx context.Context, olderThan time.Duration) ([]*PendingKey, error) {
	rows, err := db.shared.sql.QueryContext(ctx, `
		SELECT integration, id, token, deletion, version, description, began_at FROM pending_keys
		WHERE began_at <= $1 ORDER BY began_at, integration, id`, toMillis(db.now().Add(-olderThan)))
	all, err := collect(rows, err, scanPending)
	return all, classed(ctx, "listing unfinished keys", err)
}

// closePending removes p's entry and returns 0 when there was none.
func (t *tx) closePending(ctx context.Context, p *PendingKey) (int64, error) {
	return t.count(ctx, "DELETE FROM pending_keys WHERE integration = $1 AND id = $2 AND token = $3", p.Integration, p.ID, p.token)
}

// PendingKey returns what is being written or destroyed of a connection, nil for
// nothing: its store may then have what its row does not tell yet.
func (db *DB) PendingKey(ctx context.Context, integration, id string) (*PendingKey, error) {
	p, err := scanPending(db.shared.sql.QueryRowContext(ctx, `
		SELECT integration, id, token, deletion, version, description, began_at FROM pending_keys
		WHERE integration = $1 AND id = $2`, integration, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return p, classed(ctx, "looking for what is being written of "+called(integration, id), err)
}

// checkNotPending refuses to get between a key write or deletion and its end.
func (t *tx) checkNotPending(ctx context.Context, integration, id string) error {
	pending, err := t.has(ctx, "SELECT count(*) FROM pending_keys WHERE integration = $1 AND id = $2", integration, id)
	if err == nil && pending {
		return fmt.Errorf("%w: its key is being written or destroyed", ErrConflict)
	}
	return err
}

func (t *tx) revision(ctx context.Context, integration, id string) (revision int64, err error) {
	err = t.QueryRowContext(ctx, "SELECT revision FROM connections WHERE integration = $1 AND id = $2", integration, id).Scan(&revision)
	return revision, found(err)
}
