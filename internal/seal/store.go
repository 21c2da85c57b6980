package seal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// Database is what the store needs of the catalog's database, with the tables
// sealed_keys and keyset_check in it. Parameters are written $1, $2, ….
type Database interface {
	SQL() *sql.DB

	// Purge takes deleted rows out of every file beside the tables.
	Purge(ctx context.Context) error

	// Close gives this holder's share back.
	Close() error
}

// Config says where keys and their keyset are.
type Config struct {
	// Open returns a handle of the store's own, which [Store.Close] closes.
	// Required.
	Open func(ctx context.Context) (Database, error)

	// Keyset that keys are sealed with.
	Keyset Source

	// Create makes a keyset at Keyset.Path when none is there and the database
	// holds no key yet. Only for a database of one node: two nodes would make
	// two keysets.
	Create bool

	// Now is the clock of CreatedAt. Default: time.Now.
	Now func() time.Time
}

// errClosed says that the store was used after [Store.Close].
var errClosed = errors.New("the local store is closed")

// Store is a [store.Store] in a database. [New] touches nothing; what comes
// first, [Store.Open] or a call that needs it, opens the database.
type Store struct {
	cfg Config

	gate   chan struct{} // guards opening and closing; a channel, to obey a context
	closed bool          // guarded by gate
	ready  atomic.Pointer[opened]
	made   atomic.Bool
	turn   chan struct{} // held by a rotation

	// sealing is held from sealing a row to its being there, so that a rotation
	// can wait for what is sealed with the former keyset.
	sealing sync.RWMutex
}

// opened is the store's state once database and keyset fit together.
type opened struct {
	db     Database
	keyset atomic.Pointer[Keyset]
	source atomic.Pointer[Source] // of the keyset
}

// keys returns the keyset in use.
func (o *opened) keys() *Keyset { return o.keyset.Load() }

// New returns a store that is not open yet. It does no I/O.
func New(cfg Config) *Store {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Store{cfg: cfg, gate: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
}

// Open opens the database, loads the keyset or makes one, and checks that they
// belong together. Once it has worked, further calls do nothing; after an error
// the next call tries anew. Its errors are [store.ErrUnavailable], and wrap
// what the database's opener returned.
func (s *Store) Open(ctx context.Context) error {
	_, err := s.open(ctx)
	return err
}

// KeysetMade tells whether this store made the keyset file. It should then be
// said in a log that the file needs a backup.
func (s *Store) KeysetMade() bool { return s.made.Load() }

// Healthy reads the check row and opens it.
func (s *Store) Healthy(ctx context.Context) error {
	o, err := s.open(ctx)
	if err != nil {
		return err
	}
	if _, err := o.fits(ctx, o.keys()); err != nil {
		return unavailable("checking the local store", err)
	}
	return nil
}

// Close gives the database back. Calls that come later get an
// [store.ErrUnavailable]; a second Close does nothing.
func (s *Store) Close(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return fmt.Errorf("closing the local store: %w", err)
	}
	defer s.leave()
	s.closed = true
	o := s.ready.Swap(nil)
	if o == nil {
		return nil
	}
	return o.db.Close()
}

func (s *Store) open(ctx context.Context) (*opened, error) {
	if o := s.ready.Load(); o != nil {
		return o, nil
	}
	if err := s.enter(ctx); err != nil {
		return nil, unavailable("opening the local store", err)
	}
	defer s.leave()
	if s.closed {
		return nil, unavailable("opening the local store", errClosed)
	}
	if o := s.ready.Load(); o != nil {
		return o, nil
	}
	db, err := s.cfg.Open(ctx)
	if err != nil {
		return nil, unavailable("opening the local store", err)
	}
	o := &opened{db: db}
	if err := s.unlock(ctx, o); err != nil {
		return nil, unavailable("opening the local store", errors.Join(err, db.Close()))
	}
	s.ready.Store(o)
	return o, nil
}

func (s *Store) enter(ctx context.Context) error {
	select {
	case s.gate <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) leave() { <-s.gate }

// unavailable classes an error that says nothing about any document.
func unavailable(doing string, err error) error {
	return fmt.Errorf("%s: %w: %w", doing, store.ErrUnavailable, err)
}

// Interface guards
var (
	_ store.Store  = (*Store)(nil)
	_ store.Former = (*Store)(nil)
)
