package keyring

import (
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func TestASlotKnowsItsAddressWhateverItsLength(t *testing.T) {
	sizes := []int{0, 1, nameSize - 1, nameSize, nameSize + 1, moreSize, moreSize + 1, 255, 256, 257, 600}
	all := make([]store.Address, 0, 6*len(sizes))
	for _, n := range sizes {
		all = append(all,
			store.Address{Path: strings.Repeat("p", n)},
			store.Address{Mount: strings.Repeat("p", n)},
			store.Address{Namespace: strings.Repeat("p", n)},
			store.Address{Namespace: "n", Mount: "m", Path: strings.Repeat("p", n)},
			store.Address{Mount: "m", Path: "n" + strings.Repeat("p", n)},
			store.Address{Mount: "mn", Path: strings.Repeat("p", n)},
		)
	}
	for _, a := range all {
		s := newSlot(a)
		if got := s.address(); got != a {
			t.Errorf("%#v became %#v", a, got)
		}
		for _, b := range all {
			if s.named(&b) != (a == b) {
				t.Errorf("the slot of %#v is named %#v: %v", a, b, a != b)
			}
		}
	}
}

// A customer's key must not keep the request alive that it came with.
func TestASlotKeepsNothingOfWhoAsked(t *testing.T) {
	for _, n := range []int{nameSize, moreSize, moreSize + 1} {
		request := strings.Repeat("x", 2*n)
		s := newSlot(store.Address{Path: request[:n]})
		if p := s.address().Path; p != request[:n] || unsafe.StringData(p) == unsafe.StringData(request) {
			t.Errorf("%d bytes of a request are kept", n)
		}
	}
}

// What a look-up reads is one line of the cache, in pages that hold nothing else:
// 100 ns more or less, with a hundred thousand keys.
func TestASlotFillsOneLineAndSharesNoPage(t *testing.T) {
	const line = 64
	if size := reflect.TypeFor[slot]().Size(); size != line {
		t.Errorf("a slot takes %d bytes, want %d", size, line)
	}
	for _, other := range []reflect.Type{
		reflect.TypeFor[Key](), reflect.TypeFor[content](), reflect.TypeFor[snapshot](), reflect.TypeFor[rest](),
	} {
		if size := other.Size(); size > 48 && size <= line { // the allocator's next class below is 48
			t.Errorf("%s takes %d bytes and lies among the slots", other, size)
		}
	}
}
