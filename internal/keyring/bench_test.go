package keyring

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// crowd is a view over n held customer keys, and their addresses.
func crowd(n int) (*Ring, *View, []store.Address) {
	r := New(newFake(), RingOptions{})
	v := r.View(Options{})
	as := make([]store.Address, n)
	for i := range as {
		as[i] = addr(i)
		r.Learn(as[i], doc(1, "k"))
	}
	rand.Shuffle(n, func(i, j int) { as[i], as[j] = as[j], as[i] })
	return r, v, as
}

// BenchmarkLookup is what a request pays for a customer's key that is held.
func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r, v, as := crowd(n)
			defer r.Close(context.Background())
			ctx := context.Background()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, err := v.Entry(as[i%n]).Key(ctx, ""); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
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
