package apikeyinject

// This file holds what the management API works on: the catalog, the keys, the
// integrations of the configuration, and how all of them are doing.

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/apikeyinject/caddy-apikey-inject/internal/api"
	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/custody"
	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vault"
)

// sweepEvery parts two looks for writes that a crash cut off.
const sweepEvery = time.Minute

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
	cfg.Audit = a.auditChange
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

// UpdateConnection implements [api.Catalog].
func (a apiCatalog) UpdateConnection(ctx context.Context, c *catalog.Connection) error {
	return a.write(ctx, c.Integration, c.ID, func(db *catalog.DB) error { return db.UpdateConnection(ctx, c) })
}

// apiKeys enters and removes keys.
type apiKeys struct{ *App }

// custody returns what keeps keys and descriptions together.
func (a *App) custody() (*custody.Custody, error) {
	open, err := a.open()
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.keeper == nil || a.keptIn != open {
		a.keptIn = open
		a.keeper = custody.New(custody.Config{
			Catalog: open.db, Place: a.place, Configured: a.configures, Learn: a.learn, Forget: a.forget,
		})
	}
	return a.keeper, nil
}

// configures tells whether an integration is one of the Caddy configuration.
func (a *App) configures(key string) bool { return a.Integrations[key] != nil }

// keyOf says where the key of a connection is.
func (a *App) keyOf(integration string) *KeyReference {
	if i := a.Integrations[integration]; i != nil && i.Key != nil && i.Key.perConnection() {
		return i.Key
	}
	return a.keyOfConnection(integration)
}

func (a *App) place(integration, id string) (store.Store, store.Address, string, error) {
	ref := a.keyOf(integration)
	v, err := a.heldView(ref.Store)
	if err == nil {
		err = a.startView(v)
	}
	if err != nil {
		return nil, store.Address{}, "", err
	}
	return v.ring.store, ref.address(id), ref.Field, nil
}

func (a *App) learn(integration, id string, d *store.Document) {
	ref := a.keyOf(integration)
	if v, err := a.heldView(ref.Store); err == nil {
		v.ring.Learn(ref.address(id), d)
	}
}

func (a *App) forget(integration, id string) {
	ref := a.keyOf(integration)
	if v, err := a.heldView(ref.Store); err == nil {
		v.ring.Invalidate(ref.address(id))
	}
}

// Enter implements [api.Keys].
func (a apiKeys) Enter(ctx context.Context, c *catalog.Connection, key secret.Value) error {
	keeper, err := a.custody()
	if err != nil {
		return err
	}
	if c.Origin, err = a.originOf(ctx, c.Integration); err != nil {
		return err
	}
	return a.write(ctx, c.Integration, c.ID, func(*catalog.DB) error { return keeper.Enter(ctx, c, key) })
}

// originOf says where keys that are entered now may go.
func (a *App) originOf(ctx context.Context, integration string) (string, error) {
	if p := a.plans[integration]; p != nil {
		return p.base.Origin(), nil
	}
	i, err := apiCatalog{a}.Integration(ctx, integration)
	if err != nil {
		return "", err
	}
	return originOf(i.BaseURL), nil
}

// Remove implements [api.Keys].
func (a apiKeys) Remove(ctx context.Context, integration, id string) error {
	keeper, err := a.custody()
	if err != nil {
		return err
	}
	return a.write(ctx, integration, id, func(*catalog.DB) error { return keeper.Remove(ctx, integration, id) })
}

// Destroy implements [api.Keys].
func (a apiKeys) Destroy(ctx context.Context, gone []catalog.Connection) error {
	keeper, err := a.custody()
	if err != nil {
		return err
	}
	err = keeper.Destroy(ctx, gone)
	for _, c := range gone {
		err = errors.Join(err, a.write(ctx, c.Integration, c.ID, func(*catalog.DB) error { return nil }))
	}
	return err
}

// keepSwept has one sweep run, however many parts of the configuration write.
func (a *App) keepSwept() { a.sweeping.Do(func() { go a.sweep() }) }

// sweep ends what crashes cut off, for as long as this configuration runs.
func (a *App) sweep() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if keeper, err := a.custody(); err == nil {
			done, err := keeper.Sweep(a.ctx)
			switch {
			case a.ctx.Err() != nil:
				return
			case err != nil:
				a.logger.Warn("ending writes of keys that were cut off", zap.Error(err))
			case done != custody.Swept{}:
				a.logger.Info("ended writes of keys that were cut off", zap.Any("swept", done))
			}
		}
		select {
		case <-a.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// apiStatic shows the integrations of the configuration.
type apiStatic struct{ *App }

// Integrations implements [api.Static].
func (a apiStatic) Integrations() []*catalog.Integration {
	list := make([]*catalog.Integration, 0, len(a.App.Integrations))
	for _, key := range slices.Sorted(maps.Keys(a.App.Integrations)) {
		i := a.App.Integrations[key]
		list = append(list, &catalog.Integration{
			UniqueKey: key, Provider: "private-api-generic", DisplayName: firstSet(i.DisplayName, key),
			BaseURL: i.BaseURL, KeyPlacement: firstSet(i.KeyPlacement, "header"), KeyName: i.KeyName,
			ValueTemplate: firstSet(i.ValueTemplate, inject.DefaultTemplate), KeyLabel: firstSet(i.KeyLabel, "API Key"),
			Disabled: i.Disabled,
		})
	}
	return list
}

// Where implements [api.Static].
func (a apiStatic) Where(key string) (string, bool) {
	if !a.configures(key) {
		return "", false
	}
	return "apps.apikey_inject.integrations." + key, true
}

// apiStatus says how keys and stores are doing, by what this node knows.
type apiStatus struct{ *App }

// Connection implements [api.Status].
func (a apiStatus) Connection(integration, id string) api.KeyStatus {
	ref := a.keyOf(integration)
	if i := a.App.Integrations[integration]; id == "" {
		if i == nil || i.Key == nil || i.Key.perConnection() {
			return api.KeyStatus{}
		}
		ref = i.Key
	}
	v, err := a.heldView(ref.Store)
	if err != nil {
		return api.KeyStatus{}
	}
	st := v.Peek(ref.address(id))
	s := api.KeyStatus{Version: st.Version, UpdatedAt: st.CreatedAt}
	switch {
	case st.State == "missing" && st.Class == "":
		s.State = api.StateUnknown // this node was not asked for it
	case st.State == "missing":
		s.State = api.StateMissing
	case st.Rejected:
		s.State = api.StateAuthFailed
	case st.State == "fresh":
		s.State = api.StateOK
	default:
		s.State = api.StateStale
	}
	return s
}

// Stores implements [api.Status].
func (a apiStatus) Stores() []api.StoreStatus {
	_, views := a.watched()
	list := make([]api.StoreStatus, 0, len(views))
	for _, name := range slices.Sorted(maps.Keys(views)) {
		s := api.StoreStatus{Name: name, Module: a.modules[name].CaddyModule().ID.Name(), Reachable: !views[name].Health().Down}
		if c, ok := views[name].ring.store.(*vault.Client); ok {
			st := c.Status()
			s.Sealed, s.TokenTTL = st.Sealed, st.TokenTTL
		}
		list = append(list, s)
	}
	return list
}
