package catalog

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"time"
)

func TestEachQuestionIsToldOnce(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		var mu sync.Mutex
		told := map[string]int{}
		cfg := s.config()
		cfg.Observe = func(op, result string, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			if took < 0 {
				t.Errorf("%s took %s", op, took)
			}
			told[op+" "+result]++
		}
		db, err := Open(t.Context(), cfg)
		must(t, err)
		defer db.Close()
		wants := func(what string, want map[string]int) {
			t.Helper()
			mu.Lock()
			defer mu.Unlock()
			if !maps.Equal(told, want) {
				t.Errorf("%s: told of %v, want %v", what, told, want)
			}
			clear(told)
		}
		clear(told)
		if _, err := db.Connection(t.Context(), "acme", "nobody"); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		wants("a row that is not there", map[string]int{"read ok": 1})

		_, err = db.DeleteConnection(t.Context(), "acme", "nobody")
		if !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		wants("a write that finds no row", map[string]int{"write ok": 1})

		_, err = db.Integrations(t.Context())
		must(t, err)
		wants("a list", map[string]int{"read ok": 1})

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = db.Integration(ended, "acme")
		wants("a question that nobody waits for", map[string]int{"read canceled": 1})

		must(t, db.SQL().Close())
		_, _ = db.Integration(t.Context(), "acme")
		wants("a database that is away", map[string]int{"read failed": 1})
	})
}
