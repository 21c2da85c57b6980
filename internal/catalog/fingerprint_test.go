package catalog

import (
	"fmt"
	"sync"
	"testing"
)

func TestAllNodesMakeFingerprintsWithOneKey(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		var (
			wg   sync.WaitGroup
			mu   sync.Mutex
			keys = map[string]int{}
		)
		for range 4 {
			db := s.open()
			for range 4 {
				wg.Go(func() {
					key, err := db.FingerprintKey(t.Context())
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					keys[key.Reveal()]++
				})
			}
		}
		wg.Wait()
		for key, n := range keys {
			if len(keys) != 1 || len(key) != 32 || n != 16 {
				t.Errorf("a key of %d bytes for %d of 16", len(key), n)
			}
		}
		again, err := s.open().makeFingerprintKey(t.Context()) // who looked before it was there
		must(t, err)
		if keys[again.Reveal()] == 0 {
			t.Error("it changed")
		}
		if printed := fmt.Sprintf("%v", again); printed != "REDACTED" {
			t.Errorf("printed as %s", printed)
		}
	})
}

func TestEachCatalogHasItsOwnFingerprintKey(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		one, err := s.open().FingerprintKey(t.Context())
		must(t, err)
		two, err := newSite(t, s.driver).open().FingerprintKey(t.Context())
		must(t, err)
		if one.Reveal() == two.Reveal() {
			t.Error("two catalogs share it")
		}
		_, err = s.open().FingerprintKey(ended(t))
		want(t, "out of time", err, ErrUnavailable)
	})
}
