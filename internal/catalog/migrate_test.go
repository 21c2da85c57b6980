package catalog

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk.db")
	if err := os.WriteFile(junk, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cfg  Config
		want string
	}{
		"a driver it does not know":     {Config{Driver: "oracle", Path: junk}, `unknown driver "oracle"`},
		"no path":                       {Config{Driver: "sqlite"}, "needs a path"},
		"a file that is no database":    {Config{Path: junk}, "junk.db"},
		"a directory that is no folder": {Config{Path: filepath.Join(junk, "x.db")}, "directory"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(t.Context(), c.cfg)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q in it", err, c.want)
			}
		})
	}
	t.Run("and lets go of the lock", func(t *testing.T) {
		if err := os.Remove(junk); err != nil {
			t.Fatal(err)
		}
		mustOpen(t, junk)
	})
}

func TestOpenObeysItsContextBehindASlowOne(t *testing.T) {
	gate <- struct{}{} // somebody migrates
	defer func() { <-gate }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, Config{Path: filepath.Join(t.TempDir(), "c.db")}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func TestASecondOpenMigratesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	count := func() (n int) {
		db := mustOpen(t, path)
		defer func() { _ = db.Close() }()
		if err := db.SQL().QueryRowContext(t.Context(), "SELECT count(*) FROM "+versionTable).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if first, second := count(), count(); first != second {
		t.Errorf("history went from %d to %d rows", first, second)
	}
}

func TestANewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	db := mustOpen(t, path)
	if _, err := db.SQL().ExecContext(t.Context(), "INSERT INTO "+versionTable+" (version_id, is_applied) VALUES (9999, 1)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), Config{Path: path})
	if err == nil || !strings.Contains(err.Error(), "version 9999") {
		t.Fatalf("got %v, want the schema's version in it", err)
	}
}

func TestAddressesAreComparedByteByByte(t *testing.T) {
	db := mustOpen(t, filepath.Join(t.TempDir(), "catalog.db"))
	ids := []string{"Cust-1", "cust-1", "a b", "a_b", "a..b", "ab", "ab ", "\u00e9", "e\u0301"}
	for _, id := range ids {
		if _, err := db.SQL().ExecContext(t.Context(),
			`INSERT INTO sealed_keys (namespace, mount, path, version, sealed, created_at) VALUES ('', '', $1, 1, x'00', 0)`, id); err != nil {
			t.Fatalf("%q: %v", id, err)
		}
	}
	for _, id := range ids {
		var got string
		if err := db.SQL().QueryRowContext(t.Context(), `SELECT path FROM sealed_keys WHERE path = $1`, id).Scan(&got); err != nil || got != id {
			t.Errorf("%q: got %q, %v", id, got, err)
		}
	}
}

func TestPurgeEmptiesTheLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	db := mustOpen(t, path)
	if size(t, path+"-wal") == 0 {
		t.Fatal("the log is empty before, this test would show nothing")
	}
	if err := db.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := size(t, path+"-wal"); n != 0 {
		t.Errorf("the log still has %d bytes", n)
	}
}

func TestPurgeSaysWhenItCouldNot(t *testing.T) {
	db := mustOpen(t, filepath.Join(t.TempDir(), "catalog.db"))
	tx, err := db.SQL().BeginTx(t.Context(), nil) // holds the log
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	c, err := db.SQL().Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ExecContext(t.Context(), "PRAGMA busy_timeout = 0"); err != nil { // the test need not wait
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Purge(t.Context()); err == nil {
		t.Error("no error though a transaction held the log")
	}
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return fi.Size()
}
