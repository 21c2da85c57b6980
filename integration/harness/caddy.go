// A Caddy process with a home of its own.

package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Caddy is a running Caddy. Its admin endpoint and its folders are its own.
type Caddy struct {
	// Admin is the base URL of the admin endpoint.
	Admin string

	// Home is the folder that holds everything this Caddy writes: its data in
	// data/caddy, its autosaved config in config/caddy.
	Home string

	// Log is what Caddy wrote to standard error and standard output.
	Log *Log

	t      testing.TB
	env    []string
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process is gone
	err    error         // why, once exited is closed
}

// Site is the Caddyfile of a site in clear at 127.0.0.1:port. The bind line is
// needed: the address alone is a matcher, and Caddy would listen everywhere.
func Site(port int, body string) string {
	return fmt.Sprintf("http://127.0.0.1:%d {\n\tbind 127.0.0.1\n%s\n}\n", port, body)
}

// Option changes how Caddy is started.
type Option func(*Caddy)

// Env adds variables ("NAME=value"). Apart from these, Caddy sees only PATH
// and its own folders.
func Env(vars ...string) Option {
	return func(c *Caddy) { c.env = append(c.env, vars...) }
}

// Home makes Caddy use this folder, to find what an earlier one left there.
func Home(dir string) Option { return func(c *Caddy) { c.Home = dir } }

// startTimeout is generous: a race build on a busy machine takes seconds.
const startTimeout = 60 * time.Second

// StartCaddy runs Caddy with a configuration, Caddyfile or JSON, and returns
// once it serves. The configuration must not set the admin endpoint, and must
// bind to 127.0.0.1 (see [Site], or the global option default_bind). The test
// fails when Caddy does not start; Caddy is stopped at the end of the test.
func StartCaddy(t testing.TB, config string, opts ...Option) *Caddy {
	t.Helper()
	c, err := TryCaddy(t, config, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TryCaddy is [StartCaddy] for configurations that may be refused: the error
// holds what Caddy wrote.
func TryCaddy(t testing.TB, config string, opts ...Option) (*Caddy, error) {
	t.Helper()
	c := newCaddy(t, opts)
	file, adapter := c.write(config)
	args := []string{"run", "--config", file}
	if adapter != "" {
		args = append(args, "--adapter", adapter)
	}
	c.cmd = c.command(args...)
	c.cmd.Stdout, c.cmd.Stderr = c.Log, c.Log
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting Caddy: %w", err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.exited)
	}()
	t.Cleanup(func() {
		c.Stop()
		if t.Failed() {
			t.Logf("the end of Caddy's log:\n%s", c.Log.Tail(40))
		}
	})
	return c, c.ready()
}

func newCaddy(t testing.TB, opts []Option) *Caddy {
	c := &Caddy{t: t, Log: NewLog(), exited: make(chan struct{})}
	for _, o := range opts {
		o(c)
	}
	if c.Home == "" {
		c.Home = t.TempDir()
	}
	addr := fmt.Sprintf("127.0.0.1:%d", Port(t))
	c.Admin = "http://" + addr
	c.env = append([]string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + c.Home,
		"XDG_DATA_HOME=" + filepath.Join(c.Home, "data"),
		"XDG_CONFIG_HOME=" + filepath.Join(c.Home, "config"),
		"CADDY_ADMIN=" + addr,
	}, c.env...)
	return c
}

// write puts the configuration into a file and says which adapter reads it.
func (c *Caddy) write(config string) (file, adapter string) {
	c.t.Helper()
	file = filepath.Join(c.Home, "Caddyfile")
	adapter = "caddyfile"
	if json.Valid([]byte(config)) {
		file, adapter = filepath.Join(c.Home, "caddy.json"), ""
	}
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return file, adapter
}

func (c *Caddy) command(args ...string) *exec.Cmd {
	c.t.Helper()
	cmd := exec.Command(Binary(c.t), args...)
	cmd.Env, cmd.Dir = c.env, c.Home
	return cmd
}

// ready waits until the first configuration is in force: the admin endpoint
// answers for the config only when no load is under way. After one that failed
// it has none, and the process is about to end.
func (c *Caddy) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Admin+"/config/", nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err == nil && resp.StatusCode == http.StatusOK && strings.TrimSpace(string(body)) != "null" {
				return nil
			}
		}
		select {
		case <-c.exited:
			return fmt.Errorf("starting Caddy: %w\n%s", errOr(c.err), c.Log.Tail(40))
		case <-ctx.Done():
			return fmt.Errorf("starting Caddy: not ready after %s\n%s", startTimeout, c.Log.Tail(40))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func errOr(err error) error {
	if err == nil {
		return errors.New("it ended")
	}
	return err
}

// Stop ends Caddy as an operator would (SIGTERM), waits for it, and returns its
// exit code. Stopping twice is fine.
func (c *Caddy) Stop() int {
	c.Signal(syscall.SIGTERM)
	select {
	case <-c.exited:
	case <-time.After(20 * time.Second):
		c.t.Errorf("Caddy did not end within 20 s of SIGTERM; killing it")
		c.Kill()
	}
	return c.cmd.ProcessState.ExitCode()
}

// Kill ends Caddy without warning and waits until it is gone.
func (c *Caddy) Kill() {
	c.Signal(syscall.SIGKILL)
	<-c.exited
}

// Signal sends a signal to the process if it still runs.
func (c *Caddy) Signal(sig os.Signal) {
	select {
	case <-c.exited:
	default:
		_ = c.cmd.Process.Signal(sig)
	}
}

// Exited is closed when the process is gone.
func (c *Caddy) Exited() <-chan struct{} { return c.exited }
