package keyring

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// crowd is a view over n held customer keys, and their addresses in another
// order, as requests bring them: next to each other in memory, and not the very
// strings that are held.
func crowd(n int) (*Ring, *View, []store.Address) {
	r := New(newFake(), RingOptions{})
	v := r.View(Options{})
	for i := range n {
		r.Learn(addr(i), doc(1, "k"))
	}
	var paths strings.Builder
	order := rand.Perm(n)
	for _, i := range order {
		paths.WriteString(addr(i).Path)
	}
	all, as := paths.String(), make([]store.Address, n)
	for k, i := range order {
		size := len(addr(i).Path)
		as[k], all = store.Address{Path: all[:size]}, all[size:]
	}
	return r, v, as
}

// BenchmarkLookup is what a request pays for a customer's key that is held, next
// to a plain map without a lock, and a look at the clock. Without that the map's
// look-ups would wait for memory together, which those of requests cannot.
func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		r, v, as := crowd(n)
		ctx := context.Background()
		b.Run(fmt.Sprintf("keyring/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, err := v.Entry(as[i]).Key(ctx, ""); err != nil {
					b.Fatal(err)
				}
				if i++; i == n {
					i = 0
				}
			}
		})
		plain := make(map[string]*Key, n)
		for s := range r.table.index.from(0) {
			plain[s.addr.Path] = s.snap.Load().key
		}
		b.Run(fmt.Sprintf("map/%d", n), func(b *testing.B) {
			i := 0
			for b.Loop() {
				if plain[as[i].Path] == nil || r.now() == 0 {
					b.Fatal("not found")
				}
				if i++; i == n {
					i = 0
				}
			}
		})
		_ = r.Close(ctx)
	}
}

// BenchmarkPinned is what a request pays for a key that the configuration names.
func BenchmarkPinned(b *testing.B) {
	r, v, as := crowd(1)
	defer r.Close(context.Background())
	e := v.Pin(as[0])
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := e.Key(ctx, ""); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// The bound is 600 bytes beyond the key itself, at 10^5.
func TestACustomersKeyCostsLittleMemory(t *testing.T) {
	const n, limit = 100_000, 600
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r := New(newFake(), RingOptions{})
	defer r.Close(context.Background())
	for i := range n {
		r.Learn(addr(i), doc(1, "k"))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (after.HeapAlloc - before.HeapAlloc) / n; each > limit {
		t.Errorf("got %d bytes per key, want at most %d", each, limit)
	}
	t.Logf("%d bytes per key", (after.HeapAlloc-before.HeapAlloc)/n)
	runtime.KeepAlive(r)
}
