// This file holds the connect sessions that were used.

package catalog

import (
	"context"
	"time"
)

// UseSession enters that the session id was used, which is kept until expires:
// from then on nobody takes its token anyway. It is an [ErrExists] when the
// session was used before, on whatever node.
func (db *DB) UseSession(ctx context.Context, id string, expires time.Time) error {
	const doing = "entering a used session" // its id is part of a token
	var n int64
	err := db.turn(ctx, func() error {
		r, err := db.shared.sql.ExecContext(ctx, `
			INSERT INTO used_sessions (id, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, id, toMillis(expires))
		if err != nil {
			return err
		}
		n, err = r.RowsAffected()
		return err
	})
	if err == nil && n == 0 {
		err = ErrExists
	}
	return classed(ctx, doing, err)
}

// SessionUsed tells whether the session id was used.
func (db *DB) SessionUsed(ctx context.Context, id string) (used bool, err error) {
	err = db.shared.sql.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM used_sessions WHERE id = $1)", id).Scan(&used)
	return used, classed(ctx, "looking for a used session", err)
}

// FreeSession forgets that the session id was used: what it was used for has
// not come about.
func (db *DB) FreeSession(ctx context.Context, id string) error {
	return db.alone(ctx, "giving back a used session", "DELETE FROM used_sessions WHERE id = $1", id)
}

// PruneSessions forgets the sessions that have expired.
func (db *DB) PruneSessions(ctx context.Context) error {
	return db.alone(ctx, "pruning used sessions", "DELETE FROM used_sessions WHERE expires_at < $1", toMillis(db.now()))
}
