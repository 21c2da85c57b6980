// This file holds what is left of a driver's error when it may be shown.

package catalog

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// scrubbing is a connector whose errors carry no configuration. pgx's own hold
// the whole of it, password included, for whoever unwraps them.
type scrubbing struct{ driver.Connector }

func (s scrubbing) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := s.Connector.Connect(ctx)
	if err != nil {
		return nil, scrub(err)
	}
	return c, nil
}

// scrub keeps of a connection error its text, and for callers that branch on
// it the end of a context. pgx's text names user, host and database.
func scrub(err error) error {
	if _, ok := errors.AsType[*pgconn.ParseConfigError](err); ok { // quotes the URL
		return errors.New("connecting: the database's URL is malformed")
	}
	for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, end) {
			return fmt.Errorf("%s: %w", err.Error(), end) //nolint:errorlint // all but the text is left behind
		}
	}
	return errors.New(err.Error())
}
