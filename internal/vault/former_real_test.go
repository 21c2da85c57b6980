package vault_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

func TestReadsTheVersionBeforeTheNewest(t *testing.T) {
	s := vaulttest.Start(t)
	p := s.Proxy(t)
	for n := range 5 {
		s.Put("a", map[string]any{"apiKey": fmt.Sprintf("key-%d", n+1)})
	}
	s.MountV1("old")
	s.PutV1("old", "x", map[string]any{"apiKey": "one"})
	cl := open(t, withToken(p.Addr, s.Token))
	for _, path := range []string{"a", "/secret/data/a"} {
		d, err := cl.Former(t.Context(), store.Address{Path: path}, 5)
		if err != nil || d.Fields["apiKey"].Value.Reveal() != "key-4" || d.Version != 4 || d.CreatedAt.IsZero() {
			t.Errorf("%s: %+v, %v", path, d, err)
		}
	}
	// Told by its number: one that is written meanwhile changes nothing.
	if d, err := cl.Former(t.Context(), store.Address{Path: "a"}, 3); err != nil || d.Version != 2 {
		t.Errorf("before 3: %+v, %v", d, err)
	}

	s.Do(http.MethodPost, "secret/delete/a", map[string]any{"versions": []int{4}})
	s.Do(http.MethodPost, "secret/destroy/a", map[string]any{"versions": []int{3}})
	s.Do(http.MethodPost, "secret/metadata/a", map[string]any{"max_versions": 4})
	s.Put("a", map[string]any{"apiKey": "key-6"}) // leaves 3 to 6
	for name, tc := range map[string]struct {
		address store.Address
		newest  int
		asks    int
	}{
		"deleted":              {store.Address{Path: "a"}, 5, 1},
		"destroyed":            {store.Address{Path: "a"}, 4, 1},
		"beyond max_versions":  {store.Address{Path: "a"}, 3, 1},
		"before the first one": {store.Address{Path: "a"}, 1, 0},
		"no versions":          {store.Address{Path: "a"}, 0, 0},
		"no such document":     {store.Address{Path: "none"}, 2, 1},
		"KV version 1":         {store.Address{Mount: "old", Path: "x"}, 2, 0},
		"another engine":       {store.Address{Path: "/cubbyhole/c"}, 0, 0},
	} {
		before := p.Count("/v1/secret/data/") + p.Count("/v1/old/") + p.Count("/v1/cubbyhole/")
		_, err := cl.Former(t.Context(), tc.address, tc.newest)
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
		if n := p.Count("/v1/secret/data/") + p.Count("/v1/old/") + p.Count("/v1/cubbyhole/") - before; n != tc.asks {
			t.Errorf("%s: asked %d times, want %d", name, n, tc.asks)
		}
	}
	if _, err := cl.Former(t.Context(), store.Address{Path: "../sys/x"}, 2); !errors.Is(err, store.ErrMisconfigured) {
		t.Errorf("a path that climbs: %v", err)
	}
	s.Seal()
	if _, err := cl.Former(t.Context(), store.Address{Path: "a"}, 6); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrNotFound) {
		t.Errorf("with Vault sealed: %v", err)
	}
}
