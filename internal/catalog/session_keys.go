// This file holds the keys that tokens of connect sessions are sealed with.

package catalog

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// SessionKey is 32 random bytes that tokens of connect sessions are sealed
// with.
type SessionKey struct {
	ID     int64 // counts from 1
	Key    secret.Value
	MadeAt time.Time
}

// SessionKeys returns the keys there are, the newest first.
func (db *DB) SessionKeys(ctx context.Context) ([]SessionKey, error) {
	rows, err := db.shared.sql.QueryContext(ctx, "SELECT id, key, made_at FROM session_keys ORDER BY id DESC")
	list, err := collect(rows, err, func(s scanner) (SessionKey, error) {
		var (
			k    SessionKey
			key  []byte
			made int64
		)
		err := s.Scan(&k.ID, &key, &made)
		k.Key, k.MadeAt = secret.New(string(key)), fromMillis(made)
		return k, err
	})
	return list, classed(ctx, "reading the keys of sessions", err)
}

// AddSessionKey makes the key that follows the one of id after, 0 for none;
// of several nodes that do so at once one does. What that one had followed for
// longer than keep is forgotten.
func (db *DB) AddSessionKey(ctx context.Context, after int64, keep time.Duration) error {
	made := make([]byte, 32)
	_, _ = rand.Read(made) // never fails
	err := db.turn(ctx, func() error {
		_, err := db.shared.sql.ExecContext(ctx, `
			INSERT INTO session_keys (id, key, made_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, after+1, made, toMillis(db.now()))
		if err != nil {
			return err
		}
		_, err = db.shared.sql.ExecContext(ctx, `
			DELETE FROM session_keys WHERE id < $1 AND EXISTS (SELECT 1 FROM session_keys AS next WHERE next.id = $1 AND next.made_at < $2)`,
			after, toMillis(db.now().Add(-keep)))
		return err
	})
	return classed(ctx, "making a key of sessions", err)
}
