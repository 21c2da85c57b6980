package api

// This file holds what the API needs from the rest of the house.

import (
	"context"
	"iter"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/session"
)

// Catalog keeps descriptions. Its errors are those of package catalog. What it
// writes it also writes into the value it was given: times and revision.
type Catalog interface {
	CreateIntegration(ctx context.Context, i *catalog.Integration) error
	Integration(ctx context.Context, key string) (*catalog.Integration, error)
	Integrations(ctx context.Context) ([]*catalog.Integration, error)

	// UpdateIntegration writes i in place of the integration with that key, if
	// its revision is still i's. With another unique key in i it renames, which
	// connections forbid.
	UpdateIntegration(ctx context.Context, key string, i *catalog.Integration) error

	// DeleteIntegration deletes the integration with that key and revision. It
	// returns the connections it deleted with it; their keys are left.
	DeleteIntegration(ctx context.Context, key string, revision int64, withConnections bool) ([]catalog.Connection, error)

	CountConnections(ctx context.Context, integration string) (int, error)

	Connection(ctx context.Context, integration, id string) (*catalog.Connection, error)
	Connections(ctx context.Context, filter catalog.ConnectionFilter) ([]*catalog.Connection, error)

	// UpdateConnection writes c, if its revision is still the row's.
	UpdateConnection(ctx context.Context, c *catalog.Connection) error

	// Groups counts the connections of some integrations, or of all, by how
	// they are doing, and ConnectionsIn returns some of a group.
	Groups(ctx context.Context, integrations []string) ([]catalog.Group, error)
	ConnectionsIn(ctx context.Context, g catalog.Group, limit, offset int) ([]*catalog.Connection, error)
}

// Keys does everything that touches a key. Its errors are those of packages
// catalog and store.
type Keys interface {
	// Enter stores a key and then the description c, which it completes:
	// origin, fingerprint, key version, times, revision. c.Revision is what c
	// was read at, 0 for a new one; a row with another is [catalog.ErrConflict].
	Enter(ctx context.Context, c *catalog.Connection, key secret.Value) error

	// Remove deletes a connection and then destroys its key in all versions.
	Remove(ctx context.Context, integration, id string) error

	// Destroy destroys the keys of connections that are deleted already. Until
	// it has, its error is told to the client and the sweep of orphans goes on.
	Destroy(ctx context.Context, gone []catalog.Connection) error
}

// Sessions makes and opens the tokens of connect sessions. Its errors are those
// of packages session and catalog.
type Sessions interface {
	// Seal completes a session, with an id and a time to expire, and returns
	// its token.
	Seal(ctx context.Context, s *session.Session) (token string, err error)

	// Open returns what a token permits, whether it was used or not.
	Open(ctx context.Context, token string) (*session.Session, error)

	// Check is a [session.ErrUsed] when it was used.
	Check(ctx context.Context, s *session.Session) error

	// Use enters that it is used, of all who try for one only, until Free.
	Use(ctx context.Context, s *session.Session) error
	Free(ctx context.Context, s *session.Session) error

	// Try begins a try and Tried ends it. After some that failed, or while as
	// many are under way, Try is a [session.ErrBlocked]; so is then Open.
	Try(s *session.Session) error
	Tried(s *session.Session, failed bool)
}

// Static holds the integrations of the Caddy config. They win over the
// catalog's and cannot be changed here.
type Static interface {
	Integrations() []*catalog.Integration

	// Where says where an integration is defined: "Caddyfile:12". ok is false
	// for one that the Caddy config does not define.
	Where(key string) (where string, ok bool)
}

// Status knows how keys and stores are doing. It reads no store.
type Status interface {
	// Connection returns the state of a connection's key, or with an empty id
	// of the integration's own.
	Connection(integration, id string) KeyStatus

	// Held goes over the connections that this node was asked for lately, in no
	// order.
	Held() iter.Seq2[*catalog.Connection, KeyStatus]

	Stores() []StoreStatus
}

// The states of a key. Of a connection the API finds all in the catalog but
// missing and stale: these are what a node has to say about the way to the store.
const (
	StateOK            = "ok"
	StateAuthFailed    = "auth_failed"
	StateMissing       = "missing"
	StateStale         = "stale"
	StateDisabled      = "disabled"
	StateOriginChanged = "origin_changed"
	StateUnknown       = "unknown"
)

// KeyStatus is what this node knows of a key. The zero value knows nothing.
type KeyStatus struct {
	State             string
	Version           int
	UpdatedAt         time.Time // when this version was written
	LastUsedAt        time.Time
	LastAuthFailureAt time.Time
	NextRefresh       time.Time
	ExpiresAt         time.Time // as the key's document says
}

// StoreStatus is the state of a store of keys.
type StoreStatus struct {
	Name      string
	Module    string
	Reachable bool
	Sealed    bool

	// Since is when it went away, or was back. Zero: it was never away.
	Since time.Time

	// TokenTTL is for how long our own login is good. Zero: it has none.
	TokenTTL time.Duration
}
