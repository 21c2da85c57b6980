package apikeyinject

// This file holds the catalog of a configuration: integrations that were made
// through the API, and connections.

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

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
	cfg := catalog.Config{Driver: "sqlite"}
	switch {
	case c != nil && c.Driver == "postgres":
		cfg.Driver, cfg.URL = "postgres", x.secret("catalog.url", c.URL)
	case c != nil:
		cfg.Path = x.text("catalog.path", c.Path)
	}
	if cfg.Driver == "sqlite" && cfg.Path == "" {
		cfg.Path = filepath.Join(caddy.AppDataDir(), "apikey_inject", "catalog.db")
	}
	return cfg, x.err
}

// catalogRetry parts two attempts to open a database that is away.
const catalogRetry = 2 * time.Second

// pooledCatalog is an open catalog and how many configurations use it. It
// belongs to the process, as rings do.
type pooledCatalog struct {
	cfg    catalog.Config
	id     string
	ready  atomic.Pointer[openCatalog]
	start  sync.Once
	ctx    context.Context
	cancel context.CancelFunc
	users  int
	timer  *time.Timer
}

// openCatalog is a catalog that can be asked.
type openCatalog struct {
	db  *catalog.DB
	dir *directory.Directory
}

var catalogs = struct {
	sync.Mutex
	byID map[string]*pooledCatalog
}{byID: make(map[string]*pooledCatalog)}

func init() {
	caddy.OnExit(func(ctx context.Context) {
		catalogs.Lock()
		defer catalogs.Unlock()
		for _, p := range catalogs.byID {
			p.close(ctx)
		}
	})
}

// catalogID names a database. A server's is made of its URL, and shows nothing
// of it.
func catalogID(cfg catalog.Config) string {
	if cfg.Driver != "postgres" {
		return cfg.Path
	}
	return fmt.Sprintf("postgres:%x", sha256.Sum256([]byte(cfg.URL.Reveal())))
}

// acquireCatalog returns the catalog of a configuration. The caller releases it
// once. It touches nothing.
func acquireCatalog(cfg catalog.Config) *pooledCatalog {
	id := catalogID(cfg)
	catalogs.Lock()
	defer catalogs.Unlock()
	p, ok := catalogs.byID[id]
	if !ok {
		p = &pooledCatalog{cfg: cfg, id: id}
		p.ctx, p.cancel = context.WithCancel(context.Background())
		catalogs.byID[id] = p
	}
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	p.users++
	return p
}

// release gives a catalog back. It lingers, for requests that still run.
func (p *pooledCatalog) release() {
	catalogs.Lock()
	defer catalogs.Unlock()
	if p.users--; p.users > 0 {
		return
	}
	p.timer = time.AfterFunc(linger, func() {
		catalogs.Lock()
		defer catalogs.Unlock()
		if p.users > 0 {
			return
		}
		delete(catalogs.byID, p.id)
		ctx, cancel := context.WithTimeout(context.Background(), closeBudget)
		defer cancel()
		p.close(ctx)
	})
}

func (p *pooledCatalog) close(ctx context.Context) {
	p.cancel()
	if open := p.ready.Swap(nil); open != nil {
		err := errors.Join(open.dir.Close(ctx), open.db.Close())
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			caddy.Log().Named("apikey_inject").Warn("closing the catalog", zap.Error(err))
		}
	}
}

// open opens the database. A sqlite file that cannot be opened is a mistake,
// and an error; a server that is away is waited for in the background.
func (p *pooledCatalog) open(ctx context.Context, logger *zap.Logger) (err error) {
	if p.ready.Load() != nil {
		return nil
	}
	err = p.try(ctx)
	if err == nil || p.cfg.Driver == "sqlite" || !errors.Is(err, catalog.ErrUnavailable) {
		return err
	}
	logger.Warn("the catalog is away; requests for integrations and connections in it are refused until it is back", zap.Error(err))
	p.start.Do(func() { go p.keepTrying() })
	return nil
}

func (p *pooledCatalog) keepTrying() {
	tick := time.NewTicker(catalogRetry)
	defer tick.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(p.ctx, openBudget)
		err := p.try(ctx)
		cancel()
		if err == nil {
			processLogger("apikey_inject").Info("the catalog is there")
			return
		}
	}
}

// try opens the database once.
func (p *pooledCatalog) try(ctx context.Context) error {
	db, err := catalog.Open(ctx, p.cfg)
	if err != nil {
		return err
	}
	dir := directory.New(db, directory.Options{})
	dir.Start(p.ctx)
	if !p.ready.CompareAndSwap(nil, &openCatalog{db, dir}) {
		return errors.Join(dir.Close(ctx), db.Close())
	}
	return nil
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
	p := a.opened.Load()
	if p == nil {
		return nil, errUnknownConnection
	}
	open := p.ready.Load()
	if open == nil {
		// Servers may take requests before this app has started.
		if err := a.startCatalog(); err != nil {
			return nil, failUnavailable(0)
		}
		if open = p.ready.Load(); open == nil {
			return nil, failUnavailable(catalogRetry)
		}
	}
	return open.dir, nil
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
		ValueTemplate: made.ValueTemplate, KeyLabel: made.KeyLabel, Disabled: made.Disabled,
	}
	p, err := i.compile()
	if err != nil {
		return nil, err
	}
	return &target{integration: i, plan: p, key: made.UniqueKey, label: made.UniqueKey, ofAPI: true}, nil
}
