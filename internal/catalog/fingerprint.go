// This file holds the key that fingerprints are made with.

package catalog

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// FingerprintKey returns the 32 random bytes that fingerprints of this
// catalog's keys are made with. They are made on first use; of several nodes
// that do so at once all get the same.
func (db *DB) FingerprintKey(ctx context.Context) (secret.Value, error) {
	key, err := db.fingerprintKey(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		key, err = db.makeFingerprintKey(ctx)
	}
	return key, classed(ctx, "reading the key of fingerprints", err)
}

// makeFingerprintKey makes the key unless another node does, and returns the
// one that is there then.
func (db *DB) makeFingerprintKey(ctx context.Context) (secret.Value, error) {
	made := make([]byte, 32)
	_, _ = rand.Read(made) // never fails
	err := db.turn(ctx, func() error {
		_, err := db.shared.sql.ExecContext(ctx, "INSERT INTO fingerprint_key (id, key) VALUES (1, $1) ON CONFLICT DO NOTHING", made)
		return err
	})
	if err != nil {
		return secret.Value{}, err
	}
	return db.fingerprintKey(ctx)
}

func (db *DB) fingerprintKey(ctx context.Context) (secret.Value, error) {
	var key []byte
	if err := db.shared.sql.QueryRowContext(ctx, "SELECT key FROM fingerprint_key WHERE id = 1").Scan(&key); err != nil {
		return secret.Value{}, err
	}
	return secret.New(string(key)), nil
}
