package catalog

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/pgtest"
)

// watch collects what db's watcher is told, until the test ends.
func watch(t *testing.T, db *DB, after int64) <-chan Change {
	t.Helper()
	told := make(chan Change, 10_000)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = db.Watch(ctx, after, func(changes []Change) error {
			for _, c := range changes {
				told <- c
			}
			return nil
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return told
}

// next waits for a change; the bound is for machines that are busy.
func next(t *testing.T, told <-chan Change, within time.Duration) Change {
	t.Helper()
	select {
	case c := <-told:
		return c
	case <-time.After(within):
		t.Fatalf("no change within %s", within)
		return Change{}
	}
}

// deaf makes a handle that no passing of time wakes. Each wait is told to ask.
func deaf(db *DB) (ask <-chan time.Duration, wake chan<- time.Time) {
	asked, ticks := make(chan time.Duration, 100), make(chan time.Time)
	db.after = func(d time.Duration) <-chan time.Time {
		select {
		case asked <- d:
		default:
		}
		return ticks
	}
	return asked, ticks
}

func TestEveryNodeHearsOfAChangeWithinASecond(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		one, other := s.open(), s.open()
		deaf(one) // not by polling
		deaf(other)
		fill(t, one, 2)
		ears := []<-chan Change{watch(t, one, 1), watch(t, other, 0)}
		for ear, first := range []int64{2, 1} {
			for seq := first; seq <= 2; seq++ {
				if c := next(t, ears[ear], 10*time.Second); c.Seq != seq {
					t.Fatalf("watcher %d: got change %d, want %d", ear, c.Seq, seq)
				}
			}
		}
		for i, writer := range []*DB{one, other, one} {
			mustIntegrate(t, writer, []string{"a", "b", "c"}[i])
			for ear := range ears {
				c := next(t, ears[ear], time.Second)
				same(t, "change", c, Change{Seq: int64(3 + i), Integration: []string{"a", "b", "c"}[i]})
			}
		}
	})
}

func TestAChangeThatNobodyAnnouncedIsFoundByPolling(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		asked, wake := deaf(db)
		db.shared.dialect.listen = nil
		told := watch(t, db, 0)
		if d := <-asked; d != pollEvery {
			t.Errorf("it polls every %s", d)
		}
		if _, err := db.SQL().ExecContext(t.Context(), `INSERT INTO changes (seq, integration, connection, changed_at) VALUES (1, 'acme', 'x', 0)`); err != nil {
			t.Fatal(err)
		}
		if _, err := db.SQL().ExecContext(t.Context(), `UPDATE change_counter SET seq = 1`); err != nil {
			t.Fatal(err)
		}
		wake <- time.Time{}
		same(t, "change", next(t, told, 10*time.Second), Change{Seq: 1, Integration: "acme", Connection: "x"})
	})
}

func TestAWatcherListensAgainAfterALostConnection(t *testing.T) {
	s := newSite(t, "postgres")
	db, writer := s.open(), s.open()
	var polls atomic.Int64
	relistened := make(chan time.Time)
	db.after = func(d time.Duration) <-chan time.Time {
		if d == relisten {
			return relistened
		}
		polls.Add(1)
		return nil
	}
	told := watch(t, db, 0)
	mustIntegrate(t, writer, "a")
	next(t, told, 10*time.Second)
	pgtest.Exec(t, s.url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'`)
	relistened <- time.Time{} // it has noticed
	mustIntegrate(t, writer, "b")
	same(t, "change", next(t, told, 10*time.Second), Change{Seq: 2, Integration: "b"})
	mustIntegrate(t, writer, "c")
	same(t, "change", next(t, told, 10*time.Second), Change{Seq: 3, Integration: "c"})
}

func TestAWatcherOutlastsADatabaseThatIsAway(t *testing.T) {
	s := newSite(t, "postgres")
	db := s.open()
	asked, wake := deaf(db)
	db.shared.dialect.listen = nil
	told := watch(t, db, 0)
	<-asked
	pgtest.Exec(t, s.url, `ALTER TABLE apikey_inject.changes RENAME TO away`)
	wake <- time.Time{}
	<-asked // it has met the error and waits
	pgtest.Exec(t, s.url, `ALTER TABLE apikey_inject.away RENAME TO changes`)
	mustIntegrate(t, db, "a")
	wake <- time.Time{}
	same(t, "change", next(t, told, 10*time.Second), Change{Seq: 1, Integration: "a"})
}
