package seal

import (
	"bufio"
	"os"
	"os/exec"
	"strconv"
	"testing"
)

// TestAKilledWriterLeavesTheOldOrTheNewRow kills a process that writes without
// a pause, each time a little further on in its work, and then looks at what
// it left. All rounds share one directory: each starts on the last one's ruins.
func TestAKilledWriterLeavesTheOldOrTheNewRow(t *testing.T) {
	dir := t.TempDir()
	for round := range 20 {
		acknowledged := killedAfter(t, dir, writeEnv, 1+round*3%7)
		s := newStore(dir)
		d, err := s.Get(t.Context(), address)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if d.Version < acknowledged {
			t.Fatalf("round %d: version %d was acknowledged, %d is there", round, acknowledged, d.Version)
		}
		want := strconv.Itoa(d.Version)
		if a, b := d.Fields["a"].Value.Reveal(), d.Fields["b"].Value.Reveal(); a != want || b != want {
			t.Fatalf("round %d: version %s holds %q and %q", round, want, a, b)
		}
		if d.Version > 1 {
			p, err := s.Former(t.Context(), address, d.Version)
			if err != nil || p.Fields["a"].Value.Reveal() != strconv.Itoa(d.Version-1) {
				t.Fatalf("round %d: the previous version is broken: %v", round, err)
			}
		}
		var verdict string
		if err := s.ready.Load().db.SQL().QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
			t.Fatalf("round %d: integrity check: %q, %v", round, verdict, err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// killedAfter starts a process that does what env says, kills it in the middle
// of its work once it has acknowledged that many writes, and returns the last
// number it acknowledged.
func killedAfter(t *testing.T, dir, env string, writes int) (version int) {
	t.Helper()
	self, err := os.Executable() // absolute, the child starts elsewhere
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self)
	child.Dir = dir
	child.Env = append(os.Environ(), env+"=1")
	child.Stderr = os.Stderr
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for n := 0; lines.Scan(); n++ {
		v, err := strconv.Atoi(lines.Text())
		if err != nil {
			break // the kill cut a line off
		}
		version = v
		if n+1 == writes {
			_ = child.Process.Kill() // and read on: what came before it counts
		}
	}
	_ = child.Wait()
	if version == 0 {
		t.Fatal("the writer acknowledged nothing")
	}
	return version
}
