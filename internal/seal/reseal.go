package seal

// This file holds how rows are sealed anew with the primary key.

import (
	"bytes"
	"context"
	"fmt"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

const (
	// batch is how many rows one transaction seals anew: few enough that other
	// writes hardly wait.
	batch = 100

	// passes bounds how often all rows are gone over. A row that is written
	// meanwhile is left to the next pass, and here nobody writes with an old
	// key: a row is old after so many passes only where another node does.
	passes = 5
)

// sealedRow is a row as it is kept.
type sealedRow struct {
	store.Address
	version          int
	sealed, previous []byte
}

// resealAll seals every row anew that needs another key than the primary one,
// and the check row last. It returns how many.
func (o *opened) resealAll(ctx context.Context) (total int, err error) {
	keys := o.keys()
	primary, err := keys.alone()
	if err != nil {
		return 0, err
	}
	for range passes {
		n := 0
		err := o.each(ctx, func(rows []sealedRow) error {
			changed, err := o.resealBatch(ctx, rows, keys, primary)
			n += changed
			return err
		})
		if err != nil {
			return total, err
		}
		if total += n; n > 0 {
			continue
		}
		if err := o.resealCheck(ctx, keys, primary); err != nil {
			return total, err
		}
		// What was sealed with an old key is still in the log beside the
		// tables. Whoever has that and the old key had the key before; so that
		// a reader holds it is no reason to fail.
		_ = o.db.Purge(ctx)
		return total, nil
	}
	return total, fmt.Errorf("%w: another node goes on to write with it; does every node have the new keyset?", ErrStillOld)
}

// resealBatch changes rows in one transaction. A row that was written since it
// was read is left alone.
func (o *opened) resealBatch(ctx context.Context, rows []sealedRow, keys, primary *Keyset) (changed int, err error) {
	tx, err := o.db.SQL().BeginTx(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("sealing anew: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	for _, row := range rows {
		next, err := row.reseal(keys, primary)
		if err != nil {
			return 0, err
		}
		if bytes.Equal(next.sealed, row.sealed) && bytes.Equal(next.previous, row.previous) {
			continue
		}
		r, err := tx.ExecContext(ctx, `
			UPDATE sealed_keys SET sealed = $1, previous = $2
			WHERE namespace = $3 AND mount = $4 AND path = $5 AND version = $6 AND sealed = $7`,
			next.sealed, next.previous, row.Namespace, row.Mount, row.Path, row.version, row.sealed)
		if err != nil {
			return 0, fmt.Errorf("sealing %s anew: %w", row.Address, err)
		}
		n, err := r.RowsAffected()
		if err != nil {
			return 0, fmt.Errorf("sealing %s anew: %w", row.Address, err)
		}
		if changed++; n == 0 {
			continue // written meanwhile, and looked at again in the next pass
		}
	}
	if changed == 0 {
		return 0, nil
	}
	if err := tx.Commit(); err != nil {
		return 0, fmt.Errorf("sealing anew: %w", err)
	}
	return changed, nil
}

// reseal returns the row as the primary key seals it. What it sealed already
// stays as it is.
func (r sealedRow) reseal(keys, primary *Keyset) (_ sealedRow, err error) {
	if r.sealed, err = again(r.sealed, place(r.Address, r.version), keys, primary); err != nil {
		return r, fmt.Errorf("sealing %s anew: %w", r.Address, err)
	}
	if r.previous == nil {
		return r, nil
	}
	if r.previous, err = again(r.previous, place(r.Address, r.version-1), keys, primary); err != nil {
		return r, fmt.Errorf("sealing the former version of %s anew: %w", r.Address, err)
	}
	return r, nil
}

// again seals what an old key sealed.
func again(sealed, ad []byte, keys, primary *Keyset) ([]byte, error) {
	if _, err := primary.open(sealed, ad); err == nil {
		return sealed, nil
	}
	plain, err := keys.open(sealed, ad)
	if err != nil {
		return nil, err
	}
	return keys.seal(plain, ad)
}

// resealCheck seals the check row anew.
func (o *opened) resealCheck(ctx context.Context, keys, primary *Keyset) error {
	if ok, _ := o.fits(ctx, primary); ok {
		return nil
	}
	sealed, err := keys.seal([]byte(proof), []byte(purposeCheck))
	if err != nil {
		return err
	}
	if _, err := o.exec(ctx, `UPDATE keyset_check SET sealed = $1 WHERE id = 1`, sealed); err != nil {
		return fmt.Errorf("sealing the keyset's check anew: %w", err)
	}
	return nil
}

// countOld returns how many rows the primary key does not open alone, the check
// row among them.
func (o *opened) countOld(ctx context.Context) (n int, err error) {
	primary, err := o.keys().alone()
	if err != nil {
		return 0, err
	}
	err = o.each(ctx, func(rows []sealedRow) error {
		for _, row := range rows {
			_, err := primary.open(row.sealed, place(row.Address, row.version))
			if err == nil && row.previous != nil {
				_, err = primary.open(row.previous, place(row.Address, row.version-1))
			}
			if err != nil {
				n++
			}
		}
		return nil
	})
	if ok, _ := o.fits(ctx, primary); err == nil && !ok {
		n++
	}
	return n, err
}

// needsNoOld refuses to go on while a row needs an old key.
func (o *opened) needsNoOld(ctx context.Context) error {
	n, err := o.countOld(ctx)
	if err == nil && n > 0 {
		err = fmt.Errorf("%w, %d of them: seal them anew first, by a rotation without dropping keys", ErrStillOld, n)
	}
	return err
}

// each goes over all rows by their address, some at a time. No query is open
// while do runs.
func (o *opened) each(ctx context.Context, do func([]sealedRow) error) error {
	var after store.Address
	for {
		rows, err := o.rowsAfter(ctx, after)
		if err != nil {
			return fmt.Errorf("reading sealed keys: %w", err)
		}
		if len(rows) == 0 {
			return nil
		}
		if err := do(rows); err != nil {
			return err
		}
		after = rows[len(rows)-1].Address
	}
}

func (o *opened) rowsAfter(ctx context.Context, after store.Address) ([]sealedRow, error) {
	q, err := o.db.SQL().QueryContext(ctx, `
		SELECT namespace, mount, path, version, sealed, previous FROM sealed_keys
		WHERE (namespace, mount, path) > ($1, $2, $3)
		ORDER BY namespace, mount, path LIMIT $4`, after.Namespace, after.Mount, after.Path, batch)
	if err != nil {
		return nil, err
	}
	defer q.Close() //nolint:errcheck // q.Err has it
	var rows []sealedRow
	for q.Next() {
		var r sealedRow
		if err := q.Scan(&r.Namespace, &r.Mount, &r.Path, &r.version, &r.sealed, &r.previous); err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, q.Err()
}
