// This file holds how an integration becomes a row, and what rows have in
// common.

package catalog

import (
	"context"
	"encoding/json"
	"time"
)

// putIntegration runs a query whose first parameters are the columns of i, in
// the order of integrationColumns, and returns how many rows it changed.
func (t *tx) putIntegration(ctx context.Context, query string, i *Integration, more ...any) (int64, error) {
	connect, err := toJSON(i.Connect, i.Connect == nil)
	if err != nil {
		return 0, err
	}
	verification, err := toJSON(i.Verification, i.Verification == nil)
	if err != nil {
		return 0, err
	}
	refused, err := toJSON(i.RefusedStatuses, i.RefusedStatuses == nil)
	if err != nil {
		return 0, err
	}
	return t.count(ctx, query, append([]any{
		i.UniqueKey, i.Provider, i.DisplayName, i.ForwardWebhooks, i.BaseURL, i.KeyPlacement, i.KeyName,
		i.ValueTemplate, i.KeyLabel, connect, verification, int64(i.MaxAge), i.Disabled,
		toMillis(i.CreatedAt), toMillis(i.UpdatedAt), i.Revision,
		refused, i.RefusedAfter,
	}, more...)...)
}

func scanIntegration(row scanner) (*Integration, error) {
	var (
		i                              Integration
		connect, verification, refused string
		created, updated               int64
	)
	err := row.Scan(&i.UniqueKey, &i.Provider, &i.DisplayName, &i.ForwardWebhooks, &i.BaseURL, &i.KeyPlacement, &i.KeyName,
		&i.ValueTemplate, &i.KeyLabel, &connect, &verification, &i.MaxAge, &i.Disabled, &created, &updated, &i.Revision,
		&refused, &i.RefusedAfter)
	if err != nil {
		return nil, err
	}
	i.CreatedAt, i.UpdatedAt = fromMillis(created), fromMillis(updated)
	if err := fromJSON(connect, &i.Connect); err != nil {
		return nil, err
	}
	if err := fromJSON(verification, &i.Verification); err != nil {
		return nil, err
	}
	if err := fromJSON(refused, &i.RefusedStatuses); err != nil {
		return nil, err
	}
	return &i, nil
}

// toJSON returns v for a column, the empty string for none.
func toJSON(v any, none bool) (string, error) {
	if none {
		return "", nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}

// fromJSON leaves v alone when the column has none.
func fromJSON(column string, v any) error {
	if column == "" {
		return nil
	}
	return json.Unmarshal([]byte(column), v)
}

func toMillis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
