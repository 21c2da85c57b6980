package catalog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/apikeyinject/caddy-apikey-inject/internal/pgtest"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

func openURL(t *testing.T, url string) (*DB, error) {
	t.Helper()
	db, err := Open(t.Context(), Config{Driver: "postgres", URL: secret.New(url)})
	if err == nil {
		t.Cleanup(func() { _ = db.Close() })
	}
	return db, err
}

func TestAPasswordIsInNoError(t *testing.T) {
	const canary = "canary/7f:e2?@x"
	good, err := url.Parse(pgtest.Database(t))
	must(t, err)
	refused := *good
	refused.User = url.UserPassword("postgres", canary)
	ln, err := net.Listen("tcp", "127.0.0.1:0") // hangs up at once
	must(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	away := refused
	away.Host = ln.Addr().String()
	for name, c := range map[string]struct{ url, want string }{
		"none at all":             {"", "needs a URL"},
		"refused by the server":   {refused.String(), "password authentication failed"},
		"to a server that is not": {away.String(), away.Host + "/"},
		"unescaped":               {"postgres://me:" + canary + "@127.0.0.1:1/db", ""},
		"with a bad port":         {"postgres://me:" + url.QueryEscape(canary) + "@127.0.0.1:x/db", "must be like"},
		"without a scheme":        {"me:" + canary + "@127.0.0.1/db", "must be like"},
		"in words":                {"host=127.0.0.1 port=x password='" + canary + "'", "must be like"},
		"in a query":              {"postgres://127.0.0.1:x/db?password=" + url.QueryEscape(canary), "must be like"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openURL(t, c.url)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q in it", err, c.want)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				for _, verb := range []string{"%v", "%+v", "%#v"} {
					if text := fmt.Sprintf(verb, e); strings.Contains(text, "canary") || strings.Contains(text, url.QueryEscape(canary)) {
						t.Errorf("the password is in %s", text)
					}
				}
			}
			if holdsConfig(err) {
				t.Errorf("the configuration can be had from %v", err)
			}
		})
	}
}

func TestAHandleDoesNotShowItsPassword(t *testing.T) {
	raw := pgtest.Database(t)
	u, err := url.Parse(raw)
	must(t, err)
	password, _ := u.User.Password()
	db, err := openURL(t, raw)
	must(t, err)
	if want := u.Host + u.Path; db.Path() != want {
		t.Errorf("the database is at %s, want %s", db.Path(), want)
	}
	if text := fmt.Sprintf("%+v %#v", db.shared.target, db.shared.target); strings.Contains(text, password) || strings.Contains(text, raw) {
		t.Errorf("the password is in %s", text)
	}
}

func TestOneProcessSharesAServerAndAnotherUsesItToo(t *testing.T) {
	s := newSite(t, "postgres")
	c := s.config()
	open := func(c Config) *DB {
		db, err := Open(t.Context(), c)
		must(t, err)
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	first, second, node := open(c), open(c), s.open()
	if first.SQL() != second.SQL() || first.SQL() == node.SQL() {
		t.Error("one URL must be one pool, and two URLs two")
	}
	must(t, first.Close())
	must(t, second.SQL().PingContext(t.Context()))
	must(t, second.Close())
	if err := second.SQL().PingContext(t.Context()); err == nil {
		t.Error("the last handle did not close the pool")
	}
	mustIntegrate(t, node, "acme")
	must(t, node.Purge(t.Context()))
}

func TestNodesThatStartAtOnceMigrateOnce(t *testing.T) {
	s := newSite(t, "postgres")
	// Open goes one by one within a process; this is as in several.
	var wg sync.WaitGroup
	for range 3 {
		target, err := acquireServer(s.config(), nil)
		must(t, err)
		wg.Go(func() {
			pool, err := prepare(t.Context(), postgres, target)
			if err != nil {
				t.Error(err)
				return
			}
			_ = pool.Close()
		})
	}
	wg.Wait()
	db := s.open()
	var n int
	must(t, db.SQL().QueryRowContext(t.Context(), "SELECT count(*) FROM "+versionTable).Scan(&n))
	files, err := migrations.ReadDir("migrations/postgres")
	must(t, err)
	if want := 1 + len(files); n != want { // the beginning, and each file
		t.Errorf("the history has %d rows, want %d", n, want)
	}
}

func TestNobodyMigratesWhileAnotherNodeDoes(t *testing.T) {
	s := newSite(t, "postgres")
	other, err := pgx.Connect(t.Context(), s.url)
	must(t, err)
	defer func() { _ = other.Close(context.Background()) }()
	_, err = other.Exec(t.Context(), "SELECT pg_advisory_lock($1)", int64(migrationLockID))
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, s.config()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want that it waited", err)
	}
	var n int
	must(t, other.QueryRow(t.Context(), "SELECT count(*) FROM pg_namespace WHERE nspname = $1", schema).Scan(&n))
	if n != 0 {
		t.Error("it began all the same")
	}
	must(t, other.Close(t.Context()))
	s.open()
}

