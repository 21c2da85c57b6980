// This file holds a store and a catalog that do as a test says.

package custody_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// errAway is what a store says whose answer did not come.
var errAway = fmt.Errorf("asking the store: %w", store.ErrUnavailable)

// put is what one Put does, given what doing it would do.
type put func(done func() (int, error)) (int, error)

func lostAfter(done func() (int, error)) (int, error) { _, _ = done(); return 0, errAway }
func lostBefore(func() (int, error)) (int, error)     { return 0, errAway }

func answers(err error) put { return func(func() (int, error)) (int, error) { return 0, err } }

// scripted is a store whose first answers are given.
type scripted struct {
	keyStore
	puts     []put
	versions []error // nil: the right one
	deletes  []error

	mu      sync.Mutex
	sent    int // Puts
	asked   int // Versions
	deleted int // Deletes
}

func (s *scripted) Put(ctx context.Context, a store.Address, fields map[string]secret.Value, cas int) (int, error) {
	done := func() (int, error) { return s.keyStore.Put(ctx, a, fields, cas) }
	if p := next(s, &s.sent, s.puts); p != nil {
		return p(done)
	}
	return done()
}

func (s *scripted) Version(ctx context.Context, a store.Address) (int, error) {
	if err := next(s, &s.asked, s.versions); err != nil {
		return 0, err
	}
	return s.keyStore.Version(ctx, a)
}

func (s *scripted) Delete(ctx context.Context, a store.Address) error {
	if err := next(s, &s.deleted, s.deletes); err != nil {
		return err
	}
	return s.keyStore.Delete(ctx, a)
}

func (*scripted) Get(context.Context, store.Address) (*store.Document, error) {
	panic("custody reads a key")
}

// next counts a call and returns what was said about it.
func next[T any](s *scripted, n *int, script []T) (said T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n++
	if *n <= len(script) {
		return script[*n-1]
	}
	return said
}

// interrupted is a catalog with something that happens before a call.
type interrupted struct {
	*catalog.DB
	read   func() error // before a row is read; its error is the answer
	begin  func() error // before a key write begins; its error is the answer
	finish func() error // before one is finished
	gone   func() error // after a row was deleted, or was not there
	closed func() error // after one was finished; its error is the answer
}

func (i *interrupted) Connection(ctx context.Context, integration, id string) (*catalog.Connection, error) {
	if err := once(&i.read); err != nil {
		return nil, err
	}
	return i.DB.Connection(ctx, integration, id)
}

func (i *interrupted) DeleteConnection(ctx context.Context, integration, id string) (*catalog.Connection, error) {
	c, err := i.DB.DeleteConnection(ctx, integration, id)
	if gone := once(&i.gone); gone != nil {
		return nil, gone
	}
	return c, err
}

func (i *interrupted) BeginKeyWrite(ctx context.Context, p *catalog.PendingKey) error {
	if err := once(&i.begin); err != nil {
		return err
	}
	return i.DB.BeginKeyWrite(ctx, p)
}

func (i *interrupted) FinishKeyWrite(ctx context.Context, p *catalog.PendingKey, version int) error {
	if err := once(&i.finish); err != nil {
		return err
	}
	q, row := *p, *p.Row // the answer is lost with all that it says
	if i.closed != nil {
		q.Row = &row
		p = &q
	}
	if err := i.DB.FinishKeyWrite(ctx, p, version); err != nil {
		return err
	}
	return once(&i.closed)
}

// once calls f, the first time.
func once(f *func() error) error {
	if *f == nil {
		return nil
	}
	g := *f
	*f = nil
	return g()
}

// during is a store with something that happens while it deletes.
type during struct {
	keyStore
	delete func()
}

func (d *during) Delete(ctx context.Context, a store.Address) error {
	d.delete()
	return d.keyStore.Delete(ctx, a)
}

// absent is a catalog that is away for who takes over or begins to destroy.
type absent struct {
	*catalog.DB
	asked int
}

func (a *absent) ClaimPending(context.Context, *catalog.PendingKey) error {
	a.asked++
	return catalog.ErrUnavailable
}

func (a *absent) BeginKeyDelete(context.Context, string, string) (bool, error) {
	a.asked++
	return false, catalog.ErrUnavailable
}
