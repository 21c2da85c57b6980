// This file holds what happens with many rows. The race detector checks every
// pointer of the embedded database, which makes a minute of two seconds and
// times meaningless; so make test runs this without it.

//go:build !race

package catalog

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const manyConnections, manyIntegrations = 100_000, 10_000

// crowd makes the rows: ten connections for each integration, half of them in
// the environment prod, a hundred for each team, some with a serial
// number.
func crowd(t *testing.T, db *DB) {
	t.Helper()
	bulk(t, db, manyIntegrations, `
		INSERT INTO integrations (`+integrationColumns+`)
		SELECT 'api-' || i, 'private-api-generic', 'API', false, 'https://api.example', 'header', 'X-Api-Key', '', '', '', '', 0, false, 1, i, 1, '', 0 FROM n`)
	bulk(t, db, manyConnections, fmt.Sprintf(`
		INSERT INTO connections (integration, id, config, metadata, tags, end_user, end_user_id, organization_id, search,
			webhook_url_override, origin, fingerprint, key_version, key_updated_at, disabled, created_at, updated_at, revision)
		SELECT 'api-' || (1 + i %% %d), 'cust-' || i, '', '', '', '', 'user-' || (i %% 20000), 'org-' || (i %% 500), 'cust-' || i,
			'', '', '', 1, 0, false, i / 3, i / 3, 1 FROM n`, manyIntegrations))
	for name, value := range map[string]string{
		"env":    "CASE WHEN CAST(substr(id, 6) AS BIGINT) % 2 = 0 THEN 'prod' ELSE 'test' END",
		"team":   "'team-' || (CAST(substr(id, 6) AS BIGINT) % 1000)",
		"serial": "id",
	} {
		where := ""
		if name == "serial" {
			where = " WHERE id LIKE '%7'"
		}
		mustExec(t, db, `INSERT INTO connection_tags (integration, connection_id, name, value, created_at)
			SELECT integration, id, $1, `+value+`, created_at FROM connections`+where, name)
	}
}

func TestListingManyConnectionsReadsAnIndex(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		crowd(t, db)
		if s.driver == "postgres" {
			mustExec(t, db, "ANALYZE") // as the server does by itself, a little later
		}
		for name, c := range map[string]struct {
			f    ConnectionFilter
			want int
		}{
			"no filter":              {ConnectionFilter{Limit: 100}, 100},
			"id":                     {ConnectionFilter{ID: "cust-777"}, 1},
			"end user":               {ConnectionFilter{EndUserID: "user-7"}, 5},
			"organization":           {ConnectionFilter{OrganizationID: "org-7", Limit: 100}, 100},
			"organization, all":      {ConnectionFilter{OrganizationID: "org-7"}, 200},
			"integration":            {ConnectionFilter{Integrations: []string{"api-7"}}, 10},
			"integration, a page":    {ConnectionFilter{Integrations: []string{"api-7"}, Limit: 100}, 10},
			"integrations":           {ConnectionFilter{Integrations: []string{"api-7", "api-8", "none"}, Limit: 100}, 20},
			"a tag of half of them":  {ConnectionFilter{Tags: map[string]string{"env": "prod"}, Limit: 100}, 100},
			"its tenth page":         {ConnectionFilter{Tags: map[string]string{"env": "prod"}, Limit: 100, Offset: 900}, 100},
			"a tag of a hundred":     {ConnectionFilter{Tags: map[string]string{"team": "team-7"}, Limit: 1000}, 100},
			"a tag of one":           {ConnectionFilter{Tags: map[string]string{"serial": "cust-7"}, Limit: 100}, 1},
			"a tag of none":          {ConnectionFilter{Tags: map[string]string{"env": "none"}, Limit: 100}, 0},
			"two tags":               {ConnectionFilter{Tags: map[string]string{"env": "test", "team": "team-7"}, Limit: 100}, 100},
			"two tags of none":       {ConnectionFilter{Tags: map[string]string{"env": "prod", "team": "team-7"}, Limit: 100}, 0},
			"a tag and integrations": {ConnectionFilter{Tags: map[string]string{"team": "team-7"}, Integrations: []string{"api-8", "api-1008"}}, 20},
			"a tag and an end user":  {ConnectionFilter{Tags: map[string]string{"env": "test"}, EndUserID: "user-7", Limit: 100}, 5},
		} {
			t.Run(name, func(t *testing.T) {
				tags, err := db.rarestFirst(t.Context(), c.f.Tags)
				must(t, err)
				query, args := c.f.query(tags)
				for _, line := range plan(t, db, query, args) {
					// A list of all in their order is an index read from its start.
					if scans(line) && (name != "no filter" || !strings.Contains(line, "connections_by_age")) {
						t.Errorf("a table is read whole: %s", line)
					}
				}
				if t.Failed() {
					t.Log(strings.Join(plan(t, db, query, args), "\n"))
				}
				if took := fastest(t, db, c.f, c.want); took > 100*time.Millisecond {
					t.Errorf("it took %s", took)
				}
			})
		}
	})
}

