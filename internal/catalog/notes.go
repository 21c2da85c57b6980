// This file holds what traffic notes of connections. It is no change of their
// descriptions: it leaves Revision and UpdatedAt alone, and only whether a key
// is refused is announced.

package catalog

import (
	"cmp"
	"context"
	"slices"
)

// NoteUse notes when connections were used last. Give many at once: fifty
// share a transaction. Connections that are gone are passed over.
func (db *DB) NoteUse(ctx context.Context, uses []Sighting) error {
	for rest := latest(uses); len(rest) > 0; {
		n := min(len(rest), batch)
		args := make([]any, 0, 3*n)
		for _, s := range rest[:n] {
			args = append(args, s.Integration, s.ID, toMillis(s.At))
		}
		// A list of values names its columns so in both databases.
		err := db.write(ctx, "noting uses", func(t *tx) error {
			_, err := t.ExecContext(ctx, `
				UPDATE connections SET last_used_at = v.column3
				FROM (VALUES `+tuples(n, "TEXT", "TEXT", "BIGINT")+`) AS v
				WHERE integration = v.column1 AND id = v.column2 AND last_used_at < v.column3`, args...)
			return err
		})
		if err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// latest returns one use for each connection, the last: a statement that
// updates a row twice would take any of both.
func latest(uses []Sighting) []Sighting {
	sorted := slices.Clone(uses)
	slices.SortFunc(sorted, func(a, b Sighting) int {
		return cmp.Or(cmp.Compare(a.Integration, b.Integration), cmp.Compare(a.ID, b.ID), b.At.Compare(a.At))
	})
	return slices.CompactFunc(sorted, func(a, b Sighting) bool { return a.Integration == b.Integration && a.ID == b.ID })
}

// NoteAuthFailure notes that upstreams refused keys, and returns the sightings
// that made a difference: a version that was not yet known to be refused. Of
// all nodes that see the same, one is told so.
func (db *DB) NoteAuthFailure(ctx context.Context, failures []Sighting) ([]Sighting, error) {
	return db.note(ctx, "noting refused keys", failures, func(t *tx, s Sighting) (noted, error) {
		// A refusal that comes late, of a version before, says nothing of this one.
		_, err := t.ExecContext(ctx, `
			UPDATE connections SET last_auth_failure_at = $3
			WHERE integration = $1 AND id = $2 AND last_auth_failure_at < $3`, s.Integration, s.ID, toMillis(s.At))
		if err != nil {
			return noted{}, err
		}
		n, err := t.count(ctx, `
			UPDATE connections SET auth_failed_version = $3
			WHERE integration = $1 AND id = $2 AND auth_failed_version < $3`, s.Integration, s.ID, s.Version)
		if err != nil || n == 0 {
			return noted{}, err
		}
		if err := t.openAlert(ctx, Alert{
			Subject: ConnectionSubject(s.Integration, s.ID), Kind: ReasonAuthFailed,
			Integration: s.Integration, Connection: s.ID, KeyVersion: s.Version,
		}); err != nil {
			return noted{}, err
		}
		return noted{changed: true, news: true}, t.hook(ctx, s.Integration, s.ID, OperationRefresh, ReasonAuthFailed)
	})
}

// NoteAuthSuccess notes that upstreams took keys, and returns the sightings
// that made a difference: a version that was known to be refused, or one after
// it. That a key is not unverified any longer is announced, but is no news.
func (db *DB) NoteAuthSuccess(ctx context.Context, successes []Sighting) ([]Sighting, error) {
	return db.note(ctx, "noting accepted keys", successes, func(t *tx, s Sighting) (noted, error) {
		verified, err := t.count(ctx, `
			UPDATE connections SET unverified = false
			WHERE integration = $1 AND id = $2 AND unverified AND key_version <= $3`, s.Integration, s.ID, s.Version)
		if err != nil {
			return noted{}, err
		}
		n, err := t.count(ctx, `
			UPDATE connections SET auth_failed_version = 0
			WHERE integration = $1 AND id = $2 AND auth_failed_version > 0 AND auth_failed_version <= $3`, s.Integration, s.ID, s.Version)
		if err != nil || n == 0 {
			return noted{changed: verified > 0}, err
		}
		if err := t.resolveAlert(ctx, ConnectionSubject(s.Integration, s.ID)); err != nil {
			return noted{}, err
		}
		return noted{changed: true, news: true}, t.hook(ctx, s.Integration, s.ID, OperationRefresh, "")
	})
}

// noted is what became of a sighting: whether the row was changed, and whether
// that is news.
type noted struct{ changed, news bool }

func (db *DB) note(ctx context.Context, doing string, sightings []Sighting, apply func(*tx, Sighting) (noted, error)) ([]Sighting, error) {
	var news []Sighting
	err := db.write(ctx, doing, func(t *tx) error {
		for _, s := range sightings {
			is, err := apply(t, s)
			if err != nil {
				return err
			}
			if is.changed {
				t.changed(s.Integration, s.ID)
			}
			if is.news {
				news = append(news, s)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return news, nil
}
