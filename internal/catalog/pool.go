// This file holds what is told of each question to the database, for figures.

package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Operations and results of [Config.Observe].
const (
	OpRead  = "read"
	OpWrite = "write" // a transaction, and what it waited for others

	ResultOK       = "ok" // also an answer such as [ErrNotFound]
	ResultCanceled = "canceled"
	ResultFailed   = "failed"
)

// pool is a pool of connections that tells of what is asked. Statements of a
// transaction are told of as one write, when it ends.
type pool struct {
	*sql.DB
	observe func(op, result string, took time.Duration) // nil: nobody is told
}

// QueryContext is [sql.DB.QueryContext].
func (p pool) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	began := time.Now()
	rows, err := p.DB.QueryContext(ctx, query, args...)
	p.tell(OpRead, began, err)
	return rows, err
}

// QueryRowContext is [sql.DB.QueryRowContext].
func (p pool) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	began := time.Now()
	row := p.DB.QueryRowContext(ctx, query, args...)
	p.tell(OpRead, began, row.Err())
	return row
}

// ExecContext is [sql.DB.ExecContext].
func (p pool) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	began := time.Now()
	r, err := p.DB.ExecContext(ctx, query, args...)
	p.tell(OpWrite, began, err)
	return r, err
}

func (p pool) tell(op string, began time.Time, err error) {
	if p.observe == nil {
		return
	}
	result := ResultOK
	switch {
	case err == nil || isAnswer(err):
	case errors.Is(err, context.Canceled):
		result = ResultCanceled
	default:
		result = ResultFailed
	}
	p.observe(op, result, time.Since(began))
}