func TestTablesStandInASchemaOfTheirOwn(t *testing.T) {
	raw := pgtest.Database(t)
	pgtest.Exec(t, raw, `CREATE TABLE connections (theirs int); CREATE SCHEMA chosen`)
	for _, c := range []struct{ url, schema string }{{raw, schema}, {raw + "&search_path=chosen", "chosen"}} {
		db, err := openURL(t, c.url)
		must(t, err)
		mustCreate(t, db, aConnection("acme", c.schema))
		var n int
		must(t, db.SQL().QueryRowContext(t.Context(), "SELECT count(*) FROM "+c.schema+".connections").Scan(&n))
		if n != 1 {
			t.Errorf("%s has %d connections", c.schema, n)
		}
	}
}

func TestARoleThatMayNotMakeSchemasUsesOneThatIsMade(t *testing.T) {
	raw := pgtest.Database(t)
	u, err := url.Parse(raw)
	must(t, err)
	role := strings.TrimPrefix(u.Path, "/") // roles belong to the server
	pgtest.Exec(t, raw, "CREATE ROLE "+role+" LOGIN PASSWORD 'x'")
	t.Cleanup(func() {
		pgtest.Exec(t, raw, "DROP OWNED BY "+role+"; DROP SCHEMA IF EXISTS "+schema+" CASCADE; DROP ROLE "+role)
	})
	u.User = url.UserPassword(role, "x")
	if _, err := openURL(t, u.String()); err == nil || !strings.Contains(err.Error(), "making the schema "+schema) {
		t.Errorf("got %v, want that it cannot make the schema", err)
	}
	pgtest.Exec(t, raw, "CREATE SCHEMA "+schema+" AUTHORIZATION "+role)
	if _, err := openURL(t, u.String()); err != nil {
		t.Error(err)
	}
}

// holdsConfig tells whether an error hands out what it was configured with.
func holdsConfig(err error) bool {
	var connect *pgconn.ConnectError
	var parse *pgconn.ParseConfigError
	return errors.As(err, &connect) || errors.As(err, &parse)
}

func TestTheServersOfAURL(t *testing.T) {
	for url, want := range map[string][]string{
		"postgres://u:p@db.internal/x":                                       {"db.internal:5432"},
		"postgres://u:p@db-1:5433,db-2:5434/x?sslmode=disable":               {"db-1:5433", "db-2:5434"},
		"postgres://u:p@[::1]:6000/x?sslmode=prefer":                         {"[::1]:6000"},
		"postgres:///x?host=10.0.0.7&port=7000&user=u&sslmode=disable":       {"10.0.0.7:7000"},
		"postgres:///x?host=/run/postgresql&user=u":                          nil,
		"host=db-3 port=5435 user=u password=p dbname=x sslmode=verify-full": {"db-3:5435"},
		"postgres://u:p@db:port/x":                                           nil,
	} {
		if got := (Config{Driver: "postgres", URL: secret.New(url)}).Servers(); !slices.Equal(got, want) {
			t.Errorf("%s names %q, want %q", url, got, want)
		}
	}
	if got := (Config{Driver: "sqlite", Path: "x"}).Servers(); got != nil {
		t.Errorf("a file names %q", got)
	}
}

func TestWhoTakesOverAlertsDoesNotDeadlockWithAWrite(t *testing.T) {
	s := newSite(t, "postgres")
	dead, other := heardSite(t, s), s.open()
	for _, subject := range []string{"a", "b"} { // taking over goes through them in this order
		must(t, dead.OpenAlert(t.Context(), Alert{Subject: subject, Kind: "store_down"}))
	}
	taken(t, dead)
	s.pass(leadFor + time.Second)
	led := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must(t, dead.write(ctx, "opening alerts", func(tx *tx) error {
		if err := tx.openAlert(ctx, Alert{Subject: "b"}); err != nil {
			return err
		}
		go func() {
			leads, err := other.LeadAlerts(ctx, "node-2")
			if err == nil && !leads {
				err = errors.New("nobody leads")
			}
			led <- err
		}()
		for waiting := 0; waiting == 0; time.Sleep(10 * time.Millisecond) {
			if err := dead.SQL().QueryRowContext(ctx, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waiting); err != nil {
				return err
			}
		}
		return tx.openAlert(ctx, Alert{Subject: "a"})
	}))
	must(t, <-led)
}
