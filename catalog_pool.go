package apikeyinject

// This file holds the catalogs that survive reloads.

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/alert"
	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/directory"
	"github.com/apikeyinject/caddy-apikey-inject/internal/session"
	"github.com/apikeyinject/caddy-apikey-inject/internal/webhook"
)

// catalogRetry parts two attempts to open a database that is away.
const catalogRetry = 2 * time.Second

// catalogWait bounds what the start of a configuration waits for a server.
const catalogWait = 5 * time.Second

// pooledCatalog is an open catalog and how many configurations use it. It
// belongs to the process, as rings do.
type pooledCatalog struct {
	cfg    catalog.Config
	id     string
	ready  atomic.Pointer[openCatalog]
	ctx    context.Context
	cancel context.CancelFunc

	// Guarded by catalogs.
	users   int
	timer   *time.Timer // runs while users is 0
	lingers int         // counts them: a timer that fired may come too late

	mu       sync.Mutex // not that of catalogs: it is held while directories end, which tell until then
	apps     []*App     // those started that use it, the newest last
	webhooks *webhook.Sender
	alerts   *alert.Teller
	telling  sync.Once
	told     sync.WaitGroup // webhooks and alerts run

	opening sync.Mutex    // held while it is tried for the first time
	opened  chan struct{} // closed when it is open
	ring    sync.Once     // closes that
	waiting bool          // it was away, and is tried again in the background
}

// openCatalog is a catalog that can be asked.
type openCatalog struct {
	db       *catalog.DB
	dir      *directory.Directory
	sessions *session.Sessions
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
		p = &pooledCatalog{cfg: cfg, id: id, opened: make(chan struct{})}
		p.ctx, p.cancel = context.WithCancel(context.Background())
		p.webhooks = webhook.NewSender(outbox{p}, processLogger("apikey_inject.webhooks"))
		p.alerts = alert.New(book{p}, rand.Text(), processLogger("apikey_inject.alerts"))
		p.webhooks.Observe, p.alerts.Observe = countWebhook, countAlert
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
	p.lingers++
	n := p.lingers
	p.timer = time.AfterFunc(linger, func() { p.expire(n) })
}

// expire ends the n-th linger, and the catalog with it. The lock is held until it
// is closed: the next one opens the same file.
func (p *pooledCatalog) expire(n int) {
	catalogs.Lock()
	defer catalogs.Unlock()
	if p.users > 0 || p.lingers != n {
		return
	}
	delete(catalogs.byID, p.id)
	ctx, cancel := context.WithTimeout(context.Background(), closeBudget)
	defer cancel()
	p.close(ctx)
}

// join makes a the newest configuration of those that use the catalog, and leave
// undoes that.
func (p *pooledCatalog) join(a *App) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.apps = append(p.apps, a)
}

func (p *pooledCatalog) leave(a *App) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.apps = slices.DeleteFunc(p.apps, func(other *App) bool { return other == a })
}

// newest returns the newest configuration that uses the catalog, nil for none.
func (p *pooledCatalog) newest() *App {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.apps) == 0 {
		return nil
	}
	return p.apps[len(p.apps)-1]
}

func (p *pooledCatalog) close(ctx context.Context) {
	p.cancel()
	p.told.Wait() // what is under way is cut off, and left to who comes next
	if open := p.ready.Swap(nil); open != nil {
		err := errors.Join(open.dir.Close(ctx), open.db.Close())
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			caddy.Log().Named("apikey_inject").Warn("closing the catalog", zap.Error(err))
		}
	}
}

// open opens the database, unless that was tried before. A sqlite file that
// cannot be opened is a mistake, and an error; a server that is away is waited
// for in the background.
func (p *pooledCatalog) open(ctx context.Context, logger *zap.Logger) error {
	p.opening.Lock()
	defer p.opening.Unlock()
	return p.openLocked(ctx, logger)
}

func (p *pooledCatalog) openLocked(ctx context.Context, logger *zap.Logger) error {
	p.telling.Do(func() {
		p.told.Go(func() { p.webhooks.Run(p.ctx) })
		p.told.Go(func() { p.alerts.Run(p.ctx) })
	})
	if p.ready.Load() != nil || p.waiting {
		return nil
	}
	if p.cfg.Driver == "postgres" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, catalogWait)
		defer cancel()
	}
	err := p.try(ctx)
	if err == nil || p.cfg.Driver != "postgres" {
		return err
	}
	logger.Warn("the catalog is away; requests for what it holds are refused until it is back", zap.Error(err))
	p.waiting = true
	go p.keepTrying()
	return nil
}

// openNow is open for a request that came before this app was started. It does
// not wait for another one that is at it.
func (p *pooledCatalog) openNow(ctx context.Context, logger *zap.Logger) {
	if p.ready.Load() != nil || !p.opening.TryLock() {
		return
	}
	defer p.opening.Unlock()
	_ = p.openLocked(ctx, logger) // told when the app starts
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

// try opens the database once, and never one that was closed: nobody would close
// it again.
func (p *pooledCatalog) try(ctx context.Context) error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	db, err := catalog.Open(ctx, p.cfg)
	if err != nil {
		return err
	}
	return p.publish(ctx, db)
}

// publish has a database used, unless it was closed meanwhile.
func (p *pooledCatalog) publish(ctx context.Context, db *catalog.DB) error {
	dir := directory.New(db, directory.Options{Observe: p.observe})
	dir.Start(p.ctx)
	if !p.ready.CompareAndSwap(nil, &openCatalog{db, dir, session.New(db, time.Now)}) {
		return errors.Join(dir.Close(ctx), db.Close())
	}
	p.ring.Do(func() { close(p.opened) })
	if err := p.ctx.Err(); err != nil { // then close saw nothing to close, or does it now
		p.close(ctx)
		return err
	}
	return nil
}
