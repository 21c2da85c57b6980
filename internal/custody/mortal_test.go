// This file holds a catalog and a store in which the process can be killed.

package custody_test

import (
	"context"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/custody"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// killed is what a killed process panics with.
type killed struct{}

// life counts the steps that a process may still take: each call of the catalog
// and of the store has one before and one after.
type life struct{ steps int }

func (l *life) step() {
	if l.steps == 0 {
		panic(killed{})
	}
	l.steps--
}

func step[T any](l *life, f func() (T, error)) (T, error) {
	l.step()
	v, err := f()
	l.step()
	return v, err
}

// lived runs f and tells whether it was not killed.
func lived(f func()) (ended bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(killed); !ok {
				panic(r)
			}
		}
	}()
	f()
	return true
}

type mortalStore struct {
	keyStore
	*life
	put bool // the key got there
}

func (m *mortalStore) Put(ctx context.Context, a store.Address, fields map[string]secret.Value, cas int) (int, error) {
	return step(m.life, func() (int, error) {
		v, err := m.keyStore.Put(ctx, a, fields, cas)
		m.put = m.put || err == nil
		return v, err
	})
}

func (m *mortalStore) Delete(ctx context.Context, a store.Address) error {
	_, err := step(m.life, func() (any, error) { return nil, m.keyStore.Delete(ctx, a) })
	return err
}

func (m *mortalStore) Version(ctx context.Context, a store.Address) (int, error) {
	return step(m.life, func() (int, error) { return m.keyStore.Version(ctx, a) })
}

func (m *mortalStore) Get(context.Context, store.Address) (*store.Document, error) {
	panic("custody reads a key")
}

type mortalCatalog struct {
	custody.Catalog
	*life
}

func (m mortalCatalog) do(f func() error) error {
	_, err := step(m.life, func() (any, error) { return nil, f() })
	return err
}

func (m mortalCatalog) Connection(ctx context.Context, integration, id string) (*catalog.Connection, error) {
	return step(m.life, func() (*catalog.Connection, error) { return m.Catalog.Connection(ctx, integration, id) })
}

func (m mortalCatalog) DeleteConnection(ctx context.Context, integration, id string) (*catalog.Connection, error) {
	return step(m.life, func() (*catalog.Connection, error) { return m.Catalog.DeleteConnection(ctx, integration, id) })
}

func (m mortalCatalog) BeginKeyWrite(ctx context.Context, p *catalog.PendingKey) error {
	return m.do(func() error { return m.Catalog.BeginKeyWrite(ctx, p) })
}

func (m mortalCatalog) FinishKeyWrite(ctx context.Context, p *catalog.PendingKey, version int) error {
	return m.do(func() error { return m.Catalog.FinishKeyWrite(ctx, p, version) })
}

func (m mortalCatalog) AbandonKeyWrite(ctx context.Context, p *catalog.PendingKey) error {
	return m.do(func() error { return m.Catalog.AbandonKeyWrite(ctx, p) })
}

func (m mortalCatalog) BeginKeyDelete(ctx context.Context, integration, id string) (bool, error) {
	return step(m.life, func() (bool, error) { return m.Catalog.BeginKeyDelete(ctx, integration, id) })
}

func (m mortalCatalog) FinishKeyDelete(ctx context.Context, integration, id string) error {
	return m.do(func() error { return m.Catalog.FinishKeyDelete(ctx, integration, id) })
}

func (m mortalCatalog) PendingKeys(ctx context.Context, olderThan time.Duration) ([]*catalog.PendingKey, error) {
	return step(m.life, func() ([]*catalog.PendingKey, error) { return m.Catalog.PendingKeys(ctx, olderThan) })
}

func (m mortalCatalog) ClaimPending(ctx context.Context, p *catalog.PendingKey) error {
	return m.do(func() error { return m.Catalog.ClaimPending(ctx, p) })
}

func (m mortalCatalog) ResolveKeyWrite(ctx context.Context, p *catalog.PendingKey, version int) error {
	return m.do(func() error { return m.Catalog.ResolveKeyWrite(ctx, p, version) })
}

func (m mortalCatalog) FingerprintKey(ctx context.Context) (secret.Value, error) {
	return step(m.life, func() (secret.Value, error) { return m.Catalog.FingerprintKey(ctx) })
}
