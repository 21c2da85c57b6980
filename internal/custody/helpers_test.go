package custody_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/custody"
	"github.com/apikeyinject/caddy-apikey-inject/internal/pgtest"
	"github.com/apikeyinject/caddy-apikey-inject/internal/seal"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vault"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// keyStore is a store as custody needs it.
type keyStore interface {
	store.Store
	store.Versioner
}

// site is a catalog and a store, with a clock that all share.
type site struct {
	t     *testing.T
	db    *catalog.DB
	keys  keyStore          // what custody is given; of Vault, with the role of docs/keys.md
	store keyStore          // the same, for the test itself: it may read keys
	vault *vaulttest.Server // nil: the store is the sealed one

	mu        sync.Mutex
	now       time.Time
	learned   map[string]*store.Document // by id
	forgotten map[string]int
}

// both runs f with sqlite and the sealed local store, and with postgres and a
// real Vault, there with no more than the policy of docs/keys.md allows.
func both(t *testing.T, f func(t *testing.T, s *site)) {
	t.Helper()
	t.Run("sqlite, sealed", func(t *testing.T) { f(t, sealed(t)) })
	t.Run("postgres, Vault", func(t *testing.T) { f(t, vaulted(t)) })
}

func newSite(t *testing.T) *site {
	return &site{
		t: t, now: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC),
		learned: map[string]*store.Document{}, forgotten: map[string]int{},
	}
}

func (s *site) open(c catalog.Config) *catalog.DB {
	s.t.Helper()
	c.Now = s.clock
	db, err := catalog.Open(s.t.Context(), c)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = db.Close() })
	return db
}

func sealed(t *testing.T) *site {
	t.Helper()
	s, dir := newSite(t), t.TempDir()
	file := catalog.Config{Path: filepath.Join(dir, "data", "catalog.db")}
	s.db = s.open(file)
	local := seal.New(seal.Config{
		Open:   func(context.Context) (seal.Database, error) { return s.open(file), nil },
		Keyset: seal.Source{Path: filepath.Join(dir, "config", "keyset")},
		Create: true,
		Now:    s.clock,
	})
	t.Cleanup(func() { _ = local.Close(context.Background()) })
	s.keys, s.store = local, local
	mustIntegrate(t, s.db, "acme")
	return s
}

func vaulted(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	s.db = s.open(catalog.Config{Driver: "postgres", URL: secret.New(pgtest.Database(t))})
	s.vault = vaulttest.Start(t)
	s.store = client(t, s.vault.Addr, s.vault.Token)
	s.vault.Policy("caddy-api", policy(t, "caddy-api"))
	s.keys = client(t, s.vault.Addr, s.vault.NewToken(time.Hour, "caddy-api"))
	mustIntegrate(t, s.db, "acme")
	return s
}

func client(t *testing.T, addr, token string) *vault.Client {
	t.Helper()
	cl, err := vault.New(vault.Config{Addresses: []string{addr}, Auth: vault.Auth{Method: vault.MethodToken, Token: secret.New(token)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cl.Close(context.Background()) })
	return cl
}

// custody returns one over the site's own catalog and store.
func (s *site) custody() *custody.Custody { return s.custodyOf(s.db, s.keys) }

func (s *site) custodyOf(db custody.Catalog, keys store.Store) *custody.Custody {
	return custody.New(custody.Config{
		Catalog: db,
		Place: func(integration, id string) (store.Store, store.Address, string, error) {
			return keys, address(integration, id), "", nil
		},
		Configured: func(integration string) bool { return integration == "configured" },
		Learn: func(_, id string, d *store.Document) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.learned[id] = d
		},
		Forget: func(_, id string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.forgotten[id]++
		},
		Now: s.clock,
	})
}

func (s *site) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *site) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func address(integration, id string) store.Address {
	return store.Address{Path: "caddy-apikey-inject/" + integration + "/" + id}
}

func mustIntegrate(t *testing.T, db *catalog.DB, key string) {
	t.Helper()
	must(t, db.CreateIntegration(t.Context(), &catalog.Integration{
		UniqueKey: key, Provider: "private-api-generic", DisplayName: "Acme", BaseURL: "https://api.acme.example/v1",
		KeyPlacement: "header", KeyName: "X-Api-Key", ValueTemplate: "${apiKey}", KeyLabel: "API Key",
	}))
}

func aConnection(id string) *catalog.Connection {
	return &catalog.Connection{
		Integration: "acme", ID: id, Origin: "https://api.acme.example", Tags: map[string]string{"plan": "pro"}, Revision: custody.AnyRevision,
	}
}

// mustEnter enters a key, upon the row that is there.
func mustEnter(t *testing.T, c *custody.Custody, id, key string) *catalog.Connection {
	t.Helper()
	conn := aConnection(id)
	must(t, c.Enter(t.Context(), conn, secret.New(key)))
	return conn
}

// held is a connection's key in the store, its version, and its row; the zero
// key and a nil row say that there is none.
type held struct {
	key     string
	version int
	row     *catalog.Connection
}

func (s *site) held(id string) held {
	s.t.Helper()
	var h held
	d, err := s.store.Get(s.t.Context(), address("acme", id))
	if err == nil {
		h.key, h.version = d.Fields[store.DefaultField].Value.Reveal(), d.Version
	} else if !errors.Is(err, store.ErrNotFound) {
		s.t.Fatal(err)
	}
	h.row, err = s.db.Connection(s.t.Context(), "acme", id)
	if err != nil && !errors.Is(err, catalog.ErrNotFound) {
		s.t.Fatal(err)
	}
	return h
}

// wantKey fails the test unless key is in the store and the row fits it.
func (s *site) wantKey(id, key string) held {
	s.t.Helper()
	h := s.held(id)
	if h.key != key || h.row == nil || h.row.KeyVersion != h.version || h.row.Fingerprint == "" {
		s.t.Errorf("%s: the store has %q as version %d, the row is %+v; want the key %q", id, h.key, h.version, h.row, key)
	}
	return h
}

// wantNothing fails the test unless nothing is left of a connection, in any
// version.
func (s *site) wantNothing(id string) {
	s.t.Helper()
	if h := s.held(id); h != (held{}) {
		s.t.Errorf("%s: left is %+v", id, h)
	}
	if v, err := s.store.Version(s.t.Context(), address("acme", id)); !errors.Is(err, store.ErrNotFound) {
		s.t.Errorf("%s: a version is left: %d, %v", id, v, err)
	}
}

func (s *site) wantPending(n int) {
	s.t.Helper()
	if all, err := s.db.PendingKeys(s.t.Context(), 0); len(all) != n || err != nil {
		s.t.Errorf("%d are pending, %v; want %d", len(all), err, n)
	}
}

// sweep sweeps as a node does that was just started.
func (s *site) sweep(want custody.Swept) {
	s.t.Helper()
	if got, err := s.custody().Sweep(s.t.Context()); got != want || err != nil {
		s.t.Errorf("swept %+v, %v; want %+v", got, err, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// want fails the test unless err is the answer.
func want(t *testing.T, what string, err, answer error) {
	t.Helper()
	if !errors.Is(err, answer) {
		t.Errorf("%s: got %v, want %v", what, err, answer)
	}
}
