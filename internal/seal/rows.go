package seal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// Info describes a document without any of its fields.
type Info struct {
	Address   store.Address
	Version   int
	CreatedAt time.Time
}

// Get reads a document. A row that does not open is an [store.ErrUnavailable]:
// nothing is known about the key, so what a keyring holds stays in use.
func (s *Store) Get(ctx context.Context, a store.Address) (*store.Document, error) {
	return s.read(ctx, a, "reading", `
		SELECT version, sealed, created_at FROM sealed_keys
		WHERE namespace = $1 AND mount = $2 AND path = $3`)
}

// Former reads the version before newest, which the upstream may still accept
// while a key is rotated. A row keeps one: when it is not that of newest, or
// there is none, it is an [store.ErrNotFound].
func (s *Store) Former(ctx context.Context, a store.Address, newest int) (*store.Document, error) {
	return s.read(ctx, a, "reading the former version of", `
		SELECT version - 1, previous, previous_created_at FROM sealed_keys
		WHERE namespace = $1 AND mount = $2 AND path = $3 AND version = $4 AND previous IS NOT NULL`, newest)
}

func (s *Store) read(ctx context.Context, a store.Address, doing, query string, more ...any) (*store.Document, error) {
	a, err := normal(a)
	if err != nil {
		return nil, err
	}
	o, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	doing += " " + a.String()
	var (
		version int
		sealed  []byte
		created int64
	)
	args := append([]any{a.Namespace, a.Mount, a.Path}, more...)
	err = o.db.SQL().QueryRowContext(ctx, query, args...).Scan(&version, &sealed, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%s: %w", doing, store.ErrNotFound)
	}
	if err != nil {
		return nil, unavailable(doing, err)
	}
	plain, err := o.keys().open(sealed, place(a, version))
	if err != nil {
		return nil, unavailable(doing, err)
	}
	fields, err := decode(plain)
	if err != nil {
		return nil, unavailable(doing, err)
	}
	return &store.Document{Fields: fields, Version: version, CreatedAt: time.UnixMilli(created).UTC()}, nil
}

// Put seals fields as the version after cas. What was the newest version is
// kept as the previous one, and what was that is gone. Each write is one
// statement: whatever happens meanwhile, the row is the old or the new one.
func (s *Store) Put(ctx context.Context, a store.Address, fields map[string]secret.Value, cas int) (int, error) {
	a, err := normal(a)
	if err != nil {
		return 0, err
	}
	doing := "writing " + a.String()
	if cas < 0 {
		return 0, fmt.Errorf("%s: version %d cannot be: %w", doing, cas, store.ErrConflict)
	}
	plain, err := encode(fields)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", doing, err)
	}
	o, err := s.open(ctx)
	if err != nil {
		return 0, err
	}
	s.sealing.RLock()
	defer s.sealing.RUnlock()
	sealed, err := o.keys().seal(plain, place(a, cas+1))
	if err != nil {
		return 0, unavailable(doing, err)
	}
	query := `
		UPDATE sealed_keys SET version = version + 1, sealed = $4, created_at = $5,
			previous = sealed, previous_created_at = created_at
		WHERE namespace = $1 AND mount = $2 AND path = $3 AND version = $6`
	args := []any{a.Namespace, a.Mount, a.Path, sealed, s.cfg.Now().UnixMilli(), cas}
	if cas == 0 {
		query = `
			INSERT INTO sealed_keys (namespace, mount, path, version, sealed, created_at)
			VALUES ($1, $2, $3, 1, $4, $5) ON CONFLICT DO NOTHING`
		args = args[:5]
	}
	n, err := o.exec(ctx, query, args...)
	if err != nil {
		return 0, unavailable(doing, err)
	}
	if n == 0 {
		return 0, fmt.Errorf("%s after version %d: %w", doing, cas, store.ErrConflict)
	}
	return cas + 1, nil
}

// Delete removes a document with its previous version, and their sealed bytes
// from the database's files. When only the latter could not be done the error
// says so; deleting once more tries it again.
func (s *Store) Delete(ctx context.Context, a store.Address) error {
	a, err := normal(a)
	if err != nil {
		return err
	}
	o, err := s.open(ctx)
	if err != nil {
		return err
	}
	_, err = o.exec(ctx, `DELETE FROM sealed_keys WHERE namespace = $1 AND mount = $2 AND path = $3`, a.Namespace, a.Mount, a.Path)
	if err != nil {
		return unavailable("deleting "+a.String(), err)
	}
	if err := o.db.Purge(ctx); err != nil {
		return unavailable("wiping the deleted "+a.String(), err)
	}
	return nil
}

// List describes every document, ordered by address.
func (s *Store) List(ctx context.Context) ([]Info, error) {
	const doing = "listing the local store"
	o, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := o.db.SQL().QueryContext(ctx, `
		SELECT namespace, mount, path, version, created_at FROM sealed_keys
		ORDER BY namespace, mount, path`)
	if err != nil {
		return nil, unavailable(doing, err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err has it
	var infos []Info
	for rows.Next() {
		var (
			i       Info
			created int64
		)
		if err := rows.Scan(&i.Address.Namespace, &i.Address.Mount, &i.Address.Path, &i.Version, &created); err != nil {
			return nil, unavailable(doing, err)
		}
		i.CreatedAt = time.UnixMilli(created).UTC()
		infos = append(infos, i)
	}
	if err := rows.Err(); err != nil {
		return nil, unavailable(doing, err)
	}
	return infos, nil
}

// exec runs one statement and returns how many rows it changed.
func (o *opened) exec(ctx context.Context, query string, args ...any) (int64, error) {
	r, err := o.db.SQL().ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}
