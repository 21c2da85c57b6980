package apikeyinject

// This file holds the rings that survive reloads.

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// linger is how long a ring outlives the last configuration that used it:
// Caddy lets the requests of a replaced configuration finish.
const linger = 60 * time.Second

// closeBudget bounds the closing of a ring: flights, and the revocation of
// tokens that we logged in for.
const closeBudget = 2 * time.Second

// pool holds the rings of this process, by the identity of their stores.
var pool = ringPool{rings: make(map[string]*pooledRing)}

type ringPool struct {
	mu    sync.Mutex
	rings map[string]*pooledRing
}

// pooledRing is a ring and how many configurations use it.
type pooledRing struct {
	*keyring.Ring
	store    store.Store
	identity string
	users    int
	apps     []*App      // those started that use it, the newest last
	timer    *time.Timer // runs while users is 0
	lingers  int         // counts them: a timer that fired may come too late
}

func init() {
	// Tokens that we logged in for are revoked also when the process ends
	// before a linger does.
	caddy.OnExit(func(ctx context.Context) { pool.closeAll(ctx) })
}

// acquireRing returns the ring for a store. The caller releases it once.
//
// A caddy.UsagePool would do but for the linger: it forgets a value when its
// last user leaves, and a configuration that comes back within the minute, as
// after a reload with a mistake in it, would find no keys.
func acquireRing(mod keyStore) (*pooledRing, error) {
	identity := string(mod.CaddyModule().ID) + ":" + mod.identity()
	pool.mu.Lock()
	defer pool.mu.Unlock()
	if r, ok := pool.rings[identity]; ok {
		if r.timer != nil {
			r.timer.Stop()
			r.timer = nil
		}
		r.users++
		return r, nil
	}
	s, err := mod.open()
	if err != nil {
		return nil, err
	}
	r := &pooledRing{Ring: keyring.New(s, keyring.RingOptions{}), store: s, identity: identity, users: 1}
	pool.rings[identity] = r
	return r, nil
}

// release gives a ring back. The last release starts the linger.
func (r *pooledRing) release() {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	r.users--
	if r.users > 0 || pool.rings[r.identity] != r {
		return
	}
	r.lingers++
	n := r.lingers
	r.timer = time.AfterFunc(linger, func() { r.expire(n) })
}

// join makes a the newest configuration of those that use the ring, and leave
// undoes that.
func (r *pooledRing) join(a *App) {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	r.apps = append(r.apps, a)
}

func (r *pooledRing) leave(a *App) {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	r.apps = slices.DeleteFunc(r.apps, func(other *App) bool { return other == a })
}

// newest returns the newest configuration that uses the ring, nil for none.
func (r *pooledRing) newest() *App {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	if len(r.apps) == 0 {
		return nil
	}
	return r.apps[len(r.apps)-1]
}

// expire ends the n-th linger, and the ring with it.
func (r *pooledRing) expire(n int) {
	pool.mu.Lock()
	if r.users > 0 || r.lingers != n || pool.rings[r.identity] != r {
		pool.mu.Unlock()
		return
	}
	delete(pool.rings, r.identity)
	pool.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closeBudget)
	defer cancel()
	r.close(ctx)
}

func (r *pooledRing) close(ctx context.Context) {
	if err := r.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		caddy.Log().Named("apikey_inject").Warn("closing a store", zap.Error(err))
	}
}

func (p *ringPool) closeAll(ctx context.Context) {
	p.mu.Lock()
	rings := p.rings
	p.rings = make(map[string]*pooledRing)
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, closeBudget)
	defer cancel()
	var wg sync.WaitGroup
	for _, r := range rings {
		wg.Go(func() { r.close(ctx) })
	}
	wg.Wait()
}

// processCore logs through whatever configuration is current. What outlives a
// configuration must not hold its logger: Caddy closes the writers of a
// replaced one.
type processCore struct {
	name   string
	fields []zapcore.Field
}

// processLogger returns a logger for what outlives configurations.
func processLogger(name string) *zap.Logger { return zap.New(&processCore{name: name}) }

func (c *processCore) current() zapcore.Core { return caddy.Log().Core() }

func (c *processCore) Enabled(l zapcore.Level) bool { return c.current().Enabled(l) }

func (c *processCore) With(fields []zapcore.Field) zapcore.Core {
	return &processCore{name: c.name, fields: append(slices.Clip(c.fields), fields...)}
}

func (c *processCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	e.LoggerName = c.name
	return c.current().With(c.fields).Check(e, ce)
}

func (c *processCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	return c.current().With(c.fields).Write(e, fields)
}

func (c *processCore) Sync() error { return c.current().Sync() }
