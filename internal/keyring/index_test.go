package keyring

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func newIndex() *index {
	x := new(index)
	x.init()
	return x
}

func slotOf(i int) *slot { return newSlot(addr(i)) }

func found(x *index, hash uint64, a store.Address) *slot { return x.find(hash, &a) }

func TestAnIndexComparesAddressesNotOnlyHashes(t *testing.T) {
	x := newIndex()
	const hash = 7
	slots := []*slot{
		newSlot(store.Address{Path: "p"}),
		newSlot(store.Address{Mount: "m", Path: "p"}),
		newSlot(store.Address{Namespace: "n", Path: "p"}),
		newSlot(store.Address{Path: "q"}),
	}
	for _, s := range slots {
		x.add(hash, s)
	}
	for _, s := range slots {
		if got := found(x, hash, s.address()); got != s {
			t.Errorf("got %v for %s", got, s.address())
		}
	}
	if x.find(hash, &store.Address{Path: "r"}) != nil {
		t.Error("found an address that was never added")
	}
	x.remove(hash, slots[1])
	if found(x, hash, slots[1].address()) != nil {
		t.Error("found what was removed")
	}
	if found(x, hash, slots[3].address()) != slots[3] {
		t.Error("lost what comes after a removed one in the same search")
	}
	if x.find(hash, &store.Address{}) != nil {
		t.Error("found the mark of a removed slot by the empty address")
	}
}

func TestTheHashOfAnAddressTellsItsPartsApart(t *testing.T) {
	x := newIndex()
	seen := map[uint64]store.Address{}
	for _, a := range []store.Address{
		{Path: "x"},
		{Mount: "x"},
		{Namespace: "x"},
		{Mount: "x", Path: "y"},
		{Mount: "y", Path: "x"},
		{Namespace: "y", Path: "x"},
		{Namespace: "x", Mount: "x", Path: "x"},
	} {
		h := x.hash(a)
		if other, ok := seen[h]; ok {
			t.Errorf("%#v and %#v have the same hash", a, other)
		}
		seen[h] = a
	}
}

func TestAnIndexGrowsAndShrinks(t *testing.T) {
	x := newIndex()
	const n = 10_000
	slots := make([]*slot, n)
	for i := range slots {
		slots[i] = slotOf(i)
		x.add(x.hash(slots[i].address()), slots[i])
	}
	for i, s := range slots {
		if found(x, x.hash(s.address()), s.address()) != s {
			t.Fatalf("lost %d", i)
		}
	}
	if got := len(slices.Collect(x.from(12345))); got != n {
		t.Errorf("goes over %d slots, want %d", got, n)
	}
	for _, s := range slots[10:] {
		x.remove(x.hash(s.address()), s)
	}
	// Cells that were left are won back, however often slots come and go.
	for i := range 3 * n {
		s := slotOf(n + i)
		x.add(x.hash(s.address()), s)
		x.remove(x.hash(s.address()), s)
	}
	if got := len(*x.cells.Load()); got != minCells {
		t.Errorf("has %d cells for %d slots, want %d", got, x.live, minCells)
	}
	if got := len(slices.Collect(x.from(0))); got != 10 || x.live != 10 {
		t.Errorf("holds %d and counts %d, want 10", got, x.live)
	}
}

func TestReadersOfAnIndexNeverLoseWhatStays(t *testing.T) {
	x := newIndex()
	const stay = 50
	for i := range stay {
		s := slotOf(i)
		x.add(x.hash(s.address()), s)
	}
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for i := 0; !done.Load(); i++ {
				a := addr(i % stay)
				if s := x.find(x.hash(a), &a); s == nil || s.address() != a {
					t.Errorf("got %v for %s", s, a)
					return
				}
				a = addr(stay + i%1000)
				if s := x.find(x.hash(a), &a); s != nil && s.address() != a {
					t.Errorf("got %s for %s", s.address(), a)
					return
				}
			}
		})
	}
	for i := range 20_000 {
		s := slotOf(stay + i%1000)
		x.add(x.hash(s.address()), s)
		x.remove(x.hash(s.address()), s)
	}
	done.Store(true)
	wg.Wait()
}
