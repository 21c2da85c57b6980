package seal

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// writeEnv, set to anything, makes this test binary write one document again
// and again, below the directory it was started in, until it is killed.
const writeEnv = "SEAL_TEST_WRITE"

// rotateEnv, set to anything, makes it rotate the keyset again and again.
const rotateEnv = "SEAL_TEST_ROTATE"

func TestMain(m *testing.M) {
	work := writeForEver
	if os.Getenv(rotateEnv) != "" {
		work = rotateForEver
	}
	if os.Getenv(writeEnv) == "" && os.Getenv(rotateEnv) == "" {
		os.Exit(m.Run())
	}
	if err := work("."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// writeForEver prints the number of each version once it was written.
func writeForEver(dir string) error {
	ctx := context.Background()
	s := newStore(dir)
	out := bufio.NewWriter(os.Stdout)
	version := 0
	if d, err := s.Get(ctx, address); err == nil {
		version = d.Version
	}
	for {
		next := strconv.Itoa(version + 1)
		v, err := s.Put(ctx, address, map[string]secret.Value{"a": secret.New(next), "b": secret.New(next)}, version)
		if err != nil {
			return err
		}
		version = v
		fmt.Fprintln(out, version)
		if err := out.Flush(); err != nil {
			return err
		}
	}
}

// rotateForEver prints a number for each rotation that ended.
func rotateForEver(dir string) error {
	ctx := context.Background()
	s := newStore(dir)
	for n := 1; ; n++ {
		if _, err := s.Rotate(ctx, Rotation{DropOld: n%2 == 0}); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

var (
	address = store.Address{Mount: "keys", Path: "acme/cust-1"}
	now     = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
)

func dbPath(dir string) string     { return filepath.Join(dir, "data", "catalog.db") }
func keysetPath(dir string) string { return filepath.Join(dir, "config", "keyset") }

// newStore returns a store below dir that is not open yet.
func newStore(dir string) *Store {
	return New(Config{
		Open:   opener(dir),
		Keyset: Source{Path: keysetPath(dir)},
		Create: true,
		Now:    func() time.Time { return now },
	})
}

func opener(dir string) func(context.Context) (Database, error) {
	return func(ctx context.Context) (Database, error) {
		db, err := catalog.Open(ctx, catalog.Config{Path: dbPath(dir)})
		if err != nil {
			return nil, err
		}
		return db, nil
	}
}

// openStore returns an open store below dir that the test closes.
func openStore(t *testing.T, dir string) *Store {
	t.Helper()
	s := newStore(dir)
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

// rawDB returns the database below dir, to look at it and to tamper with it.
func rawDB(t *testing.T, dir string) *catalog.DB {
	t.Helper()
	db, err := catalog.Open(t.Context(), catalog.Config{Path: dbPath(dir)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func mustExec(t *testing.T, db *catalog.DB, query string, args ...any) {
	t.Helper()
	r, err := db.SQL().ExecContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s changed %d rows, %v", query, n, err)
	}
}

func key(v string) map[string]secret.Value {
	return map[string]secret.Value{store.DefaultField: secret.New(v)}
}

func mustPut(t *testing.T, s *Store, a store.Address, v string, cas int) {
	t.Helper()
	if _, err := s.Put(t.Context(), a, key(v), cas); err != nil {
		t.Fatal(err)
	}
}

func wantKey(t *testing.T, s *Store, a store.Address, want string) {
	t.Helper()
	d, err := s.Get(t.Context(), a)
	if err != nil {
		t.Errorf("%q: %v", a, err)
		return
	}
	if got := d.Fields[store.DefaultField].Value.Reveal(); got != want {
		t.Errorf("%q: got %q, want %q", a, got, want)
	}
}
