// How Vault is, and how we stand with it.

package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// health is what the last probe found.
type health struct {
	known     bool
	reachable bool
	sealed    bool
	version   string
	warned    bool // about a namespace that is not obeyed
}

// Status is a snapshot for operators. It holds no secret.
type Status struct {
	// Address that was last used.
	Address string `json:"address"`

	// Reachable and Sealed are what the last probe found, by [Client.Healthy].
	Reachable bool `json:"reachable"`
	Sealed    bool `json:"sealed"`

	// Version of the server, once probed.
	Version string `json:"version,omitempty"`

	// Auth is the method of logging in.
	Auth string `json:"auth"`

	// LoggedIn tells whether there is a token that Vault has not refused.
	LoggedIn bool `json:"logged_in"`

	// TokenTTL is the life of that token from its last renewal. Zero: it does
	// not end, or is not ours to know.
	TokenTTL time.Duration `json:"token_ttl,omitempty"`

	// TokenEnds is when that token ends, by our clock. Zero: it does not, or is
	// not ours to know.
	TokenEnds time.Time `json:"token_ends,omitzero"`

	// Error of the last login, while there is no token.
	Error string `json:"error,omitempty"`
}

// Status returns what is known now, without asking.
func (c *Client) Status() Status {
	wires := *c.wires.Load()
	st := Status{Address: wires[int(c.sticky.Load())%len(wires)].addr, Auth: c.cfg.Auth.Method}
	c.mu.Lock()
	st.Reachable, st.Sealed, st.Version = c.health.reachable, c.health.sealed, c.health.version
	c.mu.Unlock()
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	if t := c.session.current; t != nil {
		st.LoggedIn, st.TokenTTL, st.TokenEnds = true, t.ttl, t.ends
	} else if c.session.failed != nil {
		st.Error = c.session.failed.Error()
	}
	return st
}

// Healthy asks sys/health, without a token, whether any address can serve; see
// [store.Store]. A good answer makes a login that waits happen at once. While TLS
// fails its files are looked at before: whoever mends them shall not have to wait
// for the minute in which they are looked at otherwise.
func (c *Client) Healthy(ctx context.Context) error {
	if c.cfg.TLSFiles.fromFiles() && c.distrusts() {
		c.reloadTLS()
	}
	q := call{method: http.MethodGet, path: "sys/health", query: url.Values{"standbyok": {"true"}, "perfstandbyok": {"true"}}, probe: true}
	a, err := c.send(ctx, q)
	if err != nil {
		c.note(health{known: true})
		return err
	}
	var body struct {
		Initialized *bool  `json:"initialized"`
		Sealed      bool   `json:"sealed"`
		Version     string `json:"version"`
		Enterprise  bool   `json:"enterprise"`
	}
	if !a.json || json.Unmarshal(a.body, &body) != nil || body.Initialized == nil {
		c.note(health{known: true})
		return unavailable(q, a)
	}
	c.note(health{known: true, reachable: true, sealed: body.Sealed, version: body.Version})
	if a.status/100 != 2 && a.status != http.StatusTooManyRequests {
		if body.Sealed {
			return fmt.Errorf("%s: Vault is sealed: %w", q.describe(), store.ErrUnavailable)
		}
		return unavailable(q, a)
	}
	c.checkNamespace(body.Enterprise, body.Version)
	c.session.retry()
	return nil
}

func (c *Client) note(h health) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h.warned = c.health.warned
	c.health = h
}

// greet looks, once Vault is there, whether it obeys our namespace.
func (c *Client) greet(ctx context.Context) {
	if c.cfg.Namespace == "" {
		return
	}
	tick := time.NewTicker(backoffMax)
	defer tick.Stop()
	for c.Healthy(ctx) != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// checkNamespace complains about a server that has no namespaces: it ignores
// the header and answers from its root, with other secrets than were meant.
// OpenBao (version 2 and up) has them and does not call itself enterprise.
func (c *Client) checkNamespace(enterprise bool, version string) {
	if c.cfg.Namespace == "" || enterprise || !strings.HasPrefix(version, "1.") {
		return
	}
	c.mu.Lock()
	warned := c.health.warned
	c.health.warned = true
	c.mu.Unlock()
	if !warned {
		c.log.Error("this Vault edition has no namespaces and ignores the one configured",
			zap.String("namespace", c.cfg.Namespace), zap.String("version", version))
	}
}
