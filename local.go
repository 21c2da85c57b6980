package apikeyinject

// This file holds the store module for keys sealed in the catalog's database.

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
	"github.com/apikeyinject/caddy-apikey-inject/internal/seal"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func init() {
	caddy.RegisterModule(new(LocalStore))
}

// LocalStore keeps keys sealed in the catalog's database, where there is no
// Vault: an embedded one for one node, or a postgres that several share. Keys are
// put there with `caddy apikey-inject set` or through the API.
type LocalStore struct {
	// The Tink keyset that keys are sealed with, in JSON: a placeholder such as
	// `{file./run/secrets/keyset}`. Default: the file `apikey_inject/keyset` in
	// Caddy's configuration directory, made on first use where the catalog is
	// sqlite.
	Keyset string `json:"keyset,omitempty"`

	// How long a key is fresh. Keys that are set through the running Caddy are
	// used at once. Default: 5m.
	TTL caddy.Duration `json:"ttl,omitempty"`

	// How old a key may get while the database cannot be read. Default: 24h.
	MaxStale caddy.Duration `json:"max_stale,omitempty"`

	// What the paths of connections' keys begin with, where these are kept in
	// the catalog. Default: `caddy-apikey-inject`.
	Prefix string `json:"prefix,omitempty"`

	// When the keys that routes name are read: `lazy`, `warm` or `eager`, as in
	// the store `vault`. The database is opened at the start in any case.
	// Default: `warm`.
	Startup string `json:"startup,omitempty"`

	catalog catalog.Config // the app's
	source  seal.Source
}

// CaddyModule returns the Caddy module information.
func (*LocalStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "apikey_inject.stores.local",
		New: func() caddy.Module { return new(LocalStore) },
	}
}

// UnmarshalJSON refuses unknown fields with the nearest known one.
func (s *LocalStore) UnmarshalJSON(data []byte) error {
	type plain LocalStore
	return decodeStrict(data, (*plain)(s))
}

// Provision reads the configuration. It opens no database and makes no keyset.
func (s *LocalStore) Provision(caddy.Context) error {
	if err := s.check(); err != nil {
		return err
	}
	s.source = seal.Source{Path: filepath.Join(caddy.AppConfigDir(), "apikey_inject", "keyset")}
	if s.Keyset == "" {
		return nil
	}
	x := expander{repl: caddy.NewReplacer()}
	s.source.Text = x.secret("keyset", s.Keyset)
	if x.err != nil {
		return x.err
	}
	if _, err := seal.Parse(s.source.Text); err != nil {
		return &fieldError{"keyset", err}
	}
	return nil
}

func (s *LocalStore) check() error {
	if err := checkSecret(s.Keyset); err != nil {
		return &fieldError{"keyset", err}
	}
	if err := checkStartup(s.Startup); err != nil {
		return &fieldError{"startup", err}
	}
	if err := checkPrefix(s.Prefix); err != nil {
		return err
	}
	return checkAges(s.TTL, s.MaxStale)
}

// path is the file of the database; empty where that is no file.
func (s *LocalStore) path() string { return s.catalog.Path }

// identity is the database: it has one keyset, whatever its source.
func (s *LocalStore) identity() string { return catalogID(s.catalog) }

func (s *LocalStore) open() (store.Store, error) { return s.sealed(true), nil }

// sealed returns the store, not yet opened. Only with create it makes a keyset.
func (s *LocalStore) sealed(create bool) *localStore {
	sealed := seal.New(seal.Config{
		Open: func(ctx context.Context) (seal.Database, error) {
			db, err := catalog.Open(ctx, s.catalog)
			if err != nil && s.catalog.Driver == "postgres" {
				return nil, fmt.Errorf("%w: %w", errServerAway, err)
			}
			if err != nil {
				return nil, err
			}
			return db, nil
		},
		Keyset: s.source,
		Create: create && s.catalog.Driver == "sqlite", // two nodes would make two keysets
	})
	return &localStore{Store: sealed}
}

// errServerAway says that the keys are on a server, which may come back.
var errServerAway = errors.New("the database server cannot be used")

// start opens the database ahead of the first request: a migration may take
// longer than a request waits. A server that is away is an outage, as a Vault's
// would be; a keyset that is not the server's is a mistake.
func (s *LocalStore) start(ctx context.Context, opened store.Store) error {
	local := opened.(*localStore)
	if s.catalog.Driver == "postgres" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, catalogWait)
		defer cancel()
	}
	err := local.Open(ctx)
	if errors.Is(err, errServerAway) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := local.Use(ctx, s.source); err != nil { // an earlier configuration may have opened it
		return err
	}
	if local.KeysetMade() {
		local.said.Do(func() {
			processLogger("apikey_inject.stores.local").Warn("made a keyset for the local store; back it up, the keys are lost without it",
				zap.String("path", s.source.Path))
		})
	}
	return nil
}

func (s *LocalStore) options() keyring.Options {
	return keyring.Options{TTL: time.Duration(s.TTL), MaxStale: time.Duration(s.MaxStale), Lazy: s.Startup == startupLazy}
}

func (s *LocalStore) prefix() string { return firstSet(s.Prefix, defaultPrefix) }

func (s *LocalStore) eager() bool { return s.Startup == startupEager }

// localStore adds to the sealed store what operators do with it.
type localStore struct {
	*seal.Store
	said sync.Once // that a keyset was made

	// writes is held from a write to what the ring learns of it: of two at
	// once, the ring could hear in the other order.
	writes sync.Mutex
}

// put sets one field of a document, whatever version is there, and returns the
// document it made.
func (s *localStore) put(ctx context.Context, a store.Address, field string, key secret.Value) (*store.Document, error) {
	if field == "" {
		field = store.DefaultField
	}
	for {
		cas := 0
		fields := map[string]secret.Value{}
		held, err := s.Get(ctx, a)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if held != nil {
			cas = held.Version
			for name, f := range held.Fields {
				fields[name] = f.Value
			}
			if _, again := fields[field]; again {
				delete(fields, store.ExpiresField) // it was of the key before
			}
		}
		fields[field] = key
		_, err = s.Put(ctx, a, fields, cas)
		if err == nil {
			return s.Get(ctx, a)
		}
		if !errors.Is(err, store.ErrConflict) || ctx.Err() != nil {
			return nil, err
		}
	}
}

// Interface guards
var (
	_ caddy.Provisioner = (*LocalStore)(nil)
	_ keyStore          = (*LocalStore)(nil)
	_ store.Store       = (*localStore)(nil)
)
