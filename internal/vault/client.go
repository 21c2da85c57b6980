// The client: what ties connections, session and mounts together.

package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// Bounds of how long a throttled client pauses (VAULT_RATE_LIMIT is another
// thing: that one is ours).
const (
	minPause    = time.Second
	maxPause    = 5 * time.Minute
	revokeLimit = 2 * time.Second
)

// Client is a [store.Store] over Vault.
type Client struct {
	cfg     Config
	log     *zap.Logger
	auth    *auth
	session *session
	mounts  mounts

	wires  atomic.Pointer[[]*wire]
	sticky atomic.Int32 // index of the address that last worked

	reload  sync.Mutex // of the TLS files; guards:
	tlsSum  [32]byte   // of the files the wires were made with
	tlsSaid string     // why they could not be read again

	background sync.WaitGroup
	closing    sync.Once

	mu     sync.Mutex
	paused time.Time
	health health
}

// New prepares a client. It neither dials nor starts anything; the TLS files
// are read.
func New(c Config) (*Client, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	cl := &Client{cfg: c, log: c.Log, mounts: mounts{asking: make(chan struct{}, 1)}}
	cl.auth = &auth{c: cl, cfg: c.Auth}
	cl.session = newSession(cl.auth)
	cl.session.said = chronicle{log: c.Log, method: c.Auth.Method, observe: c.ObserveLogin}
	wires, sum, err := c.wires()
	if err != nil {
		return nil, err
	}
	cl.wires.Store(&wires)
	cl.tlsSum = sum
	return cl, nil
}

// wires makes the connections of every address.
func (c Config) wires() ([]*wire, [32]byte, error) {
	t, sum, err := c.TLSFiles.build(c.TLS)
	if err != nil {
		return nil, sum, err
	}
	wires := make([]*wire, 0, len(c.Addresses))
	for _, addr := range c.Addresses {
		e, err := parseEndpoint(addr)
		if err != nil {
			return nil, sum, fmt.Errorf("address: %w", err)
		}
		w, err := newWire(e, c, t.Clone())
		if err != nil {
			return nil, sum, err
		}
		wires = append(wires, w)
	}
	return wires, sum, nil
}

// Start begins to log in. It returns at once; calling it again does nothing.
func (c *Client) Start() {
	c.session.start.Do(func() {
		ctx, cancel := context.WithCancel(context.Background())
		c.session.mu.Lock()
		c.session.stop = cancel
		c.session.mu.Unlock()
		c.background.Add(3)
		go func() { defer c.background.Done(); c.greet(ctx) }()
		go func() { defer c.background.Done(); c.session.run(ctx) }()
		go func() { defer c.background.Done(); c.watchTLS(ctx) }()
	})
}

// Adopt takes over what c's successor proves itself with: a configuration of
// the same [Config.Identity] may bring a new secret_id or password.
func (c *Client) Adopt(next Config) {
	a := next.withDefaults().Auth
	c.auth.mu.Lock()
	c.auth.cfg = a
	c.auth.mu.Unlock()
	c.session.retry()
}

// withToken calls f with a token. When Vault does not know that token any more,
// one login replaces it and f is called once again.
func (c *Client) withToken(ctx context.Context, f func(*token) error) error {
	c.Start()
	for attempt := 1; ; attempt++ {
		t, err := c.session.token(ctx)
		if err != nil {
			return err
		}
		err = c.judge(ctx, t, f(t))
		if !errors.Is(err, errTokenDead) {
			return err
		}
		if !t.own {
			c.auth.bad(t.value)
		}
		c.session.kill(t)
		if attempt == 2 {
			return fmt.Errorf("%w: %w", err, store.ErrUnavailable)
		}
	}
}

// judge decides what a 403 means. Before 1.17 Vault did not say that a token is
// dead, and a disabled entity looks like a policy to this day.
func (c *Client) judge(ctx context.Context, t *token, err error) error {
	if !errors.Is(err, errForbidden) {
		return err
	}
	if t.value.Reveal() != "" && c.session.mayCheck(t) {
		q := call{method: http.MethodGet, path: "auth/token/lookup-self", namespace: c.auth.config().Namespace, token: t.value}
		if a, lookErr := c.send(ctx, q); lookErr == nil && a.status == http.StatusForbidden {
			return errTokenDead
		}
	}
	return fmt.Errorf("%w: %w", err, store.ErrDenied)
}

// pausedFor is how long Vault still wants to be left alone.
func (c *Client) pausedFor() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Until(c.paused)
}

// pause stops every call for a while: Vault counts per client address and node.
func (c *Client) pause(d time.Duration) error {
	d = min(max(d, minPause), maxPause)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused = time.Now().Add(d)
	return &store.ThrottledError{After: d}
}

// Close ends the background work, revokes the token if we logged in for it, and
// closes the connections. It takes 2 s at most, and no longer than ctx.
func (c *Client) Close(ctx context.Context) error {
	var err error
	c.closing.Do(func() { err = c.close(ctx) })
	return err
}

func (c *Client) close(ctx context.Context) error {
	c.session.start.Do(func() { close(c.session.ended) }) // never started: it shall not start now
	c.session.mu.Lock()
	stop := c.session.stop
	c.session.mu.Unlock()
	if stop != nil {
		stop()
	}
	c.background.Wait()
	var err error
	c.session.mu.Lock()
	t := c.session.current
	c.session.current = nil
	c.session.mu.Unlock()
	if t != nil && t.own {
		ctx, cancel := context.WithTimeout(ctx, revokeLimit)
		defer cancel()
		q := call{method: http.MethodPost, path: "auth/token/revoke-self", namespace: c.auth.config().Namespace, token: t.value, body: map[string]string{}}
		if _, err = c.send(ctx, q); err != nil { // a batch token's 400 is no error: it cannot be revoked
			err = fmt.Errorf("revoking the token: %w", err)
		}
	}
	for _, w := range *c.wires.Load() {
		w.base.CloseIdleConnections()
	}
	return err
}

// Interface guards
var (
	_ store.Store  = (*Client)(nil)
	_ store.Former = (*Client)(nil)
)
