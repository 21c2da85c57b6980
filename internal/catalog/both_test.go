// This file holds how one test runs on every driver.

package catalog

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/pgtest"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// drivers are what the suite runs on.
var drivers = []string{"sqlite", "postgres"}

// both runs f once for each driver, with a new database.
func both(t *testing.T, f func(t *testing.T, s *site)) {
	t.Helper()
	for _, driver := range drivers {
		t.Run(driver, func(t *testing.T) { f(t, newSite(t, driver)) })
	}
}

// site is a database, with a clock that its handles share.
type site struct {
	t      *testing.T
	driver string
	url    string
	path   string
	nodes  int

	mu  sync.Mutex
	now time.Time
}

func newSite(t *testing.T, driver string) *site {
	t.Helper()
	s := &site{t: t, driver: driver, now: time.Date(2026, 7, 1, 12, 0, 0, 123e6, time.UTC)}
	if driver == "postgres" {
		s.url = pgtest.Database(t)
	} else {
		s.path = filepath.Join(t.TempDir(), "catalog.db")
	}
	return s
}

// config returns how the database is opened. Two of them are two pools on
// postgres, as two processes have, and one and the same on sqlite, which lets
// no second process in.
func (s *site) config() Config {
	s.nodes++
	c := Config{Driver: s.driver, Path: s.path, Now: s.clock}
	if s.url != "" {
		c.URL = secret.New(fmt.Sprintf("%s&application_name=node%d", s.url, s.nodes))
	}
	return c
}

// open returns a handle as a further node has it.
func (s *site) open() *DB {
	s.t.Helper()
	db, err := Open(s.t.Context(), s.config())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = db.Close() })
	return db
}

func (s *site) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.Add(456 * time.Microsecond) // rows keep milliseconds
}

func (s *site) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func anIntegration(key string) *Integration {
	return &Integration{
		UniqueKey: key, Provider: "private-api-generic", DisplayName: "Acme", BaseURL: "https://api.acme.example/v1",
		KeyPlacement: "header", KeyName: "X-Api-Key", ValueTemplate: "${apiKey}", KeyLabel: "API Key",
	}
}

func aConnection(integration, id string) *Connection {
	return &Connection{Integration: integration, ID: id, Origin: "https://api.acme.example"}
}

func mustCreate(t *testing.T, db *DB, c *Connection) *Connection {
	t.Helper()
	if err := db.CreateConnection(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return c
}

func mustIntegrate(t *testing.T, db *DB, key string) *Integration {
	t.Helper()
	i := anIntegration(key)
	if err := db.CreateIntegration(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	return i
}

func mustRead(t *testing.T, db *DB, integration, id string) *Connection {
	t.Helper()
	c, err := db.Connection(t.Context(), integration, id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// want fails the test unless err is the answer, and no other.
func want(t *testing.T, what string, err, answer error) {
	t.Helper()
	if !errors.Is(err, answer) || (answer != ErrUnavailable && errors.Is(err, ErrUnavailable)) {
		t.Errorf("%s: got %v, want %v", what, err, answer)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\ngot  %+v\nwant %+v", what, got, want)
	}
}

// since returns what was changed after a number.
func since(t *testing.T, db *DB, after int64) []Change {
	t.Helper()
	changes, err := db.Changes(t.Context(), after, 100_000)
	must(t, err)
	return changes
}

func last(t *testing.T, db *DB) int64 {
	t.Helper()
	seq, err := db.LastChange(t.Context())
	must(t, err)
	return seq
}

// ended is a context that is over.
func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// bulk runs a statement that selects from n, whose column i counts to count.
func bulk(t *testing.T, db *DB, count int, query string, args ...any) {
	t.Helper()
	query = strings.Replace(query, "SELECT", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT", 1)
	mustExec(t, db, query, append([]any{count}, args...)...)
}

func mustExec(t *testing.T, db *DB, query string, args ...any) {
	t.Helper()
	if _, err := db.SQL().ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}
