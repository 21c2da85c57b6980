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

// prune does what every thousandth change does.
func prune(t *testing.T, db *DB) {
	t.Helper()
	must(t, db.write(t.Context(), "pruning changes", func(w *tx) error { return w.pruneChanges(t.Context()) }))
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
		prune(t, db)
		lostAfter(0, false)
		fill(t, db, 2)
		s.pass(time.Millisecond)
		prune(t, db)
		lostAfter(0, true)
		lostAfter(2, true)
		lostAfter(3, false)
		same(t, "the rest", since(t, db, 3), []Change{
			{Seq: 4, Integration: "acme", Connection: "0"}, {Seq: 5, Integration: "acme", Connection: "1"},
		})
		s.pass(2 * keepChangesFor)
		prune(t, db) // all of them
		lostAfter(4, true)
		lostAfter(5, false)
		lostAfter(6, true) // of another catalog

		bulk(t, db, keepChanges+2*pruneEvery, `
			INSERT INTO changes (seq, integration, connection, changed_at)
			SELECT i, 'acme', 'bulk', $2 FROM n WHERE i > 5 AND i < $1`, s.now.UnixMilli())
		mustExec(t, db, `UPDATE change_counter SET seq = $1`, keepChanges+2*pruneEvery-1)
		fill(t, db, 1) // writers prune, too
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
		prune(t, db)
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