// Ten connections of each integration, 10,000 of them refused at once: counting
// them is one walk, and a page one look.
func TestListingManyConnectionsByStateWalksAnIndex(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		crowd(t, db)
		mustExec(t, db, "UPDATE connections SET auth_failed_version = key_version WHERE id LIKE '%7'")
		if s.driver == "postgres" {
			mustExec(t, db, "VACUUM ANALYZE") // as the server does by itself, a little later
		}
		took := make([]time.Duration, 0, 5)
		failed := 0
		for range cap(took) {
			start := time.Now()
			all, err := db.Groups(t.Context(), nil)
			took = append(took, time.Since(start))
			must(t, err)
			failed = 0
			for _, g := range all {
				if g.Standing == StandingAuthFailed {
					failed += g.Count
				}
			}
		}
		if best := slices.Min(took); failed != manyConnections/10 || best > 200*time.Millisecond {
			t.Errorf("%d are refused, in %s", failed, best)
		}
		for _, line := range plan(t, db, groupQuery, []any{"api-8", "", "auth_failed", 100, 0}) {
			if scans(line) || strings.Contains(line, "Sort") || strings.Contains(line, "TEMP B-TREE") {
				t.Errorf("a page is no look into the index: %s", line)
			}
		}
	})
}

// plan returns how the database goes about a query.
func plan(t *testing.T, db *DB, query string, args []any) []string {
	t.Helper()
	explain := "EXPLAIN "
	if db.shared.dialect.forUpdate == "" {
		explain = "EXPLAIN QUERY PLAN "
	}
	rows, err := db.SQL().QueryContext(t.Context(), explain+query, args...)
	lines, err := collect(rows, err, func(row scanner) (line string, err error) {
		if explain == "EXPLAIN " {
			return line, row.Scan(&line)
		}
		var id, parent, unused int
		err = row.Scan(&id, &parent, &unused, &line)
		return line, err
	})
	must(t, err)
	if len(lines) == 0 {
		t.Fatal("no plan")
	}
	return lines
}

// scans tells whether a line of a plan reads a whole table or index.
func scans(line string) bool {
	return strings.Contains(line, "Seq Scan") || strings.HasPrefix(line, "SCAN")
}

// fastest returns how long the fastest of some runs took: the others were
// slowed by something else.
func fastest(t *testing.T, db *DB, f ConnectionFilter, want int) time.Duration {
	t.Helper()
	took := make([]time.Duration, 0, 5)
	for range cap(took) {
		start := time.Now()
		all, err := db.Connections(t.Context(), f)
		took = append(took, time.Since(start))
		must(t, err)
		if len(all) != want {
			t.Fatalf("got %d connections, want %d", len(all), want)
		}
	}
	return slices.Min(took)
}

func TestASearchUsesTheTrigramIndexWhereThereIsOne(t *testing.T) {
	s := newSite(t, "postgres")
	db := s.open()
	crowd(t, db)
	mustExec(t, db, "ANALYZE")
	query, args := ConnectionFilter{Search: "ust-77777"}.query(nil)
	if lines := strings.Join(plan(t, db, query, args), "\n"); !scans(lines) {
		t.Fatalf("without the extension:\n%s", lines)
	}
	same(t, "found", ids(t, db, ConnectionFilter{Search: "UST-77777"}), []string{"cust-77777"})

	mustExec(t, db, "CREATE EXTENSION pg_trgm SCHEMA public")
	db = s.open()
	mustExec(t, db, "ANALYZE")
	if lines := strings.Join(plan(t, db, query, args), "\n"); scans(lines) || !strings.Contains(lines, "connections_search") {
		t.Errorf("with the extension:\n%s", lines)
	}
	same(t, "found", ids(t, db, ConnectionFilter{Search: "UST-77777"}), []string{"cust-77777"})
	s.open() // finds the index made
}
