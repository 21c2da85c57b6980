package apikeyinject

// This file holds the management API of a configuration, over its catalog.

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"go.uber.org/zap"

	"github.com/apikeyinject/caddy-apikey-inject/internal/api"
	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
)

// useAPI says that this configuration writes to the catalog and to its store of
// keys.
func (a *App) useAPI() {
	a.useCatalog()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.writes = true
}

// newAPI returns the management API of this configuration.
func (a *App) newAPI(cfg api.Config) *api.API {
	cfg.Keys, cfg.Static, cfg.Status = apiKeys{a}, apiStatic{a}, apiStatus{a}
	cfg.Sessions, cfg.Trials = apiSessions{a}, apiTrials{a}
	cfg.Audit = a.auditChange
	cfg.Observe = observeAPI
	cfg.Log = a.ctx.Slogger()
	cfg.CheckBaseURL = func(s string) error {
		_, err := inject.ParseBaseTemplate(s)
		return err
	}
	cfg.CheckConfig = checkConnectionConfig
	cfg.Origin = originOf
	return api.New(cfg)
}

// auditChange writes who changed what. It holds names and never a value.
func (a *App) auditChange(e api.AuditEntry) {
	a.logger.Named("audit").Info("change",
		zap.String("token", e.Token),
		zap.String("action", e.Action),
		zap.String("integration", e.Integration),
		zap.String("connection", e.Connection),
		zap.Int("status", e.Status),
		zap.String("code", e.Code),
	)
	a.tellChange(e)
}

// checkConnectionConfig refuses values that the base URL could not take, and
// those that no template may hold.
func checkConnectionConfig(baseURL string, config map[string]string) error {
	t, err := inject.ParseBaseTemplate(baseURL)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(config)) {
		if err := inject.CheckConfigValue(name, config[name]); err != nil {
			return err
		}
		if slices.Contains(t.Fields(), name) {
			if err := t.CheckField(name, config[name]); err != nil {
				return err
			}
		}
	}
	return nil
}

// originOf says where a base URL leads.
func originOf(baseURL string) string {
	t, err := inject.ParseBaseTemplate(baseURL)
	if err != nil {
		return ""
	}
	return t.Origin()
}

// open returns the catalog, if it can be asked.
func (a *App) open() (*openCatalog, error) {
	if _, fail := a.directory(); fail != nil {
		return nil, fmt.Errorf("opening the catalog: %w", catalog.ErrUnavailable)
	}
	if open := a.opened.Load().ready.Load(); open != nil {
		return open, nil
	}
	return nil, fmt.Errorf("opening the catalog: %w", catalog.ErrUnavailable)
}

// apiCatalog is the catalog, whose changes this node uses before it answers.
type apiCatalog struct{ *App }

// read asks the catalog.
func read[T any](a *App, ask func(*catalog.DB) (T, error)) (none T, err error) {
	open, err := a.open()
	if err != nil {
		return none, err
	}
	return ask(open.db)
}

// write changes the catalog, and then what this node knows of it.
func (a *App) write(ctx context.Context, integration, id string, change func(*catalog.DB) error) error {
	open, err := a.open()
	if err != nil {
		return err
	}
	if err := change(open.db); err != nil {
		return err
	}
	_ = open.dir.Refresh(ctx, integration, id) // the change was made; this node hears of it anyway
	return nil
}

// CreateIntegration implements [api.Catalog].
func (a apiCatalog) CreateIntegration(ctx context.Context, i *catalog.Integration) error {
	return a.write(ctx, i.UniqueKey, "", func(db *catalog.DB) error { return db.CreateIntegration(ctx, i) })
}

// Integration implements [api.Catalog].
func (a apiCatalog) Integration(ctx context.Context, key string) (*catalog.Integration, error) {
	return read(a.App, func(db *catalog.DB) (*catalog.Integration, error) { return db.Integration(ctx, key) })
}

// Integrations implements [api.Catalog].
func (a apiCatalog) Integrations(ctx context.Context) ([]*catalog.Integration, error) {
	return read(a.App, func(db *catalog.DB) ([]*catalog.Integration, error) { return db.Integrations(ctx) })
}

// UpdateIntegration implements [api.Catalog].
func (a apiCatalog) UpdateIntegration(ctx context.Context, key string, i *catalog.Integration) error {
	err := a.write(ctx, key, "", func(db *catalog.DB) error { return db.UpdateIntegration(ctx, key, i) })
	if err != nil || i.UniqueKey == key {
		return err
	}
	return a.write(ctx, i.UniqueKey, "", func(*catalog.DB) error { return nil })
}

// DeleteIntegration implements [api.Catalog].
func (a apiCatalog) DeleteIntegration(ctx context.Context, key string, revision int64, withConnections bool) (gone []catalog.Connection, err error) {
	err = a.write(ctx, key, "", func(db *catalog.DB) (err error) {
		gone, err = db.DeleteIntegration(ctx, key, revision, withConnections)
		return err
	})
	return gone, err
}

// CountConnections implements [api.Catalog].
func (a apiCatalog) CountConnections(ctx context.Context, integration string) (int, error) {
	return read(a.App, func(db *catalog.DB) (int, error) { return db.CountConnections(ctx, integration) })
}

// Connection implements [api.Catalog].
func (a apiCatalog) Connection(ctx context.Context, integration, id string) (*catalog.Connection, error) {
	return read(a.App, func(db *catalog.DB) (*catalog.Connection, error) { return db.Connection(ctx, integration, id) })
}

// Connections implements [api.Catalog].
func (a apiCatalog) Connections(ctx context.Context, f catalog.ConnectionFilter) ([]*catalog.Connection, error) {
	return read(a.App, func(db *catalog.DB) ([]*catalog.Connection, error) { return db.Connections(ctx, f) })
}

// Groups implements [api.Catalog].
func (a apiCatalog) Groups(ctx context.Context, integrations []string) ([]catalog.Group, error) {
	return read(a.App, func(db *catalog.DB) ([]catalog.Group, error) { return db.Groups(ctx, integrations) })
}

// ConnectionsIn implements [api.Catalog].
func (a apiCatalog) ConnectionsIn(ctx context.Context, g catalog.Group, limit, offset int) ([]*catalog.Connection, error) {
	return read(a.App, func(db *catalog.DB) ([]*catalog.Connection, error) { return db.ConnectionsIn(ctx, g, limit, offset) })
}

// UpdateConnection implements [api.Catalog].
func (a apiCatalog) UpdateConnection(ctx context.Context, c *catalog.Connection) error {
	return a.write(ctx, c.Integration, c.ID, func(db *catalog.DB) error { return db.UpdateConnection(ctx, c) })
}

// Interface guard
var _ api.Catalog = apiCatalog{}
