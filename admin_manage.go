package apikeyinject

// This file holds the management API for operators: the one of
// apikey_inject_api, below the admin endpoint and without tokens.

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/api"
	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// onDemand is the management API of an app, made when an operator first asks.
type onDemand struct {
	once   sync.Once
	manage *api.API
}

// activeApp returns the app of the configuration that serves. It is asked for
// in each request: the admin module is made once per load, also for one that
// fails.
func activeApp() (*App, error) {
	mod, err := caddy.ActiveContext().AppIfConfigured("apikey_inject")
	if err != nil {
		return nil, apiError(http.StatusNotFound, errors.New("the configuration that runs has no apikey_inject app"))
	}
	return mod.(*App), nil
}

// serveManage answers with the management API, and says false where it has
// nothing at the path.
func (*adminAPI) serveManage(ctx context.Context, w http.ResponseWriter, r *http.Request) (bool, error) {
	if !manages(r.URL.Path) {
		return false, nil
	}
	app, err := activeApp()
	if err != nil {
		return true, err
	}
	look := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	if err := app.operate(look); err != nil {
		return true, apiError(http.StatusServiceUnavailable, err)
	}
	app.managed().ServeHTTP(w, r.WithContext(ctx))
	return true, nil
}

// manages tells whether a path belongs to the management API. Which of those
// below it are there is the API's to say.
func manages(path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, adminPrefix), "/")
	switch first {
	case "integrations", "connections", "providers", "status", "token", "openapi.json":
		return true
	}
	return false
}

// managed returns the management API of this configuration for operators.
func (a *App) managed() *api.API {
	a.operated.once.Do(func() {
		a.operated.manage = a.newAPI(api.Config{
			Catalog: adminCatalog{apiCatalog{a}},
			Trusted: true,
			Prefix:  strings.TrimSuffix(adminPrefix, "/"),
		})
	})
	return a.operated.manage
}

// errEnded answers who asks a configuration for something new that was replaced
// meanwhile.
var errEnded = errors.New("the configuration was replaced meanwhile; try again")

// operate has the catalog in use, also where no part of the configuration needs
// it: then nothing was made there through an API yet, and an operator may be
// about to. Who only looks makes no database.
func (a *App) operate(look bool) error {
	if look && a.opened.Load() == nil && !a.hasCatalog() {
		return nil
	}
	if look {
		a.useCatalog()
	} else {
		a.useAPI()
	}
	if a.opened.Load() == nil {
		return errEnded
	}
	if err := a.startCatalog(); err != nil || look {
		return err
	}
	a.keepSwept() // who writes may be cut off
	return nil
}

// hasCatalog tells whether there is a database to open. One of a server is its
// operator's to make.
func (a *App) hasCatalog() bool {
	if a.catalogConfig.Driver != "sqlite" {
		return true
	}
	_, err := os.Stat(a.catalogConfig.Path)
	return !errors.Is(err, fs.ErrNotExist)
}

// adminCatalog is the catalog, and an empty one where there is none yet.
type adminCatalog struct{ apiCatalog }

func (a adminCatalog) none() bool { return a.opened.Load() == nil }

// Integration implements [api.Catalog].
func (a adminCatalog) Integration(ctx context.Context, key string) (*catalog.Integration, error) {
	if a.none() {
		return nil, catalog.ErrNotFound
	}
	return a.apiCatalog.Integration(ctx, key)
}

// Integrations implements [api.Catalog].
func (a adminCatalog) Integrations(ctx context.Context) ([]*catalog.Integration, error) {
	if a.none() {
		return nil, nil
	}
	return a.apiCatalog.Integrations(ctx)
}

// Connection implements [api.Catalog].
func (a adminCatalog) Connection(ctx context.Context, integration, id string) (*catalog.Connection, error) {
	if a.none() {
		return nil, catalog.ErrNotFound
	}
	return a.apiCatalog.Connection(ctx, integration, id)
}

// Connections implements [api.Catalog].
func (a adminCatalog) Connections(ctx context.Context, f catalog.ConnectionFilter) ([]*catalog.Connection, error) {
	if a.none() {
		return nil, nil
	}
	return a.apiCatalog.Connections(ctx, f)
}

// Groups implements [api.Catalog].
func (a adminCatalog) Groups(ctx context.Context, integrations []string) ([]catalog.Group, error) {
	if a.none() {
		return nil, nil
	}
	return a.apiCatalog.Groups(ctx, integrations)
}
