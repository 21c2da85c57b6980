// This file holds what happens when many write at once.

package catalog

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// atOnce runs f n times, each with one of two nodes.
func atOnce(s *site, n int, f func(db *DB, i int)) {
	s.t.Helper()
	nodes := []*DB{s.open(), s.open()}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(nodes[i%2], i) })
	}
	wg.Wait()
}

func TestAThousandWritesAtOnceAreAllThereOnce(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		const n, shared = 1000, 50
		watcher := s.open()
		told := watch(t, watcher, 0)
		for i := range shared {
			mustCreate(t, watcher, aConnection("shared", fmt.Sprint(i)))
		}
		var created, updated atomic.Int64
		atOnce(s, n, func(db *DB, i int) {
			if i < n/2 { // two tries for each id
				err := db.CreateConnection(t.Context(), aConnection("acme", fmt.Sprint(i/2)))
				if err == nil {
					created.Add(1)
				} else if !errors.Is(err, ErrExists) {
					t.Error(err)
				}
				return
			}
			for { // a counter, which loses nothing if updates are conditional
				c, err := db.Connection(t.Context(), "shared", fmt.Sprint(i%shared))
				if err != nil {
					t.Error(err)
					return
				}
				c.KeyVersion++
				err = db.UpdateConnection(t.Context(), c)
				if errors.Is(err, ErrConflict) {
					continue
				}
				if err != nil {
					t.Error(err)
				}
				updated.Add(1)
				return
			}
		})
		if created.Load() != n/4 || updated.Load() != n/2 {
			t.Errorf("%d created, %d updated", created.Load(), updated.Load())
		}
		if got, err := watcher.CountConnections(t.Context(), "acme"); got != n/4 || err != nil {
			t.Errorf("there are %d connections, %v", got, err)
		}
		sum := 0
		for i := range shared {
			sum += mustRead(t, watcher, "shared", fmt.Sprint(i)).KeyVersion
		}
		if sum != n/2 {
			t.Errorf("the counters add up to %d", sum)
		}
		const changes = shared + n/4 + n/2
		if got := last(t, watcher); got != changes {
			t.Errorf("the last change is %d, want %d", got, changes)
		}
		for i := range changes { // a watcher never sees 5 before 4
			if c := next(t, told, 30*time.Second); c.Seq != int64(i+1) {
				t.Fatalf("change %d is %+v", i+1, c)
			}
		}
	})
}

func TestOfManyAtOnceOneGetsIt(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		mustCreate(t, s.open(), aConnection("acme", "there"))
		for name, c := range map[string]struct {
			f     func(db *DB) error
			loser error
		}{
			"a session": {func(db *DB) error { return db.UseSession(t.Context(), "s-1", s.now) }, ErrExists},
			"a first key": {func(db *DB) error {
				return db.BeginKeyWrite(t.Context(), &PendingKey{Integration: "acme", ID: "new", Row: aConnection("acme", "new")})
			}, ErrConflict},
			"a deletion": {func(db *DB) error { _, err := db.DeleteConnection(t.Context(), "acme", "there"); return err }, ErrNotFound},
			"a refusal, as news": {func(db *DB) error {
				news, err := db.NoteAuthFailure(t.Context(), []Sighting{{Integration: "acme", ID: "kept", Version: 1, At: s.now}})
				if err == nil && len(news) == 0 {
					return ErrExists
				}
				return err
			}, ErrExists},
		} {
			t.Run(name, func(t *testing.T) {
				_ = s.open().CreateConnection(t.Context(), aConnection("acme", "kept"))
				var won atomic.Int64
				atOnce(s, 20, func(db *DB, _ int) {
					err := c.f(db)
					if err == nil {
						won.Add(1)
					} else if !errors.Is(err, c.loser) {
						t.Error(err)
					}
				})
				if won.Load() != 1 {
					t.Errorf("%d got it", won.Load())
				}
			})
		}
	})
}

// A key must not be written for an integration that goes at the same time, nor
// a description change while its key is written.
func TestAKeyWriteAndWhatItRestsOnExcludeEachOther(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		one, other := s.open(), s.open()
		for i := range 20 {
			key := fmt.Sprint(i)
			mustIntegrate(t, one, key)
			p := &PendingKey{Integration: key, ID: "new", Row: aConnection(key, "new"), OfCatalog: true}
			c := mustCreate(t, one, aConnection("acme", key))
			row := *c
			q := &PendingKey{Integration: "acme", ID: key, Row: &row}
			var began, deleted, further, described error
			var wg sync.WaitGroup
			wg.Go(func() { began = one.BeginKeyWrite(t.Context(), p) })
			wg.Go(func() { _, deleted = other.DeleteIntegration(t.Context(), key, 0, true) })
			wg.Go(func() { further = other.BeginKeyWrite(t.Context(), q) })
			wg.Go(func() { described = one.UpdateConnection(t.Context(), c) })
			wg.Wait()
			if (began == nil) == (deleted == nil) {
				t.Errorf("begun: %v, deleted: %v", began, deleted)
			}
			if (further == nil) == (described == nil) {
				t.Errorf("begun: %v, described: %v", further, described)
			}
		}
	})
}
