// The Caddy binary under test.

package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Binary returns the path of Caddy with this plugin, built once per test
// process from the current sources.
//
// HARNESS_CADDY names a binary to use instead. HARNESS_RACE=1 builds with the
// race detector; a race then ends Caddy with exit code 66.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Root returns the top folder of the repository.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("HARNESS_CADDY"); path != "" {
		_, err := os.Stat(path)
		return path, err
	}
	top, err := root()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(top, "bin", "harness")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	return build(top, dir)
})

// build compiles into a fixed place, which go build leaves alone when nothing
// changed, and gives out a link of its own for each result: the next build may
// then replace the file while tests of another package run this one.
func build(top, dir string) (string, error) {
	name, args := "caddy", []string{"build", "-trimpath", "-tags", "nobadger,nomysql,nopgx"}
	if os.Getenv("HARNESS_RACE") == "1" {
		name, args = "caddy-race", append(args, "-race")
	}
	out := filepath.Join(dir, name)
	cmd := exec.Command("go", append(args, "-o", out, "./cmd/caddy")...)
	cmd.Dir = top
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building Caddy: %w\n%s", err, text)
	}
	info, err := os.Stat(out)
	if err != nil {
		return "", err
	}
	link := fmt.Sprintf("%s-%x-%x", out, info.Size(), info.ModTime().UnixNano())
	if err := os.Link(out, link); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	prune(out, link)
	return link, nil
}

// prune removes links of builds older than two hours: longer than any test runs.
func prune(out, keep string) {
	old, _ := filepath.Glob(out + "-*-*")
	for _, path := range old {
		if info, err := os.Stat(path); err == nil && path != keep && time.Since(info.ModTime()) > 2*time.Hour {
			_ = os.Remove(path)
		}
	}
}

// lock keeps test processes that run side by side from building at once.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}

// root walks up to the go.mod of this module.
func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module github.com/apikeyinject/caddy-apikey-inject\n") {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("finding the repository: no go.mod above the working directory")
		}
		dir = up
	}
}
