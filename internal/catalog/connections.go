// This file holds the connections, one at a time.

package catalog

import (
	"context"
	"crypto/rand"
	"fmt"
)

// Connection returns a connection, or an [ErrNotFound].
func (db *DB) Connection(ctx context.Context, integration, id string) (*Connection, error) {
	c, err := scanConnection(db.shared.sql.QueryRowContext(ctx, "SELECT "+connectionColumns+" FROM connections c WHERE c.integration = $1 AND c.id = $2", integration, id))
	return c, classed(ctx, "reading "+called(integration, id), found(err))
}

// CountConnections returns how many connections an integration has.
func (db *DB) CountConnections(ctx context.Context, integration string) (int, error) {
	var n int
	err := db.shared.sql.QueryRowContext(ctx, "SELECT count(*) FROM connections WHERE integration = $1", integration).Scan(&n)
	return n, classed(ctx, fmt.Sprintf("counting the connections of %q", integration), err)
}

// CreateConnection writes the description of a new connection and sets its
// CreatedAt, UpdatedAt and Revision. It is an [ErrExists] when the id is taken,
// and an [ErrConflict] while a key of that id is being written or destroyed.
func (db *DB) CreateConnection(ctx context.Context, c *Connection) error {
	made := *c
	err := db.write(ctx, "creating "+called(c.Integration, c.ID), func(t *tx) error {
		if err := t.checkNotPending(ctx, c.Integration, c.ID); err != nil {
			return err
		}
		return t.insertConnection(ctx, &made)
	})
	if err == nil {
		*c = made
	}
	return err
}

// UpdateConnection replaces the description of a connection, whose Revision
// must be the one that was read: else it is an [ErrConflict], as it is while a
// key of it is being written. CreatedAt stays, and so does what traffic notes;
// UpdatedAt and Revision are set on c.
func (db *DB) UpdateConnection(ctx context.Context, c *Connection) error {
	made := *c
	err := db.write(ctx, "updating "+called(c.Integration, c.ID), func(t *tx) error {
		if err := t.checkNotPending(ctx, c.Integration, c.ID); err != nil {
			return err
		}
		return t.updateConnection(ctx, &made)
	})
	if err == nil {
		*c = made
	}
	return err
}

// DeleteConnection deletes the description of a connection, enters that its key
// is to be destroyed, and returns what was deleted. Once the store has
// destroyed the key, [DB.FinishKeyDelete] closes the entry.
//
// It does not wait for a key write under way: that one's check-and-set no
// longer fits when the key is destroyed. Only a first key has nothing to check
// against, so there it is an [ErrConflict].
func (db *DB) DeleteConnection(ctx context.Context, integration, id string) (*Connection, error) {
	var deleted *Connection
	err := db.write(ctx, "deleting "+called(integration, id), func(t *tx) error {
		all, err := t.deleteWhere(ctx, integration, " AND c.id = $2", id)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return ErrNotFound
		}
		deleted = all[0]
		return nil
	})
	if err != nil {
		return nil, err
	}
	return deleted, nil
}

// deleteConnections is [DB.DeleteConnection] for all of an integration.
func (t *tx) deleteConnections(ctx context.Context, integration string) ([]Connection, error) {
	all, err := t.deleteWhere(ctx, integration, "")
	if err != nil {
		return nil, err
	}
	// What is being written now and has no connection yet would be left behind.
	lone, err := t.has(ctx, "SELECT count(*) FROM pending_keys WHERE integration = $1 AND NOT deletion", integration)
	if err == nil && lone {
		err = ErrConflict
	}
	deleted := make([]Connection, len(all))
	for i, c := range all {
		deleted[i] = *c
	}
	return deleted, err
}

// deleteWhere deletes connections c of an integration, enters that their keys
// are to be destroyed, and notes the changes.
func (t *tx) deleteWhere(ctx context.Context, integration, where string, args ...any) ([]*Connection, error) {
	args = append([]any{integration}, args...)
	first, err := t.has(ctx, `
		SELECT count(*) FROM pending_keys p JOIN connections c ON c.integration = p.integration AND c.id = p.id
		WHERE c.integration = $1 AND p.version = 0 AND NOT p.deletion`+where, args...)
	if err != nil {
		return nil, err
	}
	if first {
		return nil, ErrConflict
	}
	n := len(args)
	if _, err := t.ExecContext(ctx, fmt.Sprintf(`
		INSERT INTO pending_keys (integration, id, token, deletion, version, description, began_at)
		SELECT c.integration, c.id, CAST($%d AS TEXT), true, c.key_version, '', CAST($%d AS BIGINT) FROM connections c
		WHERE c.integration = $1`, n+1, n+2)+where+`
		ON CONFLICT (integration, id) DO UPDATE SET token = excluded.token, deletion = excluded.deletion,
			version = excluded.version, description = excluded.description, began_at = excluded.began_at`,
		append(args, rand.Text(), t.now.UnixMilli())...); err != nil {
		return nil, err
	}
	rows, err := t.QueryContext(ctx, "SELECT "+connectionColumns+" FROM connections c WHERE c.integration = $1"+where+" ORDER BY c.id", args...)
	all, err := collect(rows, err, scanConnection)
	if err != nil {
		return nil, err
	}
	// Of all at once: there may be very many, and every other writer waits.
	if err := t.resolveAlerts(ctx, "connection <> '' AND integration = $1 AND connection IN (SELECT c.id FROM connections c WHERE c.integration = $1"+where+")", args...); err != nil {
		return nil, err
	}
	for _, c := range all {
		t.changed(c.Integration, c.ID)
		if err := t.hook(ctx, c.Integration, c.ID, OperationDeletion, ""); err != nil {
			return nil, err
		}
	}
	_, err = t.ExecContext(ctx, "DELETE FROM connections AS c WHERE c.integration = $1"+where, args...)
	return all, err
}

// called names a connection in an error.
func called(integration, id string) string {
	return fmt.Sprintf("the connection %q of %q", id, integration)
}
