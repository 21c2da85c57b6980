// This file holds how connections are counted and paged by how they are doing.

package catalog

import "context"

// Standing is how a connection is doing, as far as its row tells.
type Standing string

// The standings.
const (
	StandingOK         Standing = "ok"      // nothing speaks against it
	StandingUnknown    Standing = "unknown" // its upstream gave no verdict on the key
	StandingAuthFailed Standing = "auth_failed"
	StandingDisabled   Standing = "disabled"
)

// Standing returns how a connection is doing.
func (c *Connection) Standing() Standing {
	switch {
	case c.Disabled:
		return StandingDisabled
	case c.AuthFailedVersion > 0 && c.AuthFailedVersion == c.KeyVersion:
		return StandingAuthFailed
	case c.Unverified:
		return StandingUnknown
	}
	return StandingOK
}

// Group is connections of one integration that are doing the same.
type Group struct {
	Integration string
	Origin      string // where their keys may go
	Standing    Standing
	Count       int
}

// Groups counts all connections, or those of some integrations, in one walk
// along an index.
func (db *DB) Groups(ctx context.Context, integrations []string) ([]Group, error) {
	query, args := "SELECT integration, origin, standing, count(*) FROM connections", make([]any, 0, len(integrations))
	if len(integrations) > 0 {
		for _, key := range integrations {
			args = append(args, key)
		}
		query += " WHERE integration IN " + tuples(1, make([]string, len(args))...)
	}
	rows, err := db.shared.sql.QueryContext(ctx, query+" GROUP BY integration, origin, standing ORDER BY integration, origin, standing", args...)
	all, err := collect(rows, err, func(row scanner) (g Group, err error) {
		return g, row.Scan(&g.Integration, &g.Origin, &g.Standing, &g.Count)
	})
	return all, classed(ctx, "counting connections", err)
}

// ConnectionsIn returns connections of a group, the newest first: at most limit,
// after the first offset.
func (db *DB) ConnectionsIn(ctx context.Context, g Group, limit, offset int) ([]*Connection, error) {
	rows, err := db.shared.sql.QueryContext(ctx, groupQuery, g.Integration, g.Origin, g.Standing, limit, offset)
	all, err := collect(rows, err, scanConnection)
	return all, classed(ctx, "listing connections", err)
}

const groupQuery = "SELECT " + connectionColumns + ` FROM connections c
	WHERE c.integration = $1 AND c.origin = $2 AND c.standing = $3
	ORDER BY c.created_at DESC, c.id LIMIT $4 OFFSET $5`
