package keyring

import (
	"sync"
	"sync/atomic"
	"testing"
)

// A reader takes no lock, and must never put together the key of one snapshot and
// the age of another: a key long dead would be taken for a fresh one.
func TestAKeyAndItsAgeBelongTogether(t *testing.T) {
	s := newSlot(one)
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !done.Load() {
				k, checked, terms := s.held()
				if checked != 0 && (k == nil || int64(k.Version) != checked || int64(terms) != checked) {
					t.Errorf("got the key of %v, read at %d on the terms of %d", k, checked, terms)
					return
				}
			}
		})
	}
	for n := 1; n < 500_000; n++ {
		if n%10 == 0 {
			s.hold(nil)
			continue
		}
		s.hold(&snapshot{key: &Key{Version: n}, checked: int64(n), terms: terms(n)})
	}
	done.Store(true)
	wg.Wait()
	if k, checked, _ := s.held(); checked != 499_999 || k.Version != 499_999 {
		t.Errorf("in the end %d is held", checked)
	}
	s.hold(nil)
	if k, checked, _ := s.held(); checked != 0 || k != nil || s.snap.Load() != nil {
		t.Errorf("%v is held since %d after it was let go", k, checked)
	}
}
