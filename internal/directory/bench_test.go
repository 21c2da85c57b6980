package directory

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// crowd is a directory that holds n connections, and their ids in another
// order, as requests bring them: not the very strings that are held.
func crowd(tb testing.TB, n int, full bool) (*Directory, []string) {
	tb.Helper()
	d := New(newFake(), Options{})
	tb.Cleanup(func() { _ = d.Close(tb.Context()) })
	d.watching = true
	ids := make([]string, n)
	for i, j := range rand.Perm(n) {
		id := fmt.Sprintf("customer-%06d", j)
		c := aRow(key{"acme", id}, "https://a")
		if full {
			c.Config = map[string]string{"tenant": "t"}
			c.Tags = map[string]string{"plan": "pro"}
			c.EndUser = &catalog.EndUser{ID: "u"}
		}
		d.mu.Lock()
		d.putConnection(&c)
		d.mu.Unlock()
		ids[i] = id
	}
	rand.Shuffle(n, func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	all := strings.Join(ids, "")
	for i, id := range ids {
		ids[i], all = all[:len(id)], all[len(id):]
	}
	return d, ids
}

// BenchmarkConnection is what a request pays for a connection that is held, next
// to a plain map without a lock.
func BenchmarkConnection(b *testing.B) {
	const n = 100_000
	d, ids := crowd(b, n, false)
	ctx := b.Context()
	b.Run("directory", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			c, err := d.Connection(ctx, "acme", ids[i])
			if err != nil || c.Disabled {
				b.Fatal(err)
			}
			if i++; i == n {
				i = 0
			}
		}
	})
	plain := make(map[key]*Connection, n)
	for c := range d.All {
		plain[key{c.Integration, c.ID}] = c
	}
	b.Run("map", func(b *testing.B) {
		i := 0
		for b.Loop() {
			if c := plain[key{"acme", ids[i]}]; c == nil || c.Disabled {
				b.Fatal("not found")
			}
			if i++; i == n {
				i = 0
			}
		}
	})
}

// BenchmarkNotes is what a request pays for telling of itself, when there is
// nothing new.
func BenchmarkNotes(b *testing.B) {
	d, ids := crowd(b, 1, false)
	c, err := d.Connection(b.Context(), "acme", ids[0])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			d.Used(c)
			d.AuthAccepted(c, 1)
		}
	})
}

func TestARequestAllocatesNothing(t *testing.T) {
	d, ids := crowd(t, 1000, false)
	d.putIntegration("acme", &catalog.Integration{UniqueKey: "acme"})
	for _, id := range ids { // the first use of each is noted
		c, err := d.Connection(t.Context(), "acme", id)
		if err != nil {
			t.Fatal(err)
		}
		d.Used(c)
		d.AuthFailed(c, 1)
	}
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		if _, ok := d.Integration("acme"); !ok {
			t.Fatal("no integration")
		}
		c, err := d.Connection(t.Context(), "acme", ids[i%len(ids)])
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Memo.Load()
		d.Used(c)
		d.AuthFailed(c, 1)
		i++
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// The bound is 700 bytes beyond the row's own strings, at 10^5. A row with
// config, tags and an end user has those on top.
func TestAConnectionCostsLittleMemory(t *testing.T) {
	const limit = 700
	each := func(n int, full bool) int {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		d, ids := crowd(t, n, full)
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(d)
		runtime.KeepAlive(ids)
		strs := 2*len(ids[0]) + 16 // in the row, in ids, and ids itself
		return int(after.HeapAlloc-before.HeapAlloc)/n - strs
	}
	bare := each(100_000, false)
	if bare > limit {
		t.Errorf("got %d bytes per connection, want at most %d", bare, limit)
	}
	t.Logf("%d bytes per connection, %d with config, tags and an end user", bare, each(10_000, true))
}
