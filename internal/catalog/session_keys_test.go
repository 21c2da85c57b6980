package catalog

import (
	"slices"
	"sync"
	"testing"
	"time"
)

func keyIDs(keys []SessionKey) (list []int64) {
	for _, k := range keys {
		list = append(list, k.ID)
	}
	return list
}

func TestOfNodesThatMakeASessionKeyAtOnceOneDoes(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		var wg sync.WaitGroup
		for range 4 {
			db := s.open()
			wg.Go(func() { must(t, db.AddSessionKey(t.Context(), 0, time.Hour)) })
		}
		wg.Wait()
		keys, err := s.open().SessionKeys(t.Context())
		must(t, err)
		if len(keys) != 1 || keys[0].ID != 1 || len(keys[0].Key.Reveal()) != 32 || !keys[0].MadeAt.Equal(s.now.Truncate(time.Millisecond)) {
			t.Fatalf("got %v", keys)
		}
		must(t, s.open().AddSessionKey(t.Context(), 0, time.Hour))
		again, err := s.open().SessionKeys(t.Context())
		must(t, err)
		if len(again) != 1 || again[0].Key.Reveal() != keys[0].Key.Reveal() {
			t.Error("who was late has made another of it")
		}
	})
}

func TestSessionKeysAreForgottenOnceNoTokenOfTheirsIsGood(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		add := func(after int64, want ...int64) {
			t.Helper()
			must(t, db.AddSessionKey(t.Context(), after, time.Hour))
			keys, err := db.SessionKeys(t.Context())
			must(t, err)
			if !slices.Equal(keyIDs(keys), want) {
				t.Errorf("after %d there are %v, want %v", after, keyIDs(keys), want)
			}
		}
		add(0, 1)
		add(1, 2, 1)
		s.pass(time.Hour)
		add(2, 3, 2, 1) // 2 followed 1 just an hour ago
		s.pass(time.Hour + time.Millisecond)
		add(3, 4, 3)
	})
}

func TestAUsedSessionCanBeAskedForAndGivenBack(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		one, other := s.open(), s.open()
		used := func(want bool) {
			t.Helper()
			if got, err := other.SessionUsed(t.Context(), "s-1"); err != nil || got != want {
				t.Errorf("used: %v %v, want %v", got, err, want)
			}
		}
		used(false)
		must(t, one.UseSession(t.Context(), "s-1", s.now.Add(time.Hour)))
		used(true)
		must(t, other.FreeSession(t.Context(), "s-1"))
		used(false)
		must(t, one.UseSession(t.Context(), "s-1", s.now.Add(time.Hour)))
	})
}
