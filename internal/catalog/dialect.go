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
	// this process' own. When isOpen says it already is, it only names it.
	acquire func(cfg Config, isOpen func(id string) bool) (id string, release func() error, err error)

	// connect returns a pool on the acquired database.
	connect func(id string) (*sql.DB, error)

	// purge does the work of [DB.Purge].
	purge func(ctx context.Context, pool *sql.DB) error
}

// dialectOf returns the dialect of a driver's name.
func dialectOf(driver string) (dialect, error) {
	switch driver {
	case "", "sqlite":
		return sqlite, nil
	}
	return dialect{}, fmt.Errorf("opening the catalog: unknown driver %q: must be sqlite", driver)
}
