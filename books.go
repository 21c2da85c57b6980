package apikeyinject

// This file holds the catalog as those see it who tell of it, also while it is
// not open yet.

import (
	"context"
	"fmt"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/alert"
	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/webhook"
)

// outbox is a catalog's, once that is open.
type outbox struct{ *pooledCatalog }

func (p *pooledCatalog) db() (*catalog.DB, error) {
	if open := p.ready.Load(); open != nil {
		return open.db, nil
	}
	return nil, fmt.Errorf("opening the catalog: %w", catalog.ErrUnavailable)
}

// do asks the catalog for something.
func (p *pooledCatalog) do(ask func(*catalog.DB) error) error {
	db, err := p.db()
	if err != nil {
		return err
	}
	return ask(db)
}

// SendsWebhooks implements [webhook.Outbox].
func (o outbox) SendsWebhooks(ctx context.Context) error {
	return o.do(func(db *catalog.DB) error { return db.SendsWebhooks(ctx) })
}

// ClaimMessages implements [webhook.Outbox].
func (o outbox) ClaimMessages(ctx context.Context, limit int, lease time.Duration) (all []*catalog.Message, err error) {
	err = o.do(func(db *catalog.DB) error { all, err = db.ClaimMessages(ctx, limit, lease); return err })
	return all, err
}

// DropMessage implements [webhook.Outbox].
func (o outbox) DropMessage(ctx context.Context, m *catalog.Message) error {
	return o.do(func(db *catalog.DB) error { return db.DropMessage(ctx, m) })
}

// PostponeMessage implements [webhook.Outbox].
func (o outbox) PostponeMessage(ctx context.Context, m *catalog.Message, until time.Time) error {
	return o.do(func(db *catalog.DB) error { return db.PostponeMessage(ctx, m, until) })
}

// NextMessage implements [webhook.Outbox].
func (o outbox) NextMessage(ctx context.Context) (waiting int, due time.Time, err error) {
	err = o.do(func(db *catalog.DB) error { waiting, due, err = db.NextMessage(ctx); return err })
	return waiting, due, err
}

// Crowded implements [webhook.Outbox].
func (o outbox) Crowded() uint64 {
	if db, err := o.db(); err == nil {
		return db.Crowded()
	}
	return 0
}

// Rung implements [webhook.Outbox] and [alert.Book]. A catalog that is not open
// rings when it is: what was written until somebody looks again would wait.
func (p *pooledCatalog) Rung() <-chan struct{} {
	if db, err := p.db(); err == nil {
		return db.Rung()
	}
	return p.opened
}

// book has a catalog's alerts, once that is open.
type book struct{ *pooledCatalog }

// OpenAlert implements [alert.Book].
func (b book) OpenAlert(ctx context.Context, a catalog.Alert) error {
	return b.do(func(db *catalog.DB) error { return db.OpenAlert(ctx, a) })
}

// ResolveAlert implements [alert.Book].
func (b book) ResolveAlert(ctx context.Context, subject string) error {
	return b.do(func(db *catalog.DB) error { return db.ResolveAlert(ctx, subject) })
}

// LeadAlerts implements [alert.Book].
func (b book) LeadAlerts(ctx context.Context, owner string) (leads bool, err error) {
	err = b.do(func(db *catalog.DB) error { leads, err = db.LeadAlerts(ctx, owner); return err })
	return leads, err
}

// CedeAlerts implements [alert.Book].
func (b book) CedeAlerts(ctx context.Context, owner string) error {
	return b.do(func(db *catalog.DB) error { return db.CedeAlerts(ctx, owner) })
}

// CountAlerts implements [alert.Book].
func (b book) CountAlerts(ctx context.Context) (c catalog.AlertCount, err error) {
	err = b.do(func(db *catalog.DB) error { c, err = db.CountAlerts(ctx); return err })
	return c, err
}

// TellAlerts implements [alert.Book].
func (b book) TellAlerts(ctx context.Context, few int) (t *catalog.Telling, err error) {
	err = b.do(func(db *catalog.DB) error { t, err = db.TellAlerts(ctx, few); return err })
	return t, err
}

// AlertsTold implements [alert.Book].
func (b book) AlertsTold(ctx context.Context, told bool) error {
	return b.do(func(db *catalog.DB) error { return db.AlertsTold(ctx, told) })
}

// Interface guards
var (
	_ webhook.Outbox = outbox{}
	_ alert.Book     = book{}
)
