// This file holds the webhooks that are to be sent. Each is written in the
// transaction of the change that it tells of, so that neither a crash nor a
// second node can part the two.

package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// The operations of a [Message], in Nango's words.
const (
	OperationCreation = "creation"
	OperationOverride = "override" // another key was entered
	OperationRefresh  = "refresh"  // whether the upstream takes the key has changed
	OperationDeletion = "deletion"
)

// ReasonAuthFailed is the reason of a refresh without success.
const ReasonAuthFailed = "auth_failed"

// outboxLimit is how many messages wait at most. A receiver that is away for
// days must not fill the database.
const outboxLimit = 50_000

// Message is one webhook.
type Message struct {
	// ID is the same at each attempt, and no other message's. It grows with time.
	ID string

	Integration string
	Connection  string
	Operation   string
	Success     bool
	Reason      string // a code, without success
	KeyVersion  int

	// Provider, Tags and EndUser are what they were when it happened.
	Provider string
	Tags     map[string]string
	EndUser  *EndUser

	// URL of the connection's own receiver. Empty: it has none.
	URL string

	MadeAt time.Time
	Tries  int // those that were begun, with the one of who claimed it
}

// hook enters a message about a connection whose row is there, unless nobody
// sends any, or its integration wants none. One of the Caddy config, which is
// not in the catalog, does want them.
func (t *tx) hook(ctx context.Context, integration, id, operation, reason string) error {
	room, err := t.outboxRoom(ctx)
	if err != nil || room == 0 {
		return err
	}
	made, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("making a message's id: %w", err)
	}
	n, err := t.count(ctx, `
		INSERT INTO outbox (id, integration, connection, operation, success, reason, key_version, provider, tags, end_user, url, made_at, due_at, tries)
		SELECT CAST($1 AS TEXT), c.integration, c.id, CAST($4 AS TEXT), CAST($5 AS TEXT) = '', CAST($5 AS TEXT), c.key_version,
			coalesce(i.provider, 'private-api-generic'), c.tags, c.end_user, c.webhook_url_override, CAST($6 AS BIGINT), CAST($6 AS BIGINT), 0
		FROM connections c LEFT JOIN integrations i ON i.unique_key = c.integration
		WHERE c.integration = $2 AND c.id = $3 AND coalesce(i.forward_webhooks, true)`,
		"msg_"+made.String(), integration, id, operation, reason, t.now.UnixMilli())
	t.room -= n
	return err
}

// outboxRoom is how many more messages fit. It is none when nobody sends them.
func (t *tx) outboxRoom(ctx context.Context) (int64, error) {
	if t.roomKnown {
		if t.room == 0 {
			t.crowded++
		}
		return t.room, nil
	}
	t.roomKnown = true
	heard, err := t.heard(ctx, tellerWebhook)
	if err != nil || !heard {
		return 0, err
	}
	var waiting int64
	if err := t.QueryRowContext(ctx, "SELECT count(*) FROM outbox").Scan(&waiting); err != nil {
		return 0, err
	}
	if t.room = max(0, outboxLimit-waiting); t.room == 0 {
		t.crowded++
	}
	return t.room, nil
}

const messageColumns = "id, integration, connection, operation, success, reason, key_version, provider, tags, end_user, url, made_at, tries"

// ClaimMessages returns up to limit messages that are due, the oldest first, and
// leaves them to the caller: no other node is given them before lease is over.
// Each ends with [DB.DropMessage] or [DB.PostponeMessage].
func (db *DB) ClaimMessages(ctx context.Context, limit int, lease time.Duration) ([]*Message, error) {
	var all []*Message
	err := db.turn(ctx, func() (err error) {
		now := db.now()
		rows, err := db.shared.sql.QueryContext(ctx, `
			UPDATE outbox SET due_at = $1, tries = tries + 1
			WHERE id IN (SELECT id FROM outbox WHERE due_at <= $2 ORDER BY due_at LIMIT $3`+db.shared.dialect.skipLocked+`)
			RETURNING `+messageColumns, toMillis(now.Add(lease)), toMillis(now), limit)
		all, err = collect(rows, err, scanMessage)
		return err
	})
	slices.SortFunc(all, func(a, b *Message) int { return cmp.Compare(a.ID, b.ID) })
	return all, classed(ctx, "claiming webhooks", err)
}

// DropMessage forgets a message that was claimed: it was delivered, or given up.
// It does nothing when somebody else has claimed it since.
func (db *DB) DropMessage(ctx context.Context, m *Message) error {
	return db.alone(ctx, "closing a webhook", "DELETE FROM outbox WHERE id = $1 AND tries = $2", m.ID, m.Tries)
}

// PostponeMessage leaves a message that was claimed until a later time. It does
// nothing when somebody else has claimed it since.
func (db *DB) PostponeMessage(ctx context.Context, m *Message, until time.Time) error {
	return db.alone(ctx, "postponing a webhook", "UPDATE outbox SET due_at = $3 WHERE id = $1 AND tries = $2", m.ID, m.Tries, toMillis(until))
}

// NextMessage returns how many messages wait, and when the first of them is due.
func (db *DB) NextMessage(ctx context.Context) (waiting int, due time.Time, err error) {
	var ms int64
	err = db.shared.sql.QueryRowContext(ctx, "SELECT count(*), coalesce(min(due_at), 0) FROM outbox").Scan(&waiting, &ms)
	return waiting, fromMillis(ms), classed(ctx, "looking for webhooks", err)
}

// Crowded is how many messages this process did not write because too many
// waited.
func (db *DB) Crowded() uint64 { return db.shared.crowded.Load() }

func scanMessage(row scanner) (*Message, error) {
	var (
		m          Message
		tags, user string
		made       int64
	)
	if err := row.Scan(&m.ID, &m.Integration, &m.Connection, &m.Operation, &m.Success, &m.Reason, &m.KeyVersion,
		&m.Provider, &tags, &user, &m.URL, &made, &m.Tries); err != nil {
		return nil, err
	}
	m.MadeAt = fromMillis(made)
	if err := fromJSON(tags, &m.Tags); err != nil {
		return nil, err
	}
	return &m, fromJSON(user, &m.EndUser)
}
