package catalog

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// fill makes n changes at once, by way of a transaction as all are.
func fill(t *testing.T, db *DB, n int) {
	t.Helper()
	must(t, db.write(t.Context(), "filling", func(x *tx) error {
		for i := range n {
			x.changed("acme", fmt.Sprint(i))
		}
		return nil
	}))
}

func TestChangesAreReadInPages(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		same(t, "none", since(t, db, 0), []Change(nil))
		fill(t, db, 2*batch+7)
		var got []Change
		for {
			page, err := db.Changes(t.Context(), int64(len(got)), 100)
			must(t, err)
			if len(page) > 100 {
				t.Fatalf("a page of %d", len(page))
			}
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
		}
		if len(got) != 2*batch+7 {
			t.Errorf("got %d changes", len(got))
		}
		for i, c := range got {
			if c.Seq != int64(i+1) || c.Connection != fmt.Sprint(i) {
				t.Fatalf("change %d is %+v", i, c)
			}
		}
	})
}

func TestARefusedWriteLeavesNoGap(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		broken := errors.New("broken")
		err := db.write(t.Context(), "breaking", func(x *tx) error {
			x.changed("acme", "")
			if err := x.announce(t.Context(), db.shared.dialect); err != nil {
				return err
			}
			return broken
		})
		if !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		fill(t, db, 1)
		same(t, "changes", since(t, db, 0), []Change{{Seq: 1, Integration: "acme", Connection: "0"}})
	})
}

func TestOldChangesArePruned(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		lostAfter := func(after int64, lost bool) {
			t.Helper()
			if _, err := db.Changes(t.Context(), after, 10); errors.Is(err, ErrChangesLost) != lost || (err != nil && !lost) {
				t.Errorf("after %d: got %v, lost is %v", after, err, lost)
			}
		}
		fill(t, db, 3)
		s.pass(keepChangesFor)
		must(t, db.PruneChanges(t.Context()))
		lostAfter(0, false)
		fill(t, db, 2)
		s.pass(time.Millisecond)
		must(t, db.PruneChanges(t.Context()))
		lostAfter(0, true)
		lostAfter(2, true)
		lostAfter(3, false)
		same(t, "the rest", since(t, db, 3), []Change{
			{Seq: 4, Integration: "acme", Connection: "0"}, {Seq: 5, Integration: "acme", Connection: "1"},
		})
		s.pass(2 * keepChangesFor)
		must(t, db.PruneChanges(t.Context())) // all of them
		lostAfter(4, true)
		lostAfter(5, false)
		lostAfter(6, true) // of another catalog

		fill(t, db, keepChanges+pruneEvery) // writers prune, too
		n := last(t, db)
		lostAfter(n-keepChanges-1, true)
		lostAfter(n-keepChanges, false)
	})
}

func TestAWatcherThatFellBehindIsTold(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		fill(t, db, 2)
		s.pass(2 * keepChangesFor)
		must(t, db.PruneChanges(t.Context()))
		err := db.Watch(t.Context(), 1, func([]Change) error { return errors.New("called") })
		want(t, "watching from what was pruned", err, ErrChangesLost)
	})
}

func TestAWatcherEndsWithItsContextAndItsOwnError(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		fill(t, db, 1)
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Watch(ctx, 0, func([]Change) error { cancel(); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the end of the context", err)
		}
		broken := errors.New("broken")
		err = db.Watch(t.Context(), 0, func([]Change) error { return broken })
		if !errors.Is(err, broken) {
			t.Errorf("got %v, want the watcher's own error", err)
		}
	})
}
