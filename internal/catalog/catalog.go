// Package catalog opens the database that holds descriptions (integrations and
// connections made through the API) and the sealed keys of the local store.
//
// One process owns a sqlite database; a postgres one may serve many. Within a
// process every [Open] of the same database shares one pool, because a reload
// has two configurations alive.
package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// ErrInUse says that another process has the database open.
var ErrInUse = errors.New("the database is in use by another process")

// Config says which database to open.
type Config struct {
	// Driver of the database: sqlite or postgres. Default: sqlite.
	Driver string

	// Path of the database file, for sqlite. Required there. Its directory is
	// made when it is missing.
	Path string

	// URL of the database, for postgres. Required there. It may hold a
	// password, and so is in no error.
	URL secret.Value

	// Observe is told of each question to the database: one of the Op constants,
	// one of the Result constants, and the time that it took. It must not block.
	// Of all handles on one database the first decides. May be nil.
	Observe func(op, result string, took time.Duration)

	// Now is the clock of all that is written. Default: time.Now.
	Now func() time.Time
}

// Check refuses a configuration that cannot be one. It touches nothing, and its
// errors hold nothing of the URL.
func (c Config) Check() error {
	if _, err := dialectOf(c.Driver); err != nil {
		return err
	}
	if c.Driver == "postgres" {
		_, err := serverConfig(c.URL.Reveal())
		return err
	}
	return nil
}

// DB is one holder's handle on an open, migrated database.
type DB struct {
	shared *shared
	clock  func() time.Time
	after  func(time.Duration) <-chan time.Time // time.After, but in tests
	closed sync.Once
}

// shared is what all handles on one database have in common.
type shared struct {
	target
	sql     pool
	dialect dialect
	holders int           // guarded by gate
	turn    chan struct{} // held by who writes: see [DB.write]
	bell    bell          // rung at each change
	crowded atomic.Uint64 // see [DB.Crowded]
}

// target is a database that this process may use.
type target struct {
	id      string       // key in open; may be made of a secret, so never shown
	name    string       // for people: the file, or the server and its database
	url     secret.Value // of a server
	release func() error // gives up the hold on the database's lock
}

var (
	// gate guards open and every holders count. A channel and not a mutex, so
	// that who waits behind a long migration still obeys its context.
	gate = make(chan struct{}, 1)

	open = map[string]*shared{}
)

// Open opens the database, makes it when there is none, and brings its schema
// up to date. A database already open in this process is shared. Where only one
// process may have the database, a second one gets an [ErrInUse]. The caller
// closes the handle.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	d, err := dialectOf(cfg.Driver)
	if err != nil {
		return nil, err
	}
	select {
	case gate <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("opening the catalog: %w", ctx.Err())
	}
	defer func() { <-gate }()

	t, err := d.acquire(cfg, func(id string) bool { return open[id] != nil })
	if err != nil {
		return nil, fmt.Errorf("opening the catalog: %w", err)
	}
	s := open[t.id]
	if s == nil {
		opened, err := prepare(ctx, d, t)
		if err != nil {
			return nil, fmt.Errorf("opening the catalog %s: %w", t.name, errors.Join(err, t.release()))
		}
		s = &shared{target: t, sql: pool{opened, cfg.Observe}, dialect: d, turn: make(chan struct{}, 1)}
		open[t.id] = s
	}
	s.holders++
	db := &DB{shared: s, clock: cfg.Now, after: time.After}
	if db.clock == nil {
		db.clock = time.Now
	}
	return db, nil
}

// prepare returns a pool on the database, with its schema up to date.
func prepare(ctx context.Context, d dialect, t target) (*sql.DB, error) {
	pool, err := d.connect(t)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, d, pool); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return pool, nil
}

// SQL returns the connection pool. It is shared: only [DB.Close] closes it.
// Parameters are written $1, $2, … which every dialect here understands.
func (db *DB) SQL() *sql.DB { return db.shared.sql.DB }

// Path returns where the database is: for sqlite the absolute file name, with
// symbolic links resolved; for postgres the server and the database's name.
func (db *DB) Path() string { return db.shared.name }

// Purge takes deleted rows out of what the database keeps beside its tables
// (for sqlite the write-ahead log). Deleted rows are gone from the tables
// before; an error says that bytes of theirs may still be in a file. What a
// postgres server keeps, in its log and its backups, is not ours to purge: it
// does nothing there.
func (db *DB) Purge(ctx context.Context) error {
	// Not while another writes or purges: two that empty the log at once would
	// be in each other's way.
	return db.turn(ctx, func() error { return db.shared.dialect.purge(ctx, db.shared.sql.DB) })
}

// Close gives the handle back. The last one closes the database and lets other
// processes have it. Only the first call does anything.
func (db *DB) Close() error {
	var err error
	db.closed.Do(func() {
		gate <- struct{}{}
		defer func() { <-gate }()
		s := db.shared
		if s.holders--; s.holders > 0 {
			return
		}
		delete(open, s.id)
		if err = errors.Join(s.sql.Close(), s.release()); err != nil {
			err = fmt.Errorf("closing the catalog %s: %w", s.name, err)
		}
	})
	return err
}

// now is the clock as rows keep it: whole milliseconds, UTC.
func (db *DB) now() time.Time { return db.clock().UTC().Truncate(time.Millisecond) }
