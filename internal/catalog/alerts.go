// This file holds what is wrong and has to be told to a person: once for each
// thing that can be, however many nodes see it and however often.

package catalog

import (
	"context"
	"fmt"
	"time"
)

// The states of an alert.
const (
	alertNew       = 0 // to be told
	alertTelling   = 1 // being told; with an end, that came meanwhile
	alertTold      = 2 // told; its end is to be told, too
	alertResolved  = 3 // its end is to be told
	alertResolving = 4 // its end is being told
)

// alertAge is how long an alert that was told speaks for what is found to be
// wrong. Who opened it may have died before he could see the end of it.
const alertAge = time.Hour

// Alert is one thing that is wrong, or was.
type Alert struct {
	// Subject tells it from others: see [ConnectionSubject].
	Subject string

	// Kind is the notice's.
	Kind        string
	Integration string
	Connection  string
	Store       string
	KeyVersion  int
	Reason      string

	OpenedAt   time.Time
	ResolvedAt time.Time // zero: it is still wrong
}

// ConnectionSubject is the subject of a connection's key, or with an empty id of
// the integration's own.
func ConnectionSubject(integration, id string) string {
	return "key\n" + integration + "\n" + id
}

// EndSubject is the subject of when that key runs out.
func EndSubject(integration, id string) string {
	return "ends\n" + integration + "\n" + id
}

// OpenAlert notes that something is wrong, unless that is known. Its OpenedAt is
// set by the catalog.
func (db *DB) OpenAlert(ctx context.Context, a Alert) error {
	return db.ringing(ctx, "opening an alert", func(t *tx) error { return t.openAlert(ctx, a) })
}

// ResolveAlert notes that something is not wrong any longer. It tells nothing of
// what was not told.
func (db *DB) ResolveAlert(ctx context.Context, subject string) error {
	return db.ringing(ctx, "resolving an alert", func(t *tx) error { return t.resolveAlert(ctx, subject) })
}

// ringing is write for what the sequence of changes has nothing to do with. It
// wakes who tells of alerts on this node; the others look every few seconds.
func (db *DB) ringing(ctx context.Context, doing string, f func(t *tx) error) error {
	err := db.write(ctx, doing, f)
	if err == nil {
		db.shared.bell.ring()
	}
	return err
}

func (t *tx) openAlert(ctx context.Context, a Alert) error {
	if !t.alertsKnown {
		heard, err := t.heard(ctx, tellerAlert)
		if err != nil {
			return err
		}
		t.alertsKnown, t.alertsHeard = true, heard
	}
	if !t.alertsHeard {
		return nil
	}
	// What went on before its end was told has not ended. What is old is told
	// anew.
	_, err := t.ExecContext(ctx, `
		INSERT INTO alerts (subject, kind, integration, connection, store, key_version, reason, state, opened_at, seen_at, resolved_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $8, 0)
		ON CONFLICT (subject) DO UPDATE SET kind = excluded.kind, key_version = excluded.key_version, reason = excluded.reason,
			seen_at = excluded.seen_at, resolved_at = 0,
			opened_at = CASE WHEN alerts.seen_at < $9 OR alerts.state = 4 THEN excluded.opened_at ELSE alerts.opened_at END,
			state = CASE WHEN alerts.state = 3 THEN 2 WHEN alerts.state = 4 THEN 0
				WHEN alerts.state = 2 AND alerts.seen_at < $9 THEN 0 ELSE alerts.state END`,
		a.Subject, a.Kind, a.Integration, a.Connection, a.Store, a.KeyVersion, a.Reason, toMillis(t.now), toMillis(t.now.Add(-alertAge)))
	return err
}

func (t *tx) resolveAlert(ctx context.Context, subject string) error {
	return t.resolveAlerts(ctx, "subject = $1", subject)
}

// resolveKey is resolveAlert for all that was wrong with a connection's key: there
// is another.
func (t *tx) resolveKey(ctx context.Context, integration, id string) error {
	return t.resolveAlerts(ctx, "subject IN ($1, $2)", ConnectionSubject(integration, id), EndSubject(integration, id))
}

// resolveAlerts is resolveAlert for those that a condition picks.
func (t *tx) resolveAlerts(ctx context.Context, which string, args ...any) error {
	if _, err := t.ExecContext(ctx, "DELETE FROM alerts WHERE state = 0 AND "+which, args...); err != nil {
		return err
	}
	// Whether one that is being told arrives is not known yet.
	_, err := t.ExecContext(ctx, fmt.Sprintf(`
		UPDATE alerts SET state = CASE state WHEN 2 THEN 3 ELSE 1 END, resolved_at = CAST($%d AS BIGINT)
		WHERE (state = 2 OR state = 1 AND resolved_at = 0) AND %s`, len(args)+1, which), append(args, toMillis(t.now))...)
	return err
}

