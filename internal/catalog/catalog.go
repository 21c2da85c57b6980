// Package catalog opens the database that holds descriptions (integrations and
// connections made through the API) and the sealed keys of the local store.
//
// One process owns a sqlite database; within that process every [Open] of the
// same file shares one pool, because a reload has two configurations alive.
package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// ErrInUse says that another process has the database open.
var ErrInUse = errors.New("the database is in use by another process")

// Config says which database to open.
type Config struct {
	// Driver of the database. Default: sqlite, which is the only one so far.
	Driver string

	// Path of the database file, for sqlite. Required there. Its directory is
	// made when it is missing.
	Path string
}

// DB is one holder's handle on an open, migrated database.
type DB struct {
	shared *shared
	closed sync.Once
}

// shared is what all handles on one database have in common.
type shared struct {
	id      string // key in open
	sql     *sql.DB
	dialect dialect
	release func() error // gives up the hold on the database's lock
	holders int          // guarded by gate
}

var (
	// gate guards open and every holders count. A channel and not a mutex, so
	// that who waits behind a long migration still obeys its context.
	gate = make(chan struct{}, 1)

	open = map[string]*shared{}
)

// Open opens the database, makes it when there is none, and brings its schema
// up to date. A database already open in this process is shared. A second
// process gets an [ErrInUse]. The caller closes the handle.
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

	id, release, err := d.acquire(cfg, func(id string) bool { return open[id] != nil })
	if err != nil {
		return nil, fmt.Errorf("opening the catalog: %w", err)
	}
	if s := open[id]; s != nil {
		s.holders++
		return &DB{shared: s}, nil
	}
	pool, err := d.connect(id)
	if err == nil {
		err = migrate(ctx, d, pool)
		if err != nil {
			err = errors.Join(err, pool.Close())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("opening the catalog %s: %w", id, errors.Join(err, release()))
	}
	s := &shared{id: id, sql: pool, dialect: d, release: release, holders: 1}
	open[id] = s
	return &DB{shared: s}, nil
}

// SQL returns the connection pool. It is shared: only [DB.Close] closes it.
// Parameters are written $1, $2, … which every dialect here understands.
func (db *DB) SQL() *sql.DB { return db.shared.sql }

// Path returns where the database is: for sqlite the absolute file name, with
// symbolic links resolved.
func (db *DB) Path() string { return db.shared.id }

// Purge takes deleted rows out of what the database keeps beside its tables
// (for sqlite the write-ahead log). Deleted rows are gone from the tables
// before; an error says that bytes of theirs may still be in a file.
func (db *DB) Purge(ctx context.Context) error { return db.shared.dialect.purge(ctx, db.shared.sql) }

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
			err = fmt.Errorf("closing the catalog %s: %w", s.id, err)
		}
	})
	return err
}
