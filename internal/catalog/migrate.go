package catalog

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
)

// migrations holds a directory of schema files per dialect. A file that was
// released is never changed; a change of the schema is a further file.
//
//go:embed migrations
var migrations embed.FS

// versionTable keeps which migrations were applied. Its name is ours, so that
// a database shared with another user of goose keeps both histories apart.
const versionTable = "apikey_inject_schema"

// migrate brings the schema up to date, each file in its own transaction. A
// schema newer than this program is an error: an older program would write rows
// that the newer one's constraints and readers do not expect.
func migrate(ctx context.Context, d dialect, pool *sql.DB) (err error) {
	if d.hold != nil {
		release, err := d.hold(ctx, pool)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, release()) }()
	}
	files, err := fs.Sub(migrations, d.migrations)
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	p, err := goose.NewProvider(d.goose, pool, files,
		goose.WithTableName(versionTable),
		goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(slog.New(slog.DiscardHandler)),
	)
	if err != nil {
		return fmt.Errorf("preparing the migrations: %w", err)
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("reading the schema's version: %w", err)
	}
	if current > target {
		return fmt.Errorf("checking the schema: it has version %d, this program knows up to %d: use the newer program that wrote it, or restore a backup", current, target)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrating the schema: %w", err)
	}
	if d.finish != nil {
		return d.finish(ctx, pool)
	}
	return nil
}
