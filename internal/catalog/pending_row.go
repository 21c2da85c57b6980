// This file holds how an unfinished key write becomes a row.

package catalog

import "encoding/json"

// wholeRow is a connection as JSON. The metadata are bytes there: as a
// json.RawMessage they would be written anew, and they are kept as they came.
type wholeRow struct {
	*Connection
	Metadata []byte
}

func encodeRow(p *PendingKey) (string, error) {
	row := *p.Row
	row.Integration, row.ID = p.Integration, p.ID
	return toJSON(wholeRow{&row, row.Metadata}, false)
}

func scanPending(row scanner) (*PendingKey, error) {
	var (
		p           PendingKey
		description string
		began       int64
	)
	if err := row.Scan(&p.Integration, &p.ID, &p.token, &p.Deletion, &p.Version, &description, &began); err != nil {
		return nil, err
	}
	p.BeganAt = fromMillis(began)
	if description == "" {
		return &p, nil
	}
	whole := wholeRow{Connection: new(Connection)}
	if err := json.Unmarshal([]byte(description), &whole); err != nil {
		return nil, err
	}
	p.Row = whole.Connection
	p.Row.Metadata = whole.Metadata
	return &p, nil
}
