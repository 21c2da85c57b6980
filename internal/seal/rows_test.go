package seal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func TestPutThenGet(t *testing.T) {
	s := openStore(t, t.TempDir())
	in := map[string]secret.Value{
		"apiKey": secret.New("sk-1"), "empty": secret.New(""), "é": secret.New("ü\n"), "bytes": secret.New("\xff\x00\xfe"),
	}
	if v, err := s.Put(t.Context(), address, in, 0); err != nil || v != 1 {
		t.Fatalf("got %d, %v", v, err)
	}
	d, err := s.Get(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	if d.Version != 1 || !d.CreatedAt.Equal(now) || d.TTL != 0 || len(d.Fields) != len(in) {
		t.Errorf("got version %d of %v with %d fields", d.Version, d.CreatedAt, len(d.Fields))
	}
	for name, want := range in {
		if got := d.Fields[name]; got.Kind != "string" || got.Value.Reveal() != want.Reveal() {
			t.Errorf("field %q came back changed", name)
		}
	}
}

func TestVersionsCountUpAndThePreviousOneIsKept(t *testing.T) {
	s := openStore(t, t.TempDir())
	for n := range 3 {
		if _, err := s.Former(t.Context(), address, n); n < 2 && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("before write %d: %v", n+1, err)
		}
		if v, err := s.Put(t.Context(), address, key(fmt.Sprint(n+1)), n); err != nil || v != n+1 {
			t.Fatalf("got %d, %v", v, err)
		}
	}
	wantKey(t, s, address, "3")
	for _, newest := range []int{0, 1, 2, 4} { // of another one than the row's newest none is kept
		if _, err := s.Former(t.Context(), address, newest); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("before %d: %v", newest, err)
		}
	}
	d, err := s.Former(t.Context(), address, 3)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Fields[store.DefaultField].Value.Reveal(); got != "2" || d.Version != 2 || !d.CreatedAt.Equal(now) {
		t.Errorf("got %q, version %d of %v", got, d.Version, d.CreatedAt)
	}
}

func TestPutChecksTheVersion(t *testing.T) {
	s := openStore(t, t.TempDir())
	mustPut(t, s, address, "1", 0)
	mustPut(t, s, address, "2", 1)
	other := store.Address{Path: "none"}
	for _, c := range []struct {
		a   store.Address
		cas int
	}{{address, 0}, {address, 1}, {address, 3}, {address, -1}, {other, 1}} {
		if _, err := s.Put(t.Context(), c.a, key("x"), c.cas); !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s after version %d: %v", c.a, c.cas, err)
		}
	}
	wantKey(t, s, address, "2")
}

