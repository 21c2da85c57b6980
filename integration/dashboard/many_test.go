package dashboard

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/pgtest"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

const (
	// failing are how many of the many connections fail. These are of a hundred
	// integrations.
	failing = many / 10

	// soon is how fast the status is to be on a machine that does nothing else.
	soon = 200 * time.Millisecond
)

// crowd fills a database with many connections. It is faster than the API.
func crowd(t *testing.T, cfg catalog.Config, url string) {
	t.Helper()
	db, err := catalog.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 100 {
		err := db.CreateIntegration(t.Context(), &catalog.Integration{
			UniqueKey: fmt.Sprintf("api-%d", n), Provider: "private-api-generic", DisplayName: "API", BaseURL: url,
			KeyPlacement: "header", KeyName: "X-Api-Key", ValueTemplate: "${apiKey}", KeyLabel: "API Key",
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = db.SQL().ExecContext(t.Context(), `
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
		INSERT INTO connections (integration, id, config, metadata, tags, end_user, end_user_id, organization_id, search, webhook_url_override,
			origin, fingerprint, key_version, key_updated_at, disabled, auth_failed_version, created_at, updated_at, revision)
		SELECT 'api-' || (i % 100), 'cust-' || i, '', '', '', '', '', '', 'cust-' || i, '', CAST($2 AS TEXT), '', 1, 1, false,
			CASE WHEN i <= $3 THEN 1 ELSE 0 END, i, 1, 1 FROM n`, many, url, failing)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Driver == "postgres" { // as the server does by itself, a little later
		if _, err := db.SQL().ExecContext(t.Context(), "VACUUM ANALYZE connections"); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// Of 100,000 connections 10,000 fail at once: the status stays as fast, and costs
// no memory.
func TestListingManyConnectionsInTheStatus(t *testing.T) {
	for driver, fill := range map[string]func(t *testing.T, url string, env *[]string) string{
		"sqlite": func(t *testing.T, url string, _ *[]string) string {
			path := filepath.Join(t.TempDir(), "catalog.db")
			crowd(t, catalog.Config{Path: path}, url)
			return "\t\tcatalog sqlite " + path + "\n"
		},
		"postgres": func(t *testing.T, url string, env *[]string) string {
			db := pgtest.Database(t)
			crowd(t, catalog.Config{Driver: "postgres", URL: secret.New(db)}, url)
			*env = append(*env, "MANY_DB="+db)
			return "\t\tcatalog postgres {env.MANY_DB}\n"
		},
	} {
		t.Run(driver, func(t *testing.T) {
			r := newRig(t, settings{catalog: fill})
			for _, query := range []string{"", "?status=auth_failed", fmt.Sprintf("?status=ok&limit=100&page=%d", many*8/1000), "?integration=api-7", "?limit=100&page=5"} {
				best := time.Hour
				// Others use the machine, too: one good answer shows what it takes.
				until(t, "a fast answer to "+query, func() bool {
					began := time.Now()
					a := r.manage(http.StatusOK, http.MethodGet, "/status"+query, "")
					best = min(best, time.Since(began))
					var answer struct {
						Totals      map[string]int
						Connections []struct{ Status string }
					}
					if err := json.Unmarshal([]byte(a.body), &answer); err != nil || len(answer.Connections) == 0 {
						t.Fatalf("%s: %v, %d connections", query, err, len(answer.Connections))
					}
					if query == "" && (answer.Totals["auth_failed"] != failing || answer.Totals["ok"] != many-failing || answer.Connections[0].Status != "auth_failed") {
						t.Fatalf("the totals are %v", answer.Totals)
					}
					return best < soon
				})
				t.Logf("%s: %s", query, best)
			}
			first := r.caddy.Heap()
			for range 100 {
				r.manage(http.StatusOK, http.MethodGet, "/status", "")
			}
			if last := r.caddy.Heap(); last > first+16<<20 {
				t.Errorf("the heap went from %d to %d bytes", first, last)
			}
		})
	}
}
