package keyring

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// The paths of customers: short ones, and such as have a UUID in them, which find
// no room in a slot's line.
const (
	shortPath = "customers/%d"
	longPath  = "customers/550e8400-e29b-41d4-a716-44665%07d/crm"
)

// crowd is a view over n held customer keys.
func crowd(n int, path string) (*Ring, *View) {
	r := New(newFake(), RingOptions{})
	for i := range n {
		r.Learn(store.Address{Path: fmt.Sprintf(path, i)}, doc(1, "k"))
	}
	return r, r.View(Options{})
}

// callers brings the ids of customers as requests do: just parsed, so that the
// processor has them at hand, and in no order. They are written anew for each
// batch, which is not timed.
type callers struct {
	text  []byte
	paths [64]string
}

func (c *callers) next(n int, path string) {
	var ends [len(c.paths)]int
	c.text = c.text[:0]
	for i := range c.paths {
		c.text = fmt.Appendf(c.text, path, rand.IntN(n))
		ends[i] = len(c.text)
	}
	all, from := string(c.text), 0
	for i, end := range ends {
		c.paths[i], from = all[from:end], end
	}
}

// lookups reports what one call of find takes, in the tenth percentile of all
// batches: on a machine with neighbours the others measure those.
func lookups(b *testing.B, n int, path string, find func(path string) bool) {
	var c callers
	var took []float64
	for b.Loop() {
		c.next(n, path)
		began := time.Now()
		for _, p := range c.paths {
			if !find(p) {
				b.Fatal("not found")
			}
		}
		took = append(took, float64(time.Since(began))/float64(len(c.paths)))
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/10], "ns/lookup")
	b.ReportMetric(0, "ns/op") // of a batch, and what comes before it
}

// BenchmarkLookup is what a request pays for a customer's key that is held, next
// to a plain map without a lock, and a look at the clock. Without that the map's
// look-ups would wait for memory together, which those of requests cannot.
func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		ctx := context.Background()
		r, v := crowd(n, shortPath)
		b.Run(fmt.Sprintf("keyring/%d", n), func(b *testing.B) {
			lookups(b, n, shortPath, func(path string) bool {
				_, err := v.Entry(store.Address{Path: path}).Key(ctx, "")
				return err == nil
			})
		})
		b.Run(fmt.Sprintf("field/%d", n), func(b *testing.B) {
			for i := range n { // the first time of each is slower
				_, _ = v.Entry(addr(i)).Key(ctx, store.DefaultField)
			}
			lookups(b, n, shortPath, func(path string) bool {
				_, err := v.Entry(store.Address{Path: path}).Key(ctx, store.DefaultField)
				return err == nil
			})
		})
		plain := make(map[string]*Key, n)
		for i := range n {
			plain[addr(i).Path] = r.table.get(addr(i)).key.Load()
		}
		b.Run(fmt.Sprintf("map/%d", n), func(b *testing.B) {
			lookups(b, n, shortPath, func(path string) bool { return plain[path] != nil && r.now() != 0 })
		})
		_ = r.Close(ctx)
		r, v = crowd(n, longPath)
		b.Run(fmt.Sprintf("long/%d", n), func(b *testing.B) {
			lookups(b, n, longPath, func(path string) bool {
				_, err := v.Entry(store.Address{Path: path}).Key(ctx, "")
				return err == nil
			})
		})
		clear(plain)
		for i := range n {
			path := fmt.Sprintf(longPath, i)
			plain[path] = r.table.get(store.Address{Path: path}).key.Load()
		}
		b.Run(fmt.Sprintf("longmap/%d", n), func(b *testing.B) {
			lookups(b, n, longPath, func(path string) bool { return plain[path] != nil && r.now() != 0 })
		})
		_ = r.Close(ctx)
	}
}

// BenchmarkPinned is what a request pays for a key that the configuration names.
func BenchmarkPinned(b *testing.B) {
	r, v := crowd(1, shortPath)
	defer r.Close(context.Background())
	e := v.Pin(addr(0))
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
