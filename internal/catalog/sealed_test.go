package catalog

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/seal"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// The local store is written for any database of this package.
func TestSealedKeysLieInEitherDatabase(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		keyset := filepath.Join(t.TempDir(), "keyset")
		node := func() *seal.Store {
			k := seal.New(seal.Config{
				Open:   func(ctx context.Context) (seal.Database, error) { return Open(ctx, s.config()) },
				Keyset: seal.Source{Path: keyset},
				Create: true,
				Now:    s.clock,
			})
			must(t, k.Open(t.Context()))
			t.Cleanup(func() { _ = k.Close(context.Background()) })
			return k
		}
		one, other := node(), node()
		for _, id := range strangeIDs {
			a := store.Address{Path: "acme/" + id}
			for version, key := range []string{"old of " + id, "key of " + id} {
				_, err := one.Put(t.Context(), a, map[string]secret.Value{"apiKey": secret.New(key)}, version)
				must(t, err)
			}
			_, err := other.Put(t.Context(), a, map[string]secret.Value{"apiKey": secret.New("x")}, 1)
			want(t, "a write after an older version", err, store.ErrConflict)
		}
		for _, id := range strangeIDs {
			a := store.Address{Path: "acme/" + id}
			for key, get := range map[string]func(context.Context, store.Address) (*store.Document, error){
				"key of " + id: other.Get, "old of " + id: func(ctx context.Context, a store.Address) (*store.Document, error) { return other.Former(ctx, a, 2) },
			} {
				d, err := get(t.Context(), a)
				must(t, err)
				if got := d.Fields["apiKey"].Value.Reveal(); got != key {
					t.Errorf("%q: got %q, want %q", id, got, key)
				}
			}
		}
		all, err := other.List(t.Context())
		must(t, err)
		if len(all) != len(strangeIDs) {
			t.Errorf("%d documents are listed", len(all))
		}
		must(t, one.Delete(t.Context(), store.Address{Path: "acme/k"}))
		if _, err := other.Get(t.Context(), store.Address{Path: "acme/k"}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a deleted key: got %v", err)
		}
		_, err = other.Get(t.Context(), store.Address{Path: "acme/K"})
		must(t, err)
	})
}
