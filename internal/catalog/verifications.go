// This file holds which keys are due to be tried.

package catalog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// ClaimVerifications returns up to limit connections of an integration whose key
// is due to be tried, longest due first, and enters that each is due again after
// the interval, or up to a tenth sooner: what came at once does not stay so. Of
// all nodes that ask, one is given a connection. Disabled ones are passed over.
func (db *DB) ClaimVerifications(ctx context.Context, integration string, limit int, interval time.Duration) ([]string, error) {
	doing := fmt.Sprintf("claiming keys of %q to try", integration)
	const due = `FROM connections WHERE integration = $1 AND verify_at <= $2 AND NOT disabled`
	// Most often there are none, and nobody has to wait for that.
	var some bool
	err := db.shared.sql.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 "+due+")", integration, toMillis(db.now())).Scan(&some)
	if err != nil || !some {
		return nil, classed(ctx, doing, err)
	}
	var claimed []string
	err = db.write(ctx, doing, func(t *tx) error {
		rows, err := t.QueryContext(ctx, "SELECT id "+due+" ORDER BY verify_at, id LIMIT $3", integration, toMillis(t.now), limit)
		claimed, err = collect(rows, err, func(s scanner) (id string, err error) { return id, s.Scan(&id) })
		if err != nil {
			return err
		}
		for rest := claimed; len(rest) > 0; {
			n := min(len(rest), batch)
			args := make([]any, 0, 3*n)
			for _, id := range rest[:n] {
				args = append(args, integration, id, toMillis(t.now.Add(interval-sooner(interval))))
			}
			if _, err := t.ExecContext(ctx, `
				UPDATE connections SET verify_at = v.column3
				FROM (VALUES `+tuples(n, "TEXT", "TEXT", "BIGINT")+`) AS v
				WHERE integration = v.column1 AND id = v.column2`, args...); err != nil {
				return err
			}
			rest = rest[n:]
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// sooner draws up to a tenth of an interval.
func sooner(interval time.Duration) time.Duration {
	return time.Duration(rand.Int64N(int64(interval)/10 + 1)) //nolint:gosec // no secret
}
