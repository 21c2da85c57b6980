package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// sqlite is the embedded database: one file, one process.
var sqlite = dialect{
	goose:      goose.DialectSQLite3,
	migrations: "migrations/sqlite",
	acquire:    acquireFile,
	connect:    connectFile,
	purge:      truncateLog,
}

// pragmas are set on each connection. FULL makes a commit survive a loss of
// power; secure_delete overwrites what is deleted; 5 s is longer than any of
// our own writes, so a writer waits for another and does not fail.
var pragmas = []string{
	"busy_timeout(5000)", // first: the change to WAL may have to wait
	"journal_mode(WAL)",
	"synchronous(FULL)",
	"foreign_keys(ON)",
	"secure_delete(ON)",
}

// connections is how many there are at most: one that writes, a few that read
// beside it. Requests do not come here, the keyring answers them.
const connections = 4

// acquireFile makes the directory and the file with their modes, and takes the
// lock beside the file.
func acquireFile(cfg Config, isOpen func(string) bool) (target, error) {
	if cfg.Path == "" {
		return target{}, errors.New("sqlite needs a path")
	}
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
		return target{}, fmt.Errorf("making the database's directory: %w", err)
	}
	path, err := resolve(cfg.Path)
	if err != nil {
		return target{}, fmt.Errorf("resolving the database's path: %w", err)
	}
	if isOpen(path) {
		return target{id: path}, nil
	}
	release, err := lock(path)
	if err != nil {
		return target{}, err
	}
	if err := restrict(path); err != nil {
		return target{}, errors.Join(err, release())
	}
	return target{id: path, name: path, release: release}, nil
}

// resolve returns the one absolute name of a file that may not be there yet.
func resolve(path string) (string, error) {
	if file, err := filepath.EvalSymlinks(path); err == nil {
		return filepath.Abs(file)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	return filepath.Abs(filepath.Join(dir, filepath.Base(path)))
}

// restrict makes the database file when it is missing and takes every access
// but the owner's from it and its companions. sqlite gives new companions the
// mode of the database file.
func restrict(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("making the database file: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("making the database file: %w", err)
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if err := os.Chmod(name, 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("restricting the database's files to their owner: %w", err)
		}
	}
	return nil
}

func connectFile(t target) (*sql.DB, error) {
	pool, err := sql.Open("sqlite", dsn(t.id))
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	return pool, nil
}

// dsn returns the driver's name for path. A URI, so that no byte of the path
// is taken for an option. A transaction takes the write lock at its beginning:
// one that reads first and writes later could not be retried by busy_timeout.
func dsn(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") { // a Windows drive
		path = "/" + path
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{
		"_pragma": pragmas,
		"_txlock": {"immediate"},
	}.Encode()}
	return u.String()
}

// truncateLog moves the write-ahead log into the database file and empties it:
// the log still has the pages from before a deletion.
func truncateLog(ctx context.Context, pool *sql.DB) error {
	var busy, frames, moved int
	if err := pool.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved); err != nil {
		return fmt.Errorf("emptying the write-ahead log: %w", err)
	}
	if busy != 0 {
		return errors.New("emptying the write-ahead log: a long read holds it")
	}
	return nil
}
