// This file holds the sequence of changes: how it is written, read and pruned.

package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

const (
	// keepChanges and keepChangesFor bound what is kept of the past: a change
	// is dropped when it is too old or too many came after it.
	keepChanges    = 100_000
	keepChangesFor = 24 * time.Hour

	// pruneEvery is after how many changes writers prune.
	pruneEvery = 1000

	// batch is how many rows are written by one statement. sqlite's driver looks
	// for each parameter among all of them, so more is not faster.
	batch = 50
)

// announce gives t's changes their numbers and writes them down.
func (t *tx) announce(ctx context.Context, d dialect) error {
	if len(t.changes) == 0 {
		return nil
	}
	first := t.seq + 1
	for i := range t.changes {
		t.changes[i].Seq = first + int64(i)
	}
	t.seq += int64(len(t.changes))
	if _, err := t.ExecContext(ctx, "UPDATE change_counter SET seq = $1 WHERE id = 1", t.seq); err != nil {
		return err
	}
	for rest := t.changes; len(rest) > 0; {
		n := min(len(rest), batch)
		args := make([]any, 0, 4*n)
		for _, c := range rest[:n] {
			args = append(args, c.Seq, c.Integration, c.Connection, t.now.UnixMilli())
		}
		if _, err := t.ExecContext(ctx, "INSERT INTO changes (seq, integration, connection, changed_at) VALUES "+tuples(n, "", "", "", ""), args...); err != nil {
			return err
		}
		rest = rest[n:]
	}
	if (first-1)/pruneEvery != t.seq/pruneEvery { // passed a multiple
		if err := t.pruneChanges(ctx); err != nil {
			return err
		}
	}
	if d.notify == "" {
		return nil
	}
	_, err := t.ExecContext(ctx, d.notify)
	return err
}

// tuples returns "($1, $2), ($3, $4), …", n of them, with a parameter for each
// type. A type that is not empty is what the parameter is cast to.
func tuples(n int, types ...string) string {
	rows, row := make([]string, n), make([]string, len(types))
	for i := range rows {
		for j, typ := range types {
			row[j] = fmt.Sprintf("$%d", i*len(types)+j+1)
			if typ != "" {
				row[j] = "CAST(" + row[j] + " AS " + typ + ")"
			}
		}
		rows[i] = "(" + strings.Join(row, ", ") + ")"
	}
	return strings.Join(rows, ", ")
}

// pruneChanges drops what need not be kept: always the beginning of the
// sequence, so that what is left has no gaps either.
func (t *tx) pruneChanges(ctx context.Context) error {
	_, err := t.ExecContext(ctx, `
		DELETE FROM changes WHERE seq <= $1
		OR seq <= (SELECT coalesce(max(seq), 0) FROM changes WHERE changed_at < $2)`,
		t.seq-keepChanges, t.now.Add(-keepChangesFor).UnixMilli())
	return err
}

// LastChange returns the number of the last change, 0 for none. Read it before
// anything that is to be kept up to date by [DB.Watch].
func (db *DB) LastChange(ctx context.Context) (int64, error) {
	var seq int64
	err := db.shared.sql.QueryRowContext(ctx, "SELECT seq FROM change_counter WHERE id = 1").Scan(&seq)
	return seq, classed(ctx, "reading the number of the last change", err)
}

// Changes returns what was changed after number after, at most limit changes,
// in order. An [ErrChangesLost] says that some of them are gone.
func (db *DB) Changes(ctx context.Context, after int64, limit int) ([]Change, error) {
	changes, err := db.changes(ctx, after, limit)
	return changes, classed(ctx, fmt.Sprintf("reading changes after %d", after), err)
}

func (db *DB) changes(ctx context.Context, after int64, limit int) ([]Change, error) {
	var last int64
	// One statement, so that the counter and the changes are of one moment. The
	// upper bound does what LIMIT would, there are no gaps, and needs no sorting
	// of all that follows.
	rows, err := db.shared.sql.QueryContext(ctx, `
		SELECT k.seq, c.seq, coalesce(c.integration, ''), coalesce(c.connection, '')
		FROM change_counter k LEFT JOIN changes c ON c.seq > $1 AND c.seq <= $2
		WHERE k.id = 1 ORDER BY c.seq`, after, after+int64(limit))
	changes, err := collect(rows, err, func(row scanner) (Change, error) {
		var (
			c   Change
			seq sql.NullInt64 // null when there is none
		)
		err := row.Scan(&last, &seq, &c.Integration, &c.Connection)
		c.Seq = seq.Int64
		return c, err
	})
	if err != nil {
		return nil, err
	}
	if len(changes) > 0 && changes[0].Seq == 0 {
		changes = nil
	}
	// A catalog restored from a backup counts from an earlier number.
	if lost := last < after || (len(changes) == 0 && last > after); lost || (len(changes) > 0 && changes[0].Seq != after+1) {
		return nil, ErrChangesLost
	}
	return changes, nil
}
