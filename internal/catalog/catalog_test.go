package catalog

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// holdEnv names a database that this test binary, started as a child, opens
// and holds until its standard input ends.
const holdEnv = "CATALOG_TEST_HOLD"

func TestMain(m *testing.M) {
	if os.Getenv(writeEnv) != "" {
		fmt.Fprintln(os.Stderr, writeForEver(os.Getenv(writeEnv)))
		os.Exit(1)
	}
	path := os.Getenv(holdEnv)
	if path == "" {
		os.Exit(m.Run())
	}
	db, err := Open(context.Background(), Config{Path: path})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("open")
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = db.Close()
}

func mustOpen(t *testing.T, path string) *DB {
	t.Helper()
	db, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestOpenMakesARestrictedDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "catalog ?#%41é.db")
	db := mustOpen(t, path)
	if _, err := db.SQL().ExecContext(t.Context(), `INSERT INTO keyset_check (id, sealed) VALUES ($1, $2)`, 1, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if got, want := db.Path(), realPath(t, path); got != want {
		t.Errorf("path is %s, want %s", got, want)
	}
	if runtime.GOOS == "windows" {
		return // modes mean nothing there
	}
	for name, want := range map[string]os.FileMode{
		filepath.Dir(path): 0o700, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600, path + ".lock": 0o600,
	} {
		if got := mode(t, name); got != want {
			t.Errorf("%s has mode %o, want %o", filepath.Base(name), got, want)
		}
	}
}

func TestOpenTightensAnExistingDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	if err := mustOpen(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, path)
	if got := mode(t, path); got != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("mode is %o, want 600", got)
	}
}

func TestEveryConnectionIsSetUp(t *testing.T) {
	db := mustOpen(t, filepath.Join(t.TempDir(), "catalog.db"))
	for range connections {
		c, err := db.SQL().Conn(t.Context()) // held, so that each is another one
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "secure_delete": "1", "busy_timeout": "5000",
		} {
			var got string
			if err := c.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("%s is %s, want %s", pragma, got, want)
			}
		}
	}
}

func TestOneProcessSharesTheDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	first := mustOpen(t, path)
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	second := mustOpen(t, link)
	if first.SQL() != second.SQL() {
		t.Error("two names of one file got two pools")
	}
	for range 2 { // the second call must not take the other's share
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := second.SQL().PingContext(t.Context()); err != nil {
		t.Errorf("closing one handle closed the other: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if err := second.SQL().PingContext(t.Context()); err == nil {
		t.Error("the last handle did not close the database")
	}
}

func TestOpenAndCloseFromManySides(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 5 {
				db, err := Open(t.Context(), Config{Path: path})
				if err != nil {
					t.Error(err)
					return
				}
				if err := db.SQL().PingContext(t.Context()); err != nil {
					t.Error(err)
				}
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestSecondProcessIsToldWhatToDo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	child, stdin := hold(t, path)
	_, err := Open(t.Context(), Config{Path: path})
	if !errors.Is(err, ErrInUse) {
		t.Fatalf("got %v, want ErrInUse", err)
	}
	for _, want := range []string{realPath(t, path), strconv.Itoa(child.Process.Pid), "admin API", "postgres", "Vault"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	_ = stdin.Close()
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, path)
}

func TestLockEndsWithAKilledProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	child, _ := hold(t, path)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	mustOpen(t, path)
}

// hold starts a process that has the database at path open.
func hold(t *testing.T, path string) (*exec.Cmd, io.Closer) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), holdEnv+"="+path)
	child.Stderr = os.Stderr
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "open\n" {
		t.Fatalf("the child said %q, %v", line, err)
	}
	return child, stdin
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return fi.Mode().Perm()
}

func realPath(t *testing.T, path string) string {
	t.Helper()
	p, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
