// Package vaulttest runs the real Vault server for tests.
//
// The servers listen on loopback, keep their data in the test's own folder, and
// end with the test.
package vaulttest

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startTimeout bounds how long a server may take to answer. An idle machine
// needs 0.2 s, one that compiles on all cores many times that.
const startTimeout = 60 * time.Second

// Server is a running Vault with one unseal key and a root token.
type Server struct {
	// Addr is the server's URL, like http://127.0.0.1:41234.
	Addr string

	// Token is a root token, another one for each server.
	Token string

	// UnsealKey opens the server after [Server.Seal].
	UnsealKey string

	// CACert is the file with the authority that signed the server's
	// certificate. Empty: the server speaks plain HTTP.
	CACert string

	t      testing.TB
	bin    string
	home   string
	args   []string
	client *http.Client
	stderr output

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
}

// Start runs a dev server: unsealed, in memory, KV version 2 at secret/. More
// flags of "vault server -dev" may follow.
func Start(t testing.TB, flags ...string) *Server {
	t.Helper()
	return start(t, "http", newServer(t), flags)
}

// StartTLS runs a dev server that speaks HTTPS, and so HTTP/2, with a
// certificate of its own authority in [Server.CACert].
func StartTLS(t testing.TB, flags ...string) *Server {
	t.Helper()
	s := newServer(t)
	s.CACert = filepath.Join(s.home, "vault-ca.pem")
	// The server makes the certificate while it starts; the root token tells
	// that it is ours.
	s.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // our own child on loopback
	return start(t, "https", s, append([]string{"-dev-tls", "-dev-tls-cert-dir=" + s.home}, flags...))
}

func newServer(t testing.TB) *Server {
	t.Helper()
	s := &Server{
		t:      t,
		bin:    Binary(t),
		home:   t.TempDir(),
		Token:  "root-" + rand.Text(),
		client: &http.Client{Timeout: 30 * time.Second},
	}
	t.Cleanup(s.Stop)
	return s
}

func start(t testing.TB, scheme string, s *Server, flags []string) *Server {
	t.Helper()
	var err error
	for range 3 { // another process may take the port between our look and the server's
		addr := freeAddr(t)
		s.Addr = scheme + "://" + addr
		s.args = append([]string{
			"server", "-dev", "-dev-no-store-token",
			"-dev-root-token-id=" + s.Token, "-dev-listen-address=" + addr,
		}, flags...)
		if err = s.launch(s.ours); err == nil {
			s.UnsealKey = s.printedKey(t)
			return s
		}
	}
	t.Fatal(err)
	return nil
}

// Binary returns the path of the Vault server: VAULT_BIN, or bin/vault at the
// top of the repository. The test fails when there is none.
func Binary(t testing.TB) string {
	t.Helper()
	path := os.Getenv("VAULT_BIN")
	if path == "" {
		path = filepath.Join(root(t), "bin", "vault")
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the Vault server is missing at %s: run make vault", path)
	}
	return path
}

func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the working directory")
		}
		dir = up
	}
}

// launch starts the process and waits until ready says that it answers.
func (s *Server) launch(ready func() bool) error {
	cmd := exec.Command(s.bin, s.args...)
	cmd.Dir = s.home
	cmd.Env = []string{"HOME=" + s.home, "PATH=" + os.Getenv("PATH")}
	cmd.Stdout, cmd.Stderr = &s.stderr, &s.stderr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting vault: %w", err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = cmd.Wait() }()
	s.mu.Lock()
	s.cmd, s.done = cmd, done
	s.mu.Unlock()

	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(startTimeout)
	for {
		select {
		case <-done:
			return fmt.Errorf("vault ended at once:\n%s", s.stderr.String())
		case <-deadline:
			s.Stop()
			return fmt.Errorf("vault does not answer:\n%s", s.stderr.String())
		case <-tick.C:
			if ready() {
				return nil
			}
		}
	}
}

// ours tells whether the server at our port is the one we started: only that
// one knows our root token.
func (s *Server) ours() bool {
	status, _, err := s.do(http.MethodGet, "auth/token/lookup-self", nil, nil)
	return err == nil && status == http.StatusOK
}

// Stop kills the server as a power cut would. It is called at the end of the
// test, and may be called before.
func (s *Server) Stop() {
	s.mu.Lock()
	cmd, done := s.cmd, s.done
	s.cmd = nil
	s.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Kill()
	<-done
	s.client.CloseIdleConnections()
}

// Pause stops the server's process without closing anything: connections stay
// open and nothing is answered. It returns when every thread has stopped, which
// on a busy machine is some time after the signal; where there is no /proc it
// takes the signal's word for it.
func (s *Server) Pause() {
	s.t.Helper()
	pid := s.signal(syscall.SIGSTOP)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(startTimeout); !stopped(pid); <-tick.C {
		if time.Now().After(deadline) {
			s.t.Fatal("the server does not stop")
		}
	}
}

// stopped tells whether every thread of a process has stopped.
func stopped(pid int) bool {
	stats, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		// "123 (a name) T …": the state follows the name, which may hold anything.
		if end := bytes.LastIndex(stat, []byte(") ")); end < 0 || stat[end+2] != 'T' {
			return false
		}
	}
	return true
}

// Resume ends a [Server.Pause].
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

// signal sends a signal and returns the process it went to.
func (s *Server) signal(sig syscall.Signal) (pid int) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		s.t.Fatal("the server is stopped")
	}
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
	return s.cmd.Process.Pid
}

// printed matches the line in which a dev server shows its only key share.
var printed = regexp.MustCompile(`Unseal Key: (\S+)`)

func (s *Server) printedKey(t testing.TB) string {
	t.Helper()
	deadline := time.Now().Add(startTimeout)
	for time.Now().Before(deadline) { // printed shortly after the port answers
		if m := printed.FindStringSubmatch(s.stderr.String()); m != nil {
			return m[1]
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("vault printed no unseal key:\n%s", s.stderr.String())
	return ""
}

func freeAddr(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

// output collects what a process prints; two of its pipes write to it.
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
	return strings.TrimSpace(o.b.String())
}
