package seal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// Version returns the number of a document's newest version without opening
// it; see [store.Versioner]. A deleted document leaves no number behind.
func (s *Store) Version(ctx context.Context, a store.Address) (int, error) {
	a, err := normal(a)
	if err != nil {
		return 0, err
	}
	o, err := s.open(ctx)
	if err != nil {
		return 0, err
	}
	doing := "reading the version of " + a.String()
	var version int
	err = o.db.SQL().QueryRowContext(ctx, `
		SELECT version FROM sealed_keys
		WHERE namespace = $1 AND mount = $2 AND path = $3`, a.Namespace, a.Mount, a.Path).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("%s: %w", doing, store.ErrNotFound)
	}
	if err != nil {
		return 0, unavailable(doing, err)
	}
	return version, nil
}

// Interface guard
var _ store.Versioner = (*Store)(nil)
