// This file holds the integrations.

package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const integrationColumns = `unique_key, provider, display_name, forward_webhooks, base_url, key_placement, key_name,
	value_template, key_label, connect_texts, verification, max_age, disabled, created_at, updated_at, revision,
	refused_statuses, refused_after`

// CreateIntegration writes a new integration and sets its CreatedAt, UpdatedAt
// and Revision. It is an [ErrExists] when the unique key is taken.
func (db *DB) CreateIntegration(ctx context.Context, i *Integration) error {
	made := *i
	err := db.write(ctx, fmt.Sprintf("creating the integration %q", i.UniqueKey), func(t *tx) error {
		made.CreatedAt, made.UpdatedAt, made.Revision = t.now, t.now, 1
		n, err := t.putIntegration(ctx, "INSERT INTO integrations ("+integrationColumns+")\n"+
			"VALUES "+tuples(1, make([]string, 18)...)+" ON CONFLICT DO NOTHING", &made)
		if err == nil && n == 0 {
			return ErrExists
		}
		t.changed(i.UniqueKey, "")
		return err
	})
	if err == nil {
		*i = made
	}
	return err
}

// Integration returns the integration of a unique key, or an [ErrNotFound].
func (db *DB) Integration(ctx context.Context, key string) (*Integration, error) {
	i, err := scanIntegration(db.shared.sql.QueryRowContext(ctx, "SELECT "+integrationColumns+" FROM integrations WHERE unique_key = $1", key))
	return i, classed(ctx, fmt.Sprintf("reading the integration %q", key), found(err))
}

// Integrations returns all integrations in the order of their unique keys.
func (db *DB) Integrations(ctx context.Context) ([]*Integration, error) {
	rows, err := db.shared.sql.QueryContext(ctx, "SELECT "+integrationColumns+" FROM integrations ORDER BY unique_key")
	all, err := collect(rows, err, scanIntegration)
	return all, classed(ctx, "listing integrations", err)
}

// UpdateIntegration replaces the integration key by i, whose Revision must be
// the one that was read: else it is an [ErrConflict]. CreatedAt stays;
// UpdatedAt and Revision are set on i. Where i has another unique key the
// integration is renamed: an [ErrExists] when that is taken, an
// [ErrHasConnections] when there are connections, an [ErrConflict] while keys of
// some are being written or destroyed.
func (db *DB) UpdateIntegration(ctx context.Context, key string, i *Integration) error {
	made := *i
	err := db.write(ctx, fmt.Sprintf("updating the integration %q", key), func(t *tx) error {
		created, err := t.checkIntegration(ctx, key, cmp.Or(i.Revision, -1)) // 0 was never read
		if err != nil {
			return err
		}
		if i.UniqueKey != key {
			if err := t.checkRename(ctx, key, i.UniqueKey); err != nil {
				return err
			}
			t.changed(key, "")
		}
		t.changed(i.UniqueKey, "")
		made.CreatedAt, made.UpdatedAt, made.Revision = created, t.now, i.Revision+1
		_, err = t.putIntegration(ctx, `
			UPDATE integrations SET unique_key = $1, provider = $2, display_name = $3, forward_webhooks = $4,
				base_url = $5, key_placement = $6, key_name = $7, value_template = $8, key_label = $9, connect_texts = $10,
				verification = $11, max_age = $12, disabled = $13, created_at = $14, updated_at = $15, revision = $16,
				refused_statuses = $17, refused_after = $18
			WHERE unique_key = $19`, &made, key)
		return err
	})
	if err == nil {
		*i = made
	}
	return err
}

// DeleteIntegration deletes an integration of the given revision, 0 for any.
// Unless it takes its connections with it, it is an [ErrHasConnections] when
// there are some. It returns the deleted connections, each with a pending
// deletion as after [DB.DeleteConnection].
func (db *DB) DeleteIntegration(ctx context.Context, key string, revision int64, withConnections bool) ([]Connection, error) {
	var deleted []Connection
	err := db.write(ctx, fmt.Sprintf("deleting the integration %q", key), func(t *tx) error {
		if _, err := t.checkIntegration(ctx, key, revision); err != nil {
			return err
		}
		used, err := t.has(ctx, "SELECT count(*) FROM connections WHERE integration = $1", key)
		if err != nil {
			return err
		}
		if used && !withConnections {
			return ErrHasConnections
		}
		if deleted, err = t.deleteConnections(ctx, key); err != nil {
			return err
		}
		t.changed(key, "")
		_, err = t.ExecContext(ctx, "DELETE FROM integrations WHERE unique_key = $1", key)
		return err
	})
	if err != nil {
		return nil, err
	}
	return deleted, nil
}

// checkIntegration makes sure that the integration is there in that revision, 0
// for any, and returns when it was made.
func (t *tx) checkIntegration(ctx context.Context, key string, revision int64) (created time.Time, err error) {
	var ms, current int64
	err = t.QueryRowContext(ctx, "SELECT created_at, revision FROM integrations WHERE unique_key = $1", key).Scan(&ms, &current)
	if err == nil && revision != 0 && revision != current {
		err = ErrConflict
	}
	return fromMillis(ms), found(err)
}

func (t *tx) checkRename(ctx context.Context, from, to string) error {
	taken, err := t.has(ctx, "SELECT count(*) FROM integrations WHERE unique_key = $1", to)
	if err != nil {
		return err
	}
	if taken {
		return ErrExists
	}
	used, err := t.has(ctx, "SELECT count(*) FROM connections WHERE integration = $1", from)
	if err != nil {
		return err
	}
	if used {
		return ErrHasConnections
	}
	return t.checkNothingPending(ctx, from)
}

// checkNothingPending refuses what would leave a key behind under a name that
// is given up.
func (t *tx) checkNothingPending(ctx context.Context, integration string) error {
	pending, err := t.has(ctx, "SELECT count(*) FROM pending_keys WHERE integration = $1", integration)
	if err == nil && pending {
		return ErrConflict
	}
	return err
}

// found makes an [ErrNotFound] of a query without rows.
func found(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}
