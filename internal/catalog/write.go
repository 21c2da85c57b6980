// This file holds what every write has in common, and how errors are classed.

package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"
)

// tx is one write. What it changes is announced when it is committed.
type tx struct {
	*sql.Tx
	now     time.Time
	seq     int64 // the last change's
	changes []Change

	// What of the outside is known, once it was asked: see outbox.go, alerts.go.
	roomKnown, alertsKnown, alertsHeard bool
	room                                int64
	crowded                             uint64
}

// changed notes that a row was written or deleted. An empty connection means
// the integration itself.
func (t *tx) changed(integration, connection string) {
	t.changes = append(t.changes, Change{Integration: integration, Connection: connection})
}

// write runs f in a transaction that no other write of any node overlaps, and
// commits it with its changes unless f returns an error.
//
// Writers take turns by locking the counter of changes before anything else.
// They would have to wait for each other there anyway, so that the numbers are
// without gaps and in the order of commit; and so no two writes can deadlock,
// and what f reads stays true until the commit.
func (db *DB) write(ctx context.Context, doing string, f func(t *tx) error) error {
	began := time.Now()
	err := db.turn(ctx, func() error {
		raw, err := db.shared.sql.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer raw.Rollback() //nolint:errcheck // nothing to undo after the commit
		t := &tx{Tx: raw, now: db.now()}
		if err := t.QueryRowContext(ctx, "SELECT seq FROM change_counter WHERE id = 1"+db.shared.dialect.forUpdate).Scan(&t.seq); err != nil {
			return err
		}
		if err := f(t); err != nil {
			return err
		}
		if err := t.announce(ctx, db.shared.dialect); err != nil {
			return err
		}
		if err := raw.Commit(); err != nil {
			return err
		}
		db.shared.crowded.Add(t.crowded)
		if len(t.changes) > 0 {
			db.shared.bell.ring()
		}
		return nil
	})
	db.shared.sql.tell(OpWrite, began, err)
	return classed(ctx, doing, err)
}

// turn runs f when no other write of this process runs, so that those that wait
// for another node do not take all connections from those that read.
func (db *DB) turn(ctx context.Context, f func() error) error {
	select {
	case db.shared.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-db.shared.turn }()
	return f()
}

// answers are the errors that say something about rows.
var answers = []error{ErrNotFound, ErrExists, ErrConflict, ErrHasConnections, ErrChangesLost}

func isAnswer(err error) bool {
	return slices.ContainsFunc(answers, func(a error) bool { return errors.Is(err, a) })
}

// classed says what was being done when err came up. All that is no answer is
// an [ErrUnavailable], with the end of the context if that was the cause.
func classed(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	if isAnswer(err) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if end := ctx.Err(); end != nil && !errors.Is(err, end) { // a commit then says only that it is too late
		err = fmt.Errorf("%w: %w", end, err)
	}
	return fmt.Errorf("%s: %w: %w", doing, ErrUnavailable, err)
}

// count returns how many rows a statement changed.
func (t *tx) count(ctx context.Context, query string, args ...any) (int64, error) {
	r, err := t.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// has tells whether a query that selects one number finds it above zero.
func (t *tx) has(ctx context.Context, query string, args ...any) (bool, error) {
	var n int64
	err := t.QueryRowContext(ctx, query, args...).Scan(&n)
	return n > 0, err
}

// collect reads all rows of a query.
func collect[T any](rows *sql.Rows, err error, scan func(scanner) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err has it
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// scanner is a row of a result.
type scanner interface{ Scan(into ...any) error }
