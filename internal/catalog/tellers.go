// This file holds who tells the outside: without anybody who does, nothing is
// written down to be told.

package catalog

import (
	"context"
	"time"
)

// The tellers.
const (
	tellerWebhook = "webhook"
	tellerAlert   = "alert"
)

const (
	// heardFor is how long what is to be told is written down after a teller
	// was last there: a restart, or a night, must not lose it.
	heardFor = 72 * time.Hour

	// leadFor is how long who tells of alerts has said nothing when another node
	// takes his place.
	leadFor = 30 * time.Second
)

// SendsWebhooks says that the caller sends webhooks. It is good for days; say it
// again every hour.
func (db *DB) SendsWebhooks(ctx context.Context) error {
	return db.alone(ctx, "saying that webhooks are sent", `
		INSERT INTO tellers (name, owner, seen_at) VALUES ($1, '', $2)
		ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at`, tellerWebhook, toMillis(db.now()))
}

// LeadAlerts tells whether owner is the one of all nodes that tells of alerts,
// and for 30 seconds makes it so when nobody is. What another was about to tell
// is then to be told again.
func (db *DB) LeadAlerts(ctx context.Context, owner string) (leads bool, err error) {
	err = db.write(ctx, "looking who tells of alerts", func(t *tx) error {
		renewed, err := t.count(ctx, "UPDATE tellers SET seen_at = $3 WHERE name = $1 AND owner = $2", tellerAlert, owner, toMillis(t.now))
		if leads = renewed > 0; leads || err != nil {
			return err
		}
		taken, err := t.count(ctx, `
			INSERT INTO tellers (name, owner, seen_at) VALUES ($1, $2, $3)
			ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, seen_at = excluded.seen_at
			WHERE tellers.seen_at < $4 OR tellers.owner = ''`, tellerAlert, owner, toMillis(t.now), toMillis(t.now.Add(-leadFor)))
		if leads = taken > 0; !leads || err != nil {
			return err
		}
		return t.untell(ctx)
	})
	return leads && err == nil, err
}

// CedeAlerts lets another node tell of alerts at once.
func (db *DB) CedeAlerts(ctx context.Context, owner string) error {
	return db.alone(ctx, "ceding alerts", "UPDATE tellers SET owner = '' WHERE name = $1 AND owner = $2", tellerAlert, owner)
}

// heard tells whether there is somebody to tell.
func (t *tx) heard(ctx context.Context, teller string) (bool, error) {
	return t.has(ctx, "SELECT count(*) FROM tellers WHERE name = $1 AND seen_at >= $2", teller, toMillis(t.now.Add(-heardFor)))
}

// Rung is closed when something was written, by this process or, where the
// database announces it, by another.
func (db *DB) Rung() <-chan struct{} { return db.shared.bell.next() }

// alone runs one statement that is no change of a description.
func (db *DB) alone(ctx context.Context, doing, query string, args ...any) error {
	err := db.turn(ctx, func() error {
		_, err := db.shared.sql.ExecContext(ctx, query, args...)
		return err
	})
	return classed(ctx, doing, err)
}
