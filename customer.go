package apikeyinject

// This file holds connections of the catalog: whose key it is, and what a route
// makes of them.

import (
	"context"
	"errors"
	"maps"
	"sync/atomic"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/directory"
	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
)

// customer is what a target has made of a connection. It is kept beside the
// connection's row, and ends with it when that is changed.
type customer struct {
	target *target
	db     *catalog.DB
	dir    *directory.Directory
	conn   *directory.Connection

	config map[string]string
	base   *inject.Base
	entry  *keyring.Entry

	rendered atomic.Pointer[rendered]

	// beside is the newest version that was put into the store past the catalog.
	beside atomic.Int64
}

// customer finds a connection for a request.
func (h *Handler) customer(ctx context.Context, t *target, id string) (*customer, *failure) {
	open, conn, fail := h.usable(ctx, t, id)
	if fail != nil {
		return nil, fail
	}
	if c, ok := conn.Memo.Load().(*customer); ok && c.target == t {
		return c, nil
	}
	c, fail := newCustomer(open, t, conn)
	if fail == nil {
		conn.Memo.Store(c)
	}
	return c, fail
}

// usable finds a connection, and refuses those whose key may not be used.
func (h *Handler) usable(ctx context.Context, t *target, id string) (*openCatalog, *directory.Connection, *failure) {
	open, fail := h.app.openNow()
	if fail != nil {
		return nil, nil, fail
	}
	conn, err := open.dir.Connection(ctx, t.key, id)
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		return nil, nil, errUnknownConnection
	case err != nil:
		return nil, nil, failUnavailable(0)
	case conn.Disabled:
		return nil, nil, errDisabled
	case t.ofAPI && conn.Origin != t.origin:
		return nil, nil, errOriginChanged
	}
	return open, conn, nil
}

// newCustomer makes of a connection what t needs of it.
func newCustomer(open *openCatalog, t *target, conn *directory.Connection) (*customer, *failure) {
	c := &customer{target: t, db: open.db, dir: open.dir, conn: conn, config: t.config, base: t.base}
	if len(conn.Config) > 0 {
		c.config = maps.Clone(t.config)
		maps.Copy(c.config, conn.Config) // the connection's own win
		var err error
		if c.base, err = t.plan.resolve(c.config); err != nil {
			return nil, errConnectionConfig
		}
	}
	if c.base == nil {
		return nil, errConnectionConfig
	}
	c.entry = t.keys.Entry(t.each.address(conn.ID))
	return c, nil
}

// configValue returns what a ${connectionConfig.NAME} stands for.
func (ex *exchange) configValue(name string) string {
	if ex.customer != nil {
		return ex.customer.config[name]
	}
	return ex.target.config[name]
}

// newest returns a key that is at least as new as the connection's row says: a
// key that another node wrote is there before this node's has aged.
func (c *customer) newest(ctx context.Context, key *keyring.Key, field string) *keyring.Key {
	if key.Version == 0 || key.Version >= c.conn.KeyVersion {
		return key
	}
	// As if it had been refused: one read for all who ask, and none for a while
	// when that brings nothing newer.
	ctx, cancel := context.WithTimeout(ctx, refusedWait)
	defer cancel()
	if newer, ok := c.entry.Refused(ctx, field, key); ok {
		return newer
	}
	return key
}

// takes tells whether a key may go where the connection leads: one that was
// entered before it led there may not, neither as the former key of a rotation
// nor as what is still held of a store that is away. Of a key that is not the
// catalog's, or has no version, nothing is known.
func (c *customer) takes(key *keyring.Key) bool {
	return c == nil || key.Version == 0 || key.Version >= c.conn.BoundSince
}

// overtaken tells whether a key may have been entered after the row that it was
// found by, and with it another place for it to go. A key that somebody put into
// the store past the catalog is newer than the row, too; that it is such a one is
// found out once.
func (c *customer) overtaken(ctx context.Context, key *keyring.Key) bool {
	if c == nil || int64(key.Version) <= max(int64(c.conn.KeyVersion), c.beside.Load()) {
		return false
	}
	// In this order: what is not pending any more is in the row that is read then.
	pending, err := c.db.PendingKey(ctx, c.conn.Integration, c.conn.ID)
	if err != nil || pending != nil && !c.leadsThere(pending.Row) {
		_ = pause(ctx, pendingPause)
		return true
	}
	if err := c.dir.Refresh(ctx, c.conn.Integration, c.conn.ID); err != nil || c.moved(ctx) {
		return true
	}
	c.beside.Store(int64(key.Version))
	return false
}

// pendingPause is what a request waits for a key's row: about as long as it takes
// to write one.
const pendingPause = 50 * time.Millisecond

// moved tells whether the connection was led elsewhere, or ended, since the
// request began: a key that came meanwhile is for there. It rarely does I/O.
func (c *customer) moved(ctx context.Context) bool {
	if c == nil {
		return false
	}
	now, err := c.dir.Connection(ctx, c.conn.Integration, c.conn.ID)
	return err != nil || now.Disabled || !c.leadsThere(&now.Connection)
}

// leadsThere tells whether another row leads where the connection's does. That
// of a deletion, nil, leads nowhere.
func (c *customer) leadsThere(row *catalog.Connection) bool {
	return row != nil && row.Origin == c.conn.Origin && maps.Equal(row.Config, c.conn.Config)
}

// rejected notes that the upstream does not take the connection's key.
func (c *customer) rejected(key *keyring.Key) { c.dir.AuthFailed(c.conn, key.Version) }

// accepted notes that it does.
func (c *customer) accepted(key *keyring.Key) { c.dir.AuthAccepted(c.conn, key.Version) }
