package pgtest

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// holdEnv makes this test binary, started as a child, start a server, print its
// address, and wait to be killed.
const holdEnv = "PGTEST_HOLD"

func TestMain(m *testing.M) {
	if os.Getenv(holdEnv) == "" {
		os.Exit(m.Run())
	}
	s, err := shared()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.addr)
	select {}
}

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	one, other := Database(t), Database(t)
	Exec(t, one, "CREATE TABLE mine (id int)")
	Exec(t, other, "CREATE TABLE mine (id int)")
	a, err := url.Parse(one)
	if err != nil {
		t.Fatal(err)
	}
	b, err := url.Parse(other)
	if err != nil {
		t.Fatal(err)
	}
	if a.Host != b.Host || a.Hostname() != "127.0.0.1" {
		t.Errorf("the databases are at %s and %s, want one server on loopback", a.Host, b.Host)
	}
}

func TestADatabaseEndsWithItsTest(t *testing.T) {
	var used string
	t.Run("test", func(t *testing.T) { used = Database(t) })
	db, err := sql.Open("pgx", used)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.PingContext(t.Context()); err == nil || !strings.Contains(err.Error(), "3D000") {
		t.Errorf("got %v, want that there is no such database", err)
	}
}

func TestTheServerEndsWithAKilledProcess(t *testing.T) {
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), holdEnv+"=1")
	child.Stderr = os.Stderr
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr := strings.TrimSpace(line)
	if err := dial(t.Context(), addr); err != nil {
		t.Fatalf("the server does not listen before: %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for dial(ctx, addr) == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the server outlived the process that started it")
		}
	}
}

func dial(ctx context.Context, addr string) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}

func TestAMissingProgramIsNamedWithWhatInstallsIt(t *testing.T) {
	t.Setenv("PATH", filepath.Join(t.TempDir(), "nothing"))
	_, err := Binary("pg_no_such")
	if err == nil || !strings.Contains(err.Error(), "pg_no_such") || !strings.Contains(err.Error(), "apt-get install -y postgresql") {
		t.Errorf("got %v", err)
	}
}
