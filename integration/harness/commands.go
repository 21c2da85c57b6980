// Caddy's other commands: adapt, validate, fmt, and ours.

package harness

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Result is what a command left.
type Result struct {
	Stdout, Stderr string

	// Code is the exit code, -1 when it was killed after a minute.
	Code int
}

// Run runs a caddy command in a home of its own ([Home] and [Env] apply) and
// waits for its end. The admin address it would talk to by default is one where
// nobody listens; hand it another with [Env]("CADDY_ADMIN=…").
func Run(t testing.TB, stdin string, args []string, opts ...Option) Result {
	t.Helper()
	c := newCaddy(t, opts)
	return c.run(stdin, args...)
}

// Run runs a caddy command with the environment and home of c.
func (c *Caddy) Run(stdin string, args ...string) Result {
	c.t.Helper()
	return c.run(stdin, args...)
}

func (c *Caddy) run(stdin string, args ...string) Result {
	c.t.Helper()
	cmd := c.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	err := cmd.Wait()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		c.t.Fatal(err)
	}
	return Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
}

// Adapt turns a Caddyfile into JSON as caddy adapt does; warnings and errors
// are in Stderr.
func Adapt(t testing.TB, caddyfile string, opts ...Option) Result {
	t.Helper()
	c := newCaddy(t, opts)
	file, _ := c.write(caddyfile)
	return c.run("", "adapt", "--adapter", "caddyfile", "--config", file)
}

// Validate loads and provisions a configuration, Caddyfile or JSON, as caddy
// validate does.
func Validate(t testing.TB, config string, opts ...Option) Result {
	t.Helper()
	c := newCaddy(t, opts)
	file, adapter := c.write(config)
	args := []string{"validate", "--config", file}
	if adapter != "" {
		args = append(args, "--adapter", adapter)
	}
	return c.run("", args...)
}
