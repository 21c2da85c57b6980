package seal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
)

var errNotItsKeyset = errors.New("it is not the one that the database's keys are sealed with")

// proof is what the check row holds when it is opened.
const proof = "this keyset belongs to this database"

// unlock loads or makes the keyset of o's database and checks it.
func (s *Store) unlock(ctx context.Context, o *opened) error {
	used, err := holdsKeys(ctx, o.db.SQL())
	if err != nil {
		return err
	}
	keys, err := Load(s.cfg.Keyset)
	if err == nil && s.alone() {
		_ = removeTemps(s.cfg.Keyset.Path) // who may not does without; a rotation says so
	}
	if errors.Is(err, ErrNoKeyset) {
		keys, err = s.create(used, err)
	}
	if err != nil {
		return err
	}
	o.keyset.Store(keys)
	o.source.Store(&s.cfg.Keyset)
	ok, err := o.fits(ctx, keys)
	if ok || (err != nil && !errors.Is(err, errDoesNotOpen)) {
		return err
	}
	if used {
		return fmt.Errorf("checking the keyset %s: %w", s.cfg.Keyset, errNotItsKeyset)
	}
	return o.claim(ctx)
}

// alone tells whether nobody else writes the keyset's file: the database is one
// node's, who holds its lock.
func (s *Store) alone() bool { return s.cfg.Create && s.cfg.Keyset.Text.IsZero() }

// create makes the first keyset. missing is the error of loading it.
func (s *Store) create(used bool, missing error) (*Keyset, error) {
	if used {
		return nil, fmt.Errorf("%w, and the database holds keys sealed with one: restore that file", missing)
	}
	if !s.cfg.Create {
		return nil, missing
	}
	k, err := Generate()
	if err != nil {
		return nil, err
	}
	err = Create(s.cfg.Keyset.Path, k)
	if errors.Is(err, fs.ErrExist) { // another process was faster: its keyset holds
		return Load(s.cfg.Keyset)
	}
	if err != nil {
		return nil, err
	}
	s.made.Store(true)
	return k, nil
}

// holdsKeys tells whether any key is sealed in the database.
func holdsKeys(ctx context.Context, q querier) (used bool, err error) {
	err = q.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM sealed_keys)`).Scan(&used)
	if err != nil {
		return false, fmt.Errorf("looking for sealed keys: %w", err)
	}
	return used, nil
}

// querier is a pool or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// fits tells whether a keyset opens the check row. False without an error:
// there is no such row.
func (o *opened) fits(ctx context.Context, keys *Keyset) (bool, error) {
	var sealed []byte
	err := o.db.SQL().QueryRowContext(ctx, `SELECT sealed FROM keyset_check WHERE id = 1`).Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the keyset's check: %w", err)
	}
	if _, err := keys.open(sealed, []byte(purposeCheck)); err != nil {
		return false, fmt.Errorf("checking the keyset: %w", err)
	}
	return true, nil
}

// claim writes the check row of a database that holds no key.
func (o *opened) claim(ctx context.Context) error {
	sealed, err := o.keys().seal([]byte(proof), []byte(purposeCheck))
	if err != nil {
		return err
	}
	tx, err := o.db.SQL().BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("writing the keyset's check: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	used, err := holdsKeys(ctx, tx)
	if err != nil {
		return err
	}
	if used {
		return errors.New("writing the keyset's check: a key was written meanwhile")
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO keyset_check (id, sealed) VALUES (1, $1)
		ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed`, sealed)
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return fmt.Errorf("writing the keyset's check: %w", err)
	}
	return nil
}