func TestOneOfManyWritersWins(t *testing.T) {
	dir := t.TempDir()
	stores := []*Store{openStore(t, dir), openStore(t, dir)} // as beside a reload
	for cas := range 5 {
		var (
			wg   sync.WaitGroup
			wins atomic.Int32
		)
		for n := range 8 {
			wg.Go(func() {
				_, err := stores[n%2].Put(t.Context(), address, key(fmt.Sprint(n)), cas)
				if err == nil {
					wins.Add(1)
					return
				}
				if !errors.Is(err, store.ErrConflict) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Fatalf("%d writers of version %d won", wins.Load(), cas+1)
		}
	}
}

// TestAddressesNeverShareARow is CASES.md G13 and G16 for this store.
func TestAddressesNeverShareARow(t *testing.T) {
	s := openStore(t, t.TempDir())
	ids := []string{"Cust-1", "cust-1", "a b", "a_b", "a..b", "ab", "ab ", " ab", "\u00e9", "e\u0301", "%", "'", "a\tb"}
	addresses := make([]store.Address, 0, 3*len(ids))
	for _, id := range ids {
		addresses = append(addresses, store.Address{Path: "acme/" + id}, store.Address{Path: id})
	}
	addresses = append(addresses,
		store.Address{Namespace: "n", Mount: "m", Path: "p"}, store.Address{Namespace: "m", Mount: "n", Path: "p"},
		store.Address{Namespace: "n", Path: "m/p"}, store.Address{Mount: "n", Path: "m/p"}, store.Address{Mount: "n/m", Path: "p"},
		store.Address{Mount: "M", Path: "p"}, store.Address{Mount: "m", Path: "p"}, store.Address{Path: "/m/p"})
	for n, a := range addresses {
		mustPut(t, s, a, fmt.Sprint(n), 0)
	}
	for n, a := range addresses {
		wantKey(t, s, a, fmt.Sprint(n))
	}
	infos, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(infos) != len(addresses) {
		t.Errorf("%d rows for %d addresses", len(infos), len(addresses))
	}
	for _, i := range infos {
		if !slices.Contains(addresses, i.Address) || i.Version != 1 || !i.CreatedAt.Equal(now) {
			t.Errorf("listed %+v", i)
		}
	}
}

func TestALeadingSlashMakesTheMountNaught(t *testing.T) {
	s := openStore(t, t.TempDir())
	mustPut(t, s, store.Address{Mount: "ignored", Path: "/m/p"}, "1", 0)
	wantKey(t, s, store.Address{Path: "/m/p"}, "1")
}

func TestDeleteRemovesEveryVersion(t *testing.T) {
	s := openStore(t, t.TempDir())
	mustPut(t, s, address, "1", 0)
	mustPut(t, s, address, "2", 1)
	for range 2 { // deleting what is not there is no error
		if err := s.Delete(t.Context(), address); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Get(t.Context(), address); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	if _, err := s.Former(t.Context(), address, 2); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("former: %v", err)
	}
	if v, err := s.Put(t.Context(), address, key("new"), 0); err != nil || v != 1 {
		t.Errorf("anew: %d, %v", v, err)
	}
}

func TestWhatCannotBeAddressedOrStored(t *testing.T) {
	s := openStore(t, t.TempDir())
	for name, a := range map[string]store.Address{
		"no path": {Mount: "m"}, "no text": {Path: "\xff"}, "a zero byte": {Path: "a\x00b"}, "too long": {Path: strings.Repeat("x", maxAddress+1)},
	} {
		_, get := s.Get(t.Context(), a)
		_, put := s.Put(t.Context(), a, key("x"), 0)
		for _, err := range []error{get, put, s.Delete(t.Context(), a)} {
			if !errors.Is(err, store.ErrMisconfigured) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for name, fields := range map[string]map[string]secret.Value{
		"no fields": nil, "no value": {"a": {}}, "no name": {"": secret.New("canary")},
		"too much": {"a": secret.New(strings.Repeat("canary", maxDocument))},
	} {
		var invalid *store.InvalidError
		_, err := s.Put(t.Context(), address, fields, 0)
		if !errors.As(err, &invalid) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %.200v", name, err)
		}
	}
}

func TestAnAlteredRowIsNotServed(t *testing.T) {
	for name, tamper := range map[string]string{
		"a flipped byte":         `UPDATE sealed_keys SET sealed = CAST(substr(sealed, 1, length(sealed) - 1) || CASE substr(sealed, -1) WHEN x'00' THEN x'01' ELSE x'00' END AS BLOB) WHERE path = 'mine'`,
		"cut off":                `UPDATE sealed_keys SET sealed = x'01' WHERE path = 'mine'`,
		"another row's bytes":    `UPDATE sealed_keys SET sealed = (SELECT sealed FROM sealed_keys WHERE path = 'other') WHERE path = 'mine'`,
		"the previous version":   `UPDATE sealed_keys SET sealed = previous WHERE path = 'mine'`,
		"another version number": `UPDATE sealed_keys SET version = 9 WHERE path = 'mine'`,
		"the check row's bytes":  `UPDATE sealed_keys SET sealed = (SELECT sealed FROM keyset_check) WHERE path = 'mine'`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, dir)
			mine := store.Address{Path: "mine"}
			mustPut(t, s, mine, "canary-1", 0)
			mustPut(t, s, mine, "canary-2", 1)
			mustPut(t, s, store.Address{Path: "other"}, "canary-3", 0)
			mustPut(t, s, store.Address{Path: "other"}, "canary-4", 1) // same version: the address alone tells
			wantKey(t, s, mine, "canary-2")
			mustExec(t, rawDB(t, dir), tamper)
			_, err := s.Get(t.Context(), mine)
			if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, errDoesNotOpen) {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(err.Error(), "mine") || strings.Contains(err.Error(), "canary") {
				t.Errorf("the error names no address, or a key: %v", err)
			}
		})
	}
}