// untell makes what was being told to be told again. Of what is over meanwhile only
// the end is: it may have arrived.
func (t *tx) untell(ctx context.Context) error {
	_, err := t.ExecContext(ctx, "UPDATE alerts SET state = CASE WHEN state = 1 AND resolved_at = 0 THEN 0 ELSE 3 END WHERE state IN (1, 4)")
	return err
}

// AlertCount is how many alerts are to be told, and the last time one of them
// came up.
type AlertCount struct {
	Opened, Resolved int
	Last             time.Time
}

// CountAlerts counts what is to be told.
func (db *DB) CountAlerts(ctx context.Context) (c AlertCount, err error) {
	var last int64
	err = db.shared.sql.QueryRowContext(ctx, `
		SELECT coalesce(sum(CASE WHEN state = 0 THEN 1 ELSE 0 END), 0), coalesce(sum(CASE WHEN state = 3 THEN 1 ELSE 0 END), 0),
			coalesce(max(CASE WHEN state = 0 THEN opened_at ELSE resolved_at END), 0)
		FROM alerts WHERE state IN (0, 3)`).Scan(&c.Opened, &c.Resolved, &last)
	c.Last = fromMillis(last)
	return c, classed(ctx, "counting alerts", err)
}

// Telling is what one message tells of.
type Telling struct {
	// Opened and Resolved are the first few of each, the oldest first.
	Opened, Resolved []*Alert

	// Count is of all.
	Count AlertCount

	// ByKind counts all that is opened.
	ByKind map[string]int
}

// TellAlerts returns what is to be told, all of it and the first few of each in
// full. The caller, who leads (see [DB.LeadAlerts]), ends with [DB.AlertsTold].
func (db *DB) TellAlerts(ctx context.Context, few int) (*Telling, error) {
	out := &Telling{ByKind: map[string]int{}}
	err := db.write(ctx, "taking alerts", func(t *tx) (err error) {
		if _, err := t.ExecContext(ctx, "UPDATE alerts SET state = CASE state WHEN 0 THEN 1 ELSE 4 END WHERE state IN (0, 3)"); err != nil {
			return err
		}
		for state, list := range map[int]*[]*Alert{alertTelling: &out.Opened, alertResolving: &out.Resolved} {
			rows, err := t.QueryContext(ctx, `
				SELECT subject, kind, integration, connection, store, key_version, reason, opened_at, resolved_at
				FROM alerts WHERE state = $1 ORDER BY opened_at, subject LIMIT $2`, state, few)
			if *list, err = collect(rows, err, scanAlert); err != nil {
				return err
			}
		}
		rows, err := t.QueryContext(ctx, "SELECT state, kind, count(*) FROM alerts WHERE state IN (1, 4) GROUP BY state, kind")
		_, err = collect(rows, err, func(row scanner) (struct{}, error) {
			var (
				state, n int
				kind     string
			)
			err := row.Scan(&state, &kind, &n)
			if state == alertTelling {
				out.Count.Opened += n
				out.ByKind[kind] += n
			} else {
				out.Count.Resolved += n
			}
			return struct{}{}, err
		})
		return err
	})
	return out, err
}

// AlertsTold says whether what [DB.TellAlerts] gave was told. When it was not, it
// is to be told again. Until it is said nothing of that is, unless another leads.
func (db *DB) AlertsTold(ctx context.Context, told bool) error {
	return db.write(ctx, "closing alerts", func(t *tx) error {
		if !told {
			return t.untell(ctx)
		}
		if _, err := t.ExecContext(ctx, "DELETE FROM alerts WHERE state = 4"); err != nil {
			return err
		}
		_, err := t.ExecContext(ctx, "UPDATE alerts SET state = CASE resolved_at WHEN 0 THEN 2 ELSE 3 END WHERE state = 1")
		return err
	})
}

func scanAlert(row scanner) (*Alert, error) {
	var (
		a                Alert
		opened, resolved int64
	)
	err := row.Scan(&a.Subject, &a.Kind, &a.Integration, &a.Connection, &a.Store, &a.KeyVersion, &a.Reason, &opened, &resolved)
	a.OpenedAt, a.ResolvedAt = fromMillis(opened), fromMillis(resolved)
	return &a, err
}
