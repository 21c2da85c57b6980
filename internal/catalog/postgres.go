package catalog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	migrationlock "github.com/pressly/goose/v3/lock"
)

// postgres is a server that many nodes share.
var postgres = dialect{
	goose:      goose.DialectPostgres,
	migrations: "migrations/postgres",
	acquire:    acquireServer,
	connect:    connectServer,
	hold:       holdSchema,
	finish:     indexSearch,
	forUpdate:  " FOR UPDATE",
	skipLocked: " FOR UPDATE SKIP LOCKED",
	notify:     "NOTIFY " + channel,
	listen:     listen,
	purge:      func(context.Context, *sql.DB) error { return nil },
}

const (
	// schema holds our tables unless the URL has a search_path. A database is
	// often shared, and names like connections are not ours alone.
	schema = "apikey_inject"

	// serverConnections is how many there are at most in a process. One
	// writes, the others read.
	serverConnections = 8

	// migrationLockID is the advisory lock that migrations are made under. Any
	// fixed number will do that others do not use.
	migrationLockID = 0x61706b696e6a // "apkinj"

	// connectTimeout bounds a connection attempt, unless the URL does.
	connectTimeout = 10 * time.Second
)

// setUp is sent on each new connection. A node that stops in the middle of a
// transaction (paused, or cut off) must not keep all others from writing.
const setUp = "SET idle_in_transaction_session_timeout = '15s'"

// acquireServer checks the URL. A server is nobody's own.
func acquireServer(cfg Config, _ func(string) bool) (target, error) {
	if cfg.URL.Reveal() == "" {
		return target{}, errors.New("postgres needs a URL, like postgres://user:password@host:5432/database")
	}
	c, err := serverConfig(cfg.URL.Reveal())
	if err != nil {
		return target{}, err
	}
	sum := sha256.Sum256([]byte(cfg.URL.Reveal()))
	return target{
		id:      "postgres " + string(sum[:]),
		name:    net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))) + "/" + c.Database,
		url:     cfg.URL,
		release: func() error { return nil },
	}, nil
}

// Servers returns host and port of each server that the configuration names, so
// that nobody else is sent there. Unix sockets are not among them, and a URL that
// is wrong, which [Open] tells, names none.
func (c Config) Servers() []string {
	if c.Driver != "postgres" {
		return nil
	}
	parsed, err := serverConfig(c.URL.Reveal())
	if err != nil {
		return nil
	}
	var list []string
	add := func(host string, port uint16) {
		if addr := net.JoinHostPort(host, strconv.Itoa(int(port))); !strings.HasPrefix(host, "/") && !slices.Contains(list, addr) {
			list = append(list, addr)
		}
	}
	add(parsed.Host, parsed.Port)
	for _, other := range parsed.Fallbacks {
		add(other.Host, other.Port)
	}
	return list
}

// serverConfig parses a URL. The parser's error is left out: it quotes the URL,
// and cannot always tell which part of a malformed one is the password.
func serverConfig(url string) (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("reading the database's URL: it must be like postgres://user:password@host:5432/database?sslmode=verify-full, with other characters percent-encoded")
	}
	c.DialFunc = dialler.DialContext
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, connectTimeout)
	c.RuntimeParams["application_name"] = cmp.Or(c.RuntimeParams["application_name"], "caddy-apikey-inject")
	prepare := setUp
	if c.RuntimeParams["search_path"] == "" {
		prepare += "; SET search_path = " + schema
	}
	c.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		return conn.Exec(ctx, prepare).Close()
	}
	return c, nil
}

func connectServer(t target) (*sql.DB, error) {
	c, err := serverConfig(t.url.Reveal())
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(scrubbing{stdlib.GetConnector(*c)})
	pool.SetMaxOpenConns(serverConnections)
	pool.SetMaxIdleConns(serverConnections / 2)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return pool, nil
}

// holdSchema takes the migration lock, and makes our schema when the search
// path leads to none. goose would take the lock itself, but only after it made
// its table of versions, which two nodes must not do at once either.
func holdSchema(ctx context.Context, pool *sql.DB) (release func() error, err error) {
	locker, err := migrationlock.NewPostgresSessionLocker(migrationlock.WithLockID(migrationLockID), migrationlock.WithLockTimeout(1, 600))
	if err != nil {
		return nil, fmt.Errorf("preparing the migration lock: %w", err)
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	if err := locker.SessionLock(ctx, conn); err != nil {
		return nil, errors.Join(fmt.Errorf("taking the migration lock: %w", err), conn.Close())
	}
	release = func() error {
		// Also when ctx has ended: the connection goes back to the pool.
		return errors.Join(locker.SessionUnlock(context.WithoutCancel(ctx), conn), conn.Close())
	}
	if err := makeSchema(ctx, conn); err != nil {
		return nil, errors.Join(err, release())
	}
	return release, nil
}

// makeSchema does not use IF NOT EXISTS: that needs the right to make schemas
// even where an administrator has made ours.
func makeSchema(ctx context.Context, conn *sql.Conn) error {
	var current sql.NullString
	if err := conn.QueryRowContext(ctx, "SELECT current_schema()").Scan(&current); err != nil {
		return fmt.Errorf("looking for the schema: %w", err)
	}
	if current.Valid {
		return nil
	}
	if _, err := conn.ExecContext(ctx, "CREATE SCHEMA "+schema); err != nil {
		return fmt.Errorf("making the schema %s: %w", schema, err)
	}
	return nil
}

// indexSearch makes the index that a search by a part of a name can use, when
// the database has the extension for it. Ours is not to install extensions in
// somebody's database; without one a search reads all rows.
func indexSearch(ctx context.Context, pool *sql.DB) error {
	var home string
	err := pool.QueryRowContext(ctx, `
		SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
		WHERE e.extname = 'pg_trgm' AND to_regclass('connections_search') IS NULL`).Scan(&home)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for pg_trgm: %w", err)
	}
	if _, err := pool.ExecContext(ctx, "CREATE INDEX connections_search ON connections USING gin (search "+home+".gin_trgm_ops)"); err != nil { //nolint:gosec // quoted by the server
		return fmt.Errorf("making the search index: %w", err)
	}
	return nil
}
