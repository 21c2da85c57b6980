// This file holds how a write ends that does not end well.

package catalog

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/pgtest"
)

func TestAWriterWaitsForItsTurnNoLongerThanItsContext(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		one, other := s.open(), s.open()
		ctx, cancel := context.WithCancel(t.Context())
		err := one.write(t.Context(), "dawdling", func(x *tx) error {
			waiting := make(chan error)
			go func() { waiting <- other.CreateIntegration(ctx, anIntegration("b")) }()
			cancel()
			err := <-waiting
			want(t, "the one that waits", err, ErrUnavailable)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			x.changed("acme", "")
			return nil
		})
		must(t, err)
		same(t, "changes", since(t, one, 0), []Change{{Seq: 1, Integration: "acme"}})
	})
}

func TestAWriteThatIsCutOffTellsThatItsContextEnded(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		ctx, cancel := context.WithCancel(t.Context())
		err := db.write(ctx, "counting to the end of time", func(x *tx) error {
			time.AfterFunc(10*time.Millisecond, cancel)
			var n int64
			return x.QueryRowContext(ctx, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i % 2 + 1 FROM n) SELECT count(*) FROM n").Scan(&n)
		})
		want(t, "the query", err, ErrUnavailable)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		err = db.write(ctx, "coming too late", func(x *tx) error {
			cancel()
			for { // until the transaction is rolled back for it
				if _, err := x.ExecContext(t.Context(), "SELECT 1"); errors.Is(err, sql.ErrTxDone) {
					return nil
				}
			}
		})
		want(t, "the commit", err, ErrUnavailable)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		mustIntegrate(t, db, "acme") // and nobody else is in the way
	})
}

func TestAFrozenWriterLosesItsTurn(t *testing.T) {
	s := newSite(t, "postgres")
	frozen, other := s.open(), s.open()
	var timeout string
	must(t, frozen.SQL().QueryRowContext(t.Context(), "SHOW idle_in_transaction_session_timeout").Scan(&timeout))
	if timeout != "15s" {
		t.Errorf("the server waits %s for a node that stopped in a transaction", timeout)
	}
	err := frozen.write(t.Context(), "freezing", func(x *tx) error {
		// What the server does when the time is over.
		pgtest.Exec(t, s.url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'`)
		mustIntegrate(t, other, "acme")
		x.changed("frozen", "")
		return nil
	})
	want(t, "the frozen one", err, ErrUnavailable)
	same(t, "changes", since(t, other, 0), []Change{{Seq: 1, Integration: "acme"}})
	mustIntegrate(t, frozen, "again")
}
