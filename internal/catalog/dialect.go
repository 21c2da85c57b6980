package catalog

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/pressly/goose/v3"
)

// dialect is everything that differs between the databases; a further one is a
// further value of this type and a directory below migrations.
type dialect struct {
	// goose is the migrator's word for the dialect.
	goose goose.Dialect

	// migrations is the directory of the dialect's schema files.
	migrations string

	// acquire names the database of cfg, one name per database, and makes it
	// this process' own where it must be. When isOpen says it already is, it
	// only names it.
	acquire func(cfg Config, isOpen func(id string) bool) (target, error)

	// connect returns a pool on the acquired database.
	connect func(t target) (*sql.DB, error)

	// hold keeps other processes from migrating until release. Nil where no
	// other process has the database.
	hold func(ctx context.Context, pool *sql.DB) (release func() error, err error)

	// finish is called after the migrations. Nil: nothing to do.
	finish func(ctx context.Context, pool *sql.DB) error

	// forUpdate ends a SELECT that locks what it reads until the transaction
	// ends. Empty where a transaction that writes is alone anyway.
	forUpdate string

	// skipLocked ends a SELECT that takes rows and passes over those that
	// another process is taking. Empty where there is no other.
	skipLocked string

	// notify is a statement that tells other processes, at commit, that there
	// are changes. Empty where there are no others.
	notify string

	// listen rings for every notification until ctx ends. Nil where there are
	// none.
	listen func(ctx context.Context, db *DB)

	// purge does the work of [DB.Purge].
	purge func(ctx context.Context, pool *sql.DB) error
}

// dialectOf returns the dialect of a driver's name.
func dialectOf(driver string) (dialect, error) {
	switch driver {
	case "", "sqlite":
		return sqlite, nil
	case "postgres":
		return postgres, nil
	}
	return dialect{}, fmt.Errorf("opening the catalog: unknown driver %q: must be sqlite or postgres", driver)
}
