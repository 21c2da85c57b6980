package apikeyinject

// This file holds the catalog of a configuration: integrations that were made
// through the API, and connections.

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/directory"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// Catalog says which database holds what is made through the API, and the keys
// of the `local` store.
type Catalog struct {
	// `sqlite`, embedded and for one node, or `postgres`. Default: `sqlite`.
	Driver string `json:"driver,omitempty"`

	// The file of a sqlite database; placeholders such as `{env.STATE}/keys.db`
	// are filled in at load. Default: `apikey_inject/catalog.db` in Caddy's
	// data directory.
	Path string `json:"path,omitempty"`

	// The URL of a postgres database, as a placeholder such as
	// `{env.DATABASE_URL}`, because it may hold a password.
	URL string `json:"url,omitempty"`
}

func (c *Catalog) check() error {
	switch {
	case c == nil:
		return nil
	case c.Driver == "postgres":
		if c.Path != "" {
			return wrong("catalog.path", "is not allowed: a postgres database has a url")
		}
		if c.URL == "" {
			return wrong("catalog.url", "is required, as a placeholder such as {env.DATABASE_URL}")
		}
		if err := checkSecret(c.URL); err != nil {
			return &fieldError{"catalog.url", err}
		}
	case c.Driver == "sqlite", c.Driver == "":
		if c.URL != "" {
			return wrong("catalog.url", "is not allowed: a sqlite database has a path")
		}
	default:
		return wrong("catalog.driver", "must be one of: sqlite, postgres")
	}
	return nil
}

// config fills in placeholders.
func (c *Catalog) config() (catalog.Config, error) {
	if err := c.check(); err != nil {
		return catalog.Config{}, err
	}
	x := expander{repl: caddy.NewReplacer()}
	cfg := catalog.Config{Driver: "sqlite", Observe: observeQuery}
	switch {
	case c != nil && c.Driver == "postgres":
		cfg.Driver, cfg.URL = "postgres", x.secret("catalog.url", c.URL)
	case c != nil:
		cfg.Path = x.text("catalog.path", c.Path)
	}
	if cfg.Driver == "sqlite" && cfg.Path == "" {
		cfg.Path = filepath.Join(caddy.AppDataDir(), "apikey_inject", "catalog.db")
	}
	if x.err != nil {
		return cfg, x.err
	}
	if err := cfg.Check(); err != nil {
		return cfg, &fieldError{"catalog", err}
	}
	return cfg, nil
}

// useCatalog says that this configuration needs the catalog.
func (a *App) useCatalog() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.opened.Load() == nil && !a.ended {
		a.opened.Store(acquireCatalog(a.catalogConfig))
	}
}

// startCatalog opens the catalog, if any part of the configuration needs it.
func (a *App) startCatalog() error {
	p := a.opened.Load()
	if p == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(a.ctx, openBudget)
	defer cancel()
	if err := p.open(ctx, a.logger); err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	return nil
}

// directory returns what this node knows of the catalog.
func (a *App) directory() (*directory.Directory, *failure) {
	open, fail := a.openNow()
	if fail != nil {
		return nil, fail
	}
	return open.dir, nil
}

// loadWait bounds what a request waits for the integrations after a start.
const loadWait = 2 * time.Second

// loads waits until a directory has the catalog's integrations, and tells whether
// it has.
func (a *App) loads(dir *directory.Directory) bool {
	ctx, cancel := context.WithTimeout(a.ctx, loadWait)
	defer cancel()
	return dir.Ready(ctx) == nil
}

// openNow returns the catalog, if it can be asked.
func (a *App) openNow() (*openCatalog, *failure) {
	p := a.opened.Load()
	if p == nil {
		return nil, errUnknownConnection
	}
	open := p.ready.Load()
	if open == nil {
		// Servers may take requests before this app has started.
		p.openNow(a.ctx, a.logger)
		if open = p.ready.Load(); open == nil {
			return nil, failUnavailable(catalogRetry)
		}
	}
	return open, nil
}

// keyOfConnection is where the keys of an integration's connections are, unless
// the configuration says otherwise.
func (a *App) keyOfConnection(uniqueKey string) *KeyReference {
	return &KeyReference{
		Store: a.DefaultStore,
		Path:  a.modules[a.DefaultStore].prefix() + "/" + uniqueKey + "/" + connectionID,
		Field: apiKeyField,
	}
}

// defaultPrefix begins the paths of connections' keys, unless a store says
// otherwise.
const defaultPrefix = "caddy-apikey-inject"

// checkPrefix refuses what cannot begin a path.
func checkPrefix(s string) error {
	if s == "" {
		return nil
	}
	if strings.HasPrefix(s, "/") || strings.ContainsAny(s, "{}") {
		return wrong("prefix", "%q must be a path below the mount, without placeholders", s)
	}
	if err := store.CheckPath(s); err != nil {
		return &fieldError{"prefix", err}
	}
	return nil
}

// apiKeyField is the field of the keys that are written through the API.
const apiKeyField = "apiKey"

// targetOfAPI compiles an integration that was made through the API.
func (a *App) targetOfAPI(made *directory.Integration) (*target, error) {
	i := &Integration{
		DisplayName: made.DisplayName, BaseURL: made.BaseURL, KeyPlacement: made.KeyPlacement, KeyName: made.KeyName,
		ValueTemplate: made.ValueTemplate, KeyLabel: made.KeyLabel, Disabled: made.Disabled, Verification: verificationOf(made.Verification),
		RefusedStatuses: made.RefusedStatuses, RefusedAfter: made.RefusedAfter,
	}
	p, err := i.compile()
	if err != nil {
		return nil, err
	}
	return &target{integration: i, plan: p, key: made.UniqueKey, label: made.UniqueKey, ofAPI: true, origin: p.base.Origin()}, nil
}
