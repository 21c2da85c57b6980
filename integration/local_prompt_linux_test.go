// The command at a terminal.

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

func TestLocalKeyTypedAtATerminal(t *testing.T) {
	s := startLocal(t, localStore)
	const canary = "canary-51aa-typed"

	t.Run("the key is asked for and not shown", func(t *testing.T) {
		term := s.atTerminal(t, "apikey-inject", "set", "acme/prod")
		term.wait(t, "API key for acme/prod (it is not shown): ")
		term.send(t, canary+"\n")
		if code := term.end(t); code != 0 {
			t.Fatalf("code %d\n%s", code, term.shown)
		}
		search(t, "the terminal", term.shown, "Stored acme/prod", canary)
		s.wantKey(t, canary)
	})

	t.Run("Ctrl-C gives the terminal back as it was", func(t *testing.T) {
		term := s.atTerminal(t, "apikey-inject", "set", "acme/prod")
		if !term.echoes(t) {
			t.Fatal("the terminal begins without echo")
		}
		term.wait(t, "not shown): ")
		term.send(t, "half-a-key\x03")
		if code := term.end(t); code == 0 {
			t.Error("giving up is no success")
		}
		if !term.echoes(t) {
			t.Error("the terminal is left without echo")
		}
		s.wantKey(t, canary)
	})
}

// terminal is a pseudo terminal with a command at its other end.
type terminal struct {
	master, slave *os.File
	cmd           *exec.Cmd
	shown         string
}

// atTerminal runs a command whose standard streams are a terminal of its own.
func (s *localSite) atTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	conn, err := master.SyscallConn() // Fd would take the deadlines from it
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if ctlErr := conn.Control(func(fd uintptr) {
		if n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN); err == nil {
			err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0)
		}
	}); ctlErr != nil || err != nil {
		t.Fatal(ctlErr, err)
	}
	term := &terminal{master: master}
	if term.slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { term.slave.Close() })
	term.cmd = exec.CommandContext(t.Context(), harness.Binary(t), args...)
	term.cmd.Env = append(os.Environ(), "CADDY_ADMIN="+strings.TrimPrefix(s.Admin, "http://"))
	term.cmd.Dir = s.Home
	term.cmd.Stdin, term.cmd.Stdout, term.cmd.Stderr = term.slave, term.slave, term.slave
	term.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := term.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return term
}

// wait reads what the terminal shows until it holds text.
func (term *terminal) wait(t *testing.T, text string) {
	t.Helper()
	if err := term.master.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1024)
	for !strings.Contains(term.shown, text) {
		n, err := term.master.Read(b)
		term.shown += string(b[:n])
		if err != nil {
			t.Fatalf("waiting for %q: %v\n%s", text, err, term.shown)
		}
	}
}

func (term *terminal) send(t *testing.T, keys string) {
	t.Helper()
	// The prompt comes before the echo is off: what is typed in between would
	// be shown by any program.
	for deadline := time.Now().Add(10 * time.Second); term.echoes(t); {
		if time.Now().After(deadline) {
			t.Fatal("the echo stays on")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if _, err := term.master.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

// end waits for the command, reads the rest, and returns the exit code.
func (term *terminal) end(t *testing.T) int {
	t.Helper()
	_ = term.cmd.Wait() // the code says it
	if _, err := term.slave.WriteString("<end>"); err != nil {
		t.Fatal(err)
	}
	term.wait(t, "<end>")
	return term.cmd.ProcessState.ExitCode()
}

// echoes tells whether the terminal shows what is typed.
func (term *terminal) echoes(t *testing.T) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(term.slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}
