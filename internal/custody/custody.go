// Package custody keeps keys and their descriptions together: the key in a
// store, the description in the catalog.
//
// It writes the key first and then the description, deletes the description
// first and then the key, and enters in the catalog what it is about to do. So
// after a crash between any two steps [Custody.Sweep] finds what is unfinished,
// and ends it in the old or the new state.
//
// It never reads a key, and needs no permission to.
package custody

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

const (
	// settleTime bounds what follows once something was entered in the catalog:
	// two writes and two questions to a store at 5 s each, and the catalog.
	settleTime = 30 * time.Second

	// sweepAge is how old an unfinished entry must be before a sweep takes it.
	// It is longer than settleTime, so whoever made it no longer works on it.
	sweepAge = time.Minute
)

// Catalog is what custody needs of a [catalog.DB].
type Catalog interface {
	Connection(ctx context.Context, integration, id string) (*catalog.Connection, error)
	DeleteConnection(ctx context.Context, integration, id string) (*catalog.Connection, error)

	BeginKeyWrite(ctx context.Context, p *catalog.PendingKey) error
	FinishKeyWrite(ctx context.Context, p *catalog.PendingKey, version int) error
	AbandonKeyWrite(ctx context.Context, p *catalog.PendingKey) error
	BeginKeyDelete(ctx context.Context, integration, id string) (before bool, err error)
	FinishKeyDelete(ctx context.Context, integration, id string) error

	PendingKeys(ctx context.Context, olderThan time.Duration) ([]*catalog.PendingKey, error)
	ClaimPending(ctx context.Context, p *catalog.PendingKey) error
	ResolveKeyWrite(ctx context.Context, p *catalog.PendingKey, version int) error

	FingerprintKey(ctx context.Context) (secret.Value, error)
}

// Config says where descriptions and keys go.
type Config struct {
	// Catalog of the descriptions. Required.
	Catalog Catalog

	// Place says where a connection's key is kept: a store, which must also be a
	// [store.Versioner], an address of its own, and the field, empty for the
	// default one. It is asked also for connections whose integration is
	// deleted, and must then say the same as before. Required.
	Place func(integration, id string) (s store.Store, a store.Address, field string, err error)

	// Configured tells whether an integration is one of the Caddy config. Any
	// other must be in the catalog when a key is entered. Nil: none is.
	Configured func(integration string) bool

	// Learn is told each key that was stored, so that this node uses it at once:
	// its fields and version, but no time, which only the store knows. Nil: no
	// one is.
	Learn func(integration, id string, d *store.Document)

	// Forget is told whose key is no longer what it was. Nil: no one is.
	Forget func(integration, id string)

	// Now is the clock that says how old an unfinished entry is. Default:
	// time.Now.
	Now func() time.Time
}

// Custody enters and removes keys with their descriptions. Several, on one node
// or many, may share a catalog.
type Custody struct {
	cfg  Config
	hash atomic.Pointer[secret.Value] // the key of fingerprints, once read

	// removing holds the connections whose key is being destroyed. A second
	// order to the store could arrive after the first has ended the deletion,
	// and hit a key that was entered since.
	removing sync.Map // of connection
}

// connection names one.
type connection struct{ integration, id string }

func (c connection) String() string {
	return fmt.Sprintf("the connection %q of %q", c.id, c.integration)
}

// New returns a Custody. It does no I/O.
func New(cfg Config) *Custody {
	if cfg.Configured == nil {
		cfg.Configured = func(string) bool { return false }
	}
	if cfg.Learn == nil {
		cfg.Learn = func(string, string, *store.Document) {}
	}
	if cfg.Forget == nil {
		cfg.Forget = func(string, string) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Custody{cfg: cfg}
}

// settling is a context for what must not stay half done because a client left.
func settling(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), settleTime)
}
