// Package pgtest runs a real PostgreSQL server for tests.
//
// One server serves a test process. It listens on loopback, keeps its data in a
// temporary folder, and ends with the process, however that ends.
package pgtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// startTimeout bounds how long the server may take to answer. An idle machine
// needs 0.2 s.
const startTimeout = 60 * time.Second

// server is a running PostgreSQL.
type server struct {
	addr     string
	password string
	stdin    io.Closer // held open: see supervise
	done     chan struct{}
	log      output
}

// shared is the process' server, started by the first test that asks.
var shared = sync.OnceValues(start)

// Database makes an empty database and returns its URL. The database ends with
// the test. The test fails when PostgreSQL is not installed.
func Database(t testing.TB) string {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	name := "test_" + strings.ToLower(rand.Text())
	// With the rules of a language, so that a column that lacks COLLATE "C"
	// shows.
	s.exec(t, "CREATE DATABASE "+name+" TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'")
	t.Cleanup(func() { s.exec(t, "DROP DATABASE "+name+" WITH (FORCE)") })
	return s.url(name)
}

// Exec runs statements in the database of a URL, beside the code under test.
func Exec(t testing.TB, url, query string) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(context.Background(), query); err != nil {
		t.Fatal(err)
	}
}

// Binary returns the path of one of PostgreSQL's programs, from the PATH or
// where Debian puts them.
func Binary(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("PostgreSQL's %s is missing: apt-get install -y postgresql", name)
	}
	return found[len(found)-1], nil
}

func start() (*server, error) {
	initdb, err := Binary("initdb")
	if err != nil {
		return nil, err
	}
	postgres, err := Binary("postgres")
	if err != nil {
		return nil, err
	}
	s := &server{password: rand.Text(), done: make(chan struct{})}
	if err := s.launch(initdb, postgres); err != nil {
		if s.stdin != nil {
			_ = s.stdin.Close()
		}
		return nil, fmt.Errorf("starting PostgreSQL: %w\n%s", err, s.log.String())
	}
	return s, nil
}

// supervise makes the data folder, runs the server, and ends it and the folder
// when its standard input does: at the latest when this process ends, killed or
// not. Neither syncing nor durability are needed, the data go with the tests.
const supervise = `
home=$1 initdb=$2 postgres=$3 port=$4
exec 3<&0 </dev/null
trap 'rm -rf "$home"' EXIT
"$initdb" -D "$home/data" -U postgres -A scram-sha-256 --pwfile "$home/password" -E UTF8 --locale C -N 3<&- || exit
"$postgres" -D "$home/data" -h 127.0.0.1 -p "$port" -c unix_socket_directories= -c fsync=off -c shared_buffers=64MB 3<&- &
server=$!
{ read -r _ <&3; kill -QUIT $server; } &
waiter=$!
exec 3<&-
wait $server
kill $waiter 2>/dev/null
`

func (s *server) launch(initdb, postgres string) error {
	who, err := account()
	if err != nil {
		return err
	}
	home, err := os.MkdirTemp(place(), "pgtest-")
	if err != nil {
		return err
	}
	pass := filepath.Join(home, "password")
	if err := os.WriteFile(pass, []byte(s.password+"\n"), 0o600); err != nil {
		return err
	}
	if err := give(who, home, pass); err != nil {
		return err
	}
	if s.addr, err = freeAddr(); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		return err
	}
	cmd := exec.Command("sh", "-c", supervise, "sh", home, initdb, postgres, port)
	cmd.Dir = home
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	cmd.SysProcAttr = who
	if s.stdin, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { defer close(s.done); _ = cmd.Wait() }()
	return s.wait()
}

// wait returns once the server answers to our password.
func (s *server) wait() error {
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(startTimeout)
	for {
		select {
		case <-s.done:
			return errors.New("it ended at once")
		case <-deadline:
			return errors.New("it does not answer")
		case <-tick.C:
			if db.Ping() == nil {
				return nil
			}
		}
	}
}

func (s *server) exec(t testing.TB, query string) {
	t.Helper()
	Exec(t, s.url("postgres"), query)
}

func (s *server) url(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword("postgres", s.password), Host: s.addr, Path: database, RawQuery: "sslmode=disable"}
	return u.String()
}

func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String(), nil
}

// output collects what the processes print.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
