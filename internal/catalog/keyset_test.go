package catalog

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/seal"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// Rows of strange addresses are found in batches, and two nodes go on reading
// and writing while one of them seals anew.
func TestTheKeysetRotatesInEitherDatabase(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		dir := t.TempDir()
		given := func(name string) seal.Source { return seal.Source{Path: filepath.Join(dir, name)} }
		first, err := seal.Generate()
		must(t, err)
		must(t, seal.Create(given("first").Path, first))
		node := func() *seal.Store {
			k := seal.New(seal.Config{
				Open:   func(ctx context.Context) (seal.Database, error) { return Open(ctx, s.config()) },
				Keyset: given("first"),
				Now:    s.clock,
			})
			must(t, k.Open(t.Context()))
			t.Cleanup(func() { _ = k.Close(context.Background()) })
			return k
		}
		one, other := node(), node()
		all := make([]store.Address, 0, 130+len(strangeIDs))
		put := func(n *seal.Store, a store.Address, version int) {
			t.Helper()
			_, err := n.Put(t.Context(), a, map[string]secret.Value{"apiKey": secret.New(fmt.Sprint(a, version))}, version)
			must(t, err)
		}
		for i := range 130 {
			all = append(all, store.Address{Namespace: fmt.Sprint(i % 2), Mount: fmt.Sprint(i % 3), Path: fmt.Sprintf("acme/%d", i)})
		}
		for _, id := range strangeIDs {
			all = append(all, store.Address{Path: "acme/" + id})
		}
		for _, a := range all {
			put(one, a, 0)
			put(one, a, 1)
		}
		step := func(name string, drop bool) *seal.Rotated {
			t.Helper()
			done, err := one.Rotate(t.Context(), seal.Rotation{Shared: true, Out: given(name).Path, DropOld: drop})
			must(t, err)
			return done
		}
		adopt := func(n *seal.Store, name string) {
			t.Helper()
			must(t, n.Use(t.Context(), given(name)))
		}
		wantAll := func(n *seal.Store) {
			t.Helper()
			for _, a := range all {
				d, err := n.Get(t.Context(), a)
				must(t, err)
				if got := d.Fields["apiKey"].Value.Reveal(); got != fmt.Sprint(a, d.Version-1) {
					t.Errorf("%s: got %q in version %d", a, got, d.Version)
				}
				_, err = n.Former(t.Context(), a, d.Version)
				must(t, err)
			}
		}

		step("known", false)
		adopt(one, "known")
		put(one, all[0], 2) // the other node has only the first keyset
		wantAll(other)
		adopt(other, "known")
		step("primary", false)
		adopt(one, "primary")
		put(one, all[1], 2) // the other knows the key, and does not seal with it yet
		wantAll(other)
		adopt(other, "primary")
		done, err := other.Rotate(t.Context(), seal.Rotation{Shared: true})
		must(t, err)
		if done.Resealed < len(all)-1 || done.Keys != 2 {
			t.Errorf("got %+v", done)
		}
		if done := step("last", true); done.Dropped != 1 || done.Keys != 1 {
			t.Errorf("got %+v", done)
		}
		adopt(one, "last")
		adopt(other, "last")
		wantAll(one)
		wantAll(other)
		if fi, err := os.Stat(given("last").Path); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("the keyset: %v %v", fi, err)
		}
	})
}
