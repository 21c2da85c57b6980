// This file holds which keys have grown old.

package catalog

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Aging is a step in the life of an integration's keys, from 1.
type Aging struct {
	Integration string
	Step        int
	Age         time.Duration // of a key that has come to it
	Limit       int
}

// ClaimAged returns up to a limit of connections whose key has come to a step of
// its life, and enters that this was told: of all nodes that ask one is given a
// connection, once, and never for a step before. The time of each is when its key
// was written. Another key begins anew.
func (db *DB) ClaimAged(ctx context.Context, a Aging) ([]Sighting, error) {
	doing := fmt.Sprintf("looking for old keys of %q", a.Integration)
	before := make([]string, a.Step)
	for step := range before {
		before[step] = strconv.Itoa(step)
	}
	// By the index, for each step before: those told already cost nothing.
	due := "FROM connections WHERE integration = $1 AND key_updated_at <= $2 AND key_version > 0 AND age_told IN (" + strings.Join(before, ", ") + ")"
	args := func(now time.Time) []any { return []any{a.Integration, toMillis(now.Add(-a.Age))} }
	var some bool
	err := db.shared.sql.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 "+due+")", args(db.now())...).Scan(&some)
	if err != nil || !some {
		return nil, classed(ctx, doing, err)
	}
	var claimed []Sighting
	err = db.write(ctx, doing, func(t *tx) error {
		rows, err := t.QueryContext(ctx, fmt.Sprintf("SELECT id, key_version, key_updated_at %s ORDER BY key_updated_at, id LIMIT %d", due, a.Limit), args(t.now)...)
		claimed, err = collect(rows, err, func(row scanner) (Sighting, error) {
			s, written := Sighting{Integration: a.Integration}, int64(0)
			err := row.Scan(&s.ID, &s.Version, &written)
			s.At = fromMillis(written)
			return s, err
		})
		for _, s := range claimed {
			if err == nil {
				_, err = t.ExecContext(ctx, "UPDATE connections SET age_told = $3 WHERE integration = $1 AND id = $2", a.Integration, s.ID, a.Step)
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}
