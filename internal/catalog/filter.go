// This file holds how connections are listed.

package catalog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Connections returns the connections that f picks, the newest first, those of
// one moment by id and integration. All but a search and an age is answered from an index.
func (db *DB) Connections(ctx context.Context, f ConnectionFilter) ([]*Connection, error) {
	const doing = "listing connections"
	tags, err := db.rarestFirst(ctx, f.Tags)
	if err != nil {
		return nil, classed(ctx, doing, err)
	}
	query, args := f.query(tags)
	rows, err := db.shared.sql.QueryContext(ctx, query, args...)
	all, err := collect(rows, err, scanConnection)
	return all, classed(ctx, doing, err)
}

// query returns the statement that f stands for. One table leads, such that it
// yields few rows or all in order, and the other conditions look up each:
// without figures about the rows, and sqlite has none, a planner would guess.
func (f ConnectionFilter) query(tags []string) (string, []any) {
	var (
		args  []any
		where []string
		param = func(v any) string {
			args = append(args, v)
			return fmt.Sprintf("$%d", len(args))
		}
		equal = func(column, v string) {
			if v != "" {
				where = append(where, column+" = "+param(v))
			}
		}
	)
	equal("c.id", f.ID)
	equal("c.end_user_id", f.EndUserID)
	equal("c.organization_id", f.OrganizationID)
	from, order := "connections c", "c.created_at DESC, c.id, c.integration"
	if len(tags) > 0 && len(where) == 0 {
		// sqlite takes the tables of a CROSS JOIN from left to right.
		from = "connection_tags t CROSS JOIN connections c"
		order = "t.created_at DESC, t.connection_id, t.integration"
		where = append(where, "t.name = "+param(tags[0]), "t.value = "+param(f.Tags[tags[0]]),
			"c.integration = t.integration", "c.id = t.connection_id")
		tags = tags[1:]
	}
	for _, name := range tags {
		where = append(where, `EXISTS (SELECT 1 FROM connection_tags o WHERE o.integration = c.integration
			AND o.connection_id = c.id AND o.name = `+param(name)+" AND o.value = "+param(f.Tags[name])+")")
	}
	if len(f.Integrations) > 0 {
		in := make([]string, len(f.Integrations))
		for i, key := range f.Integrations {
			in[i] = param(key)
		}
		where = append(where, "c.integration IN ("+strings.Join(in, ", ")+")")
	}
	if f.Search != "" {
		where = append(where, "c.search LIKE "+param("%"+escape.Replace(fold(f.Search))+"%")+` ESCAPE '\'`)
	}
	if !f.KeyBefore.IsZero() {
		where = append(where, "c.key_updated_at < "+param(toMillis(f.KeyBefore)))
	}
	query := "SELECT " + connectionColumns + " FROM " + from
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	query += " ORDER BY " + order
	switch {
	case f.Limit > 0:
		query += " LIMIT " + param(f.Limit) + " OFFSET " + param(f.Offset)
	case f.Offset > 0: // sqlite has no OFFSET alone
		query += " LIMIT 9223372036854775807 OFFSET " + param(f.Offset)
	}
	return query, args
}

// escape makes a text mean itself in LIKE.
var escape = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// enough is where a tag counts as frequent.
const enough = 1000

// rarestFirst returns the names of tags, the one that the fewest connections
// have first.
func (db *DB) rarestFirst(ctx context.Context, tags map[string]string) ([]string, error) {
	names := slices.Sorted(maps.Keys(tags))
	if len(names) < 2 {
		return names, nil
	}
	counts := make(map[string]int, len(names))
	for _, name := range names {
		var n int
		err := db.shared.sql.QueryRowContext(ctx, `
			SELECT count(*) FROM (SELECT 1 FROM connection_tags WHERE name = $1 AND value = $2 LIMIT $3) few`,
			name, tags[name], enough).Scan(&n)
		if err != nil {
			return nil, err
		}
		counts[name] = n
	}
	slices.SortStableFunc(names, func(a, b string) int { return counts[a] - counts[b] })
	return names, nil
}
