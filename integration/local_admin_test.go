// The admin endpoint for keys, without the command.

package integration

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

func TestAdminKeys(t *testing.T) {
	s := startLocal(t, localStore)
	const keys = "/apikey_inject/keys"
	tests := []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"a key", http.MethodPut, keys, `{"path":"acme/prod","field":"token","key":"canary-1"}`, 200, `"version":1`},
		{"a list", http.MethodGet, keys + "?store=local", "", 200, `"path":"acme/prod"`},
		{"a list of another store", http.MethodGet, keys + "?store=vault", "", 400, "there is no store"},
		{"a key in the query", http.MethodPut, keys + "?key=x", `{"path":"acme/prod"}`, 400, "URLs are logged"},
		{"no JSON", http.MethodPut, keys, `canary-2`, 400, "no JSON"},
		{"broken JSON", http.MethodPut, keys, `{"path":"acme/prod","key":canary}`, 400, "no JSON"},
		{"a number for a key", http.MethodPut, keys, `{"path":"acme/prod","key":424242}`, 400, "key: must be a string"},
		{"a list for a path", http.MethodPut, keys, `{"path":["canary"],"key":"x"}`, 400, "path"},
		{"an unknown field", http.MethodPut, keys, `{"path":"acme/prod","kye":"canary"}`, 400, `did you mean`},
		{"no key", http.MethodPut, keys, `{"path":"acme/prod"}`, 400, "key: is required"},
		{"a null for a key", http.MethodPut, keys, `{"path":"acme/prod","key":null}`, 400, "key: is"},
		{"a control character", http.MethodPut, keys, `{"path":"acme/prod","key":"canary\u0007"}`, 400, "key: has a control character"},
		{"an encoded way out", http.MethodPut, keys, `{"path":"acme/%2e%2e/x","key":"canary"}`, 400, "path: "},
		{"too long a body", http.MethodPut, keys, `{"path":"acme/prod","key":"` + strings.Repeat("canary", 12000) + `"}`, 400, "at most 65536 bytes"},
		{"the longest key, all escapes", http.MethodPut, keys, `{"path":"acme/long","key":"` + strings.Repeat(`\u0041`, 8192) + `"}`, 200, `"version":1`},
		{"deleting nothing", http.MethodDelete, keys, `{"path":"acme/nowhere"}`, 404, "no such document"},
		{"deleting a field", http.MethodDelete, keys, `{"path":"acme/prod","field":"token"}`, 400, "whole document"},
		{"deleting", http.MethodDelete, keys, `{"path":"acme/prod"}`, 200, "true"},
		{"another method", http.MethodPost, keys, `{}`, 405, "method"},
		{"another path", http.MethodGet, "/apikey_inject/key", "", 404, "there is no"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			status, body, err := s.Do(tc.method, tc.path, tc.body)
			if err != nil {
				t.Fatal(err)
			}
			if status != tc.status || !strings.Contains(body, tc.want) {
				t.Errorf("answer %d %s, want %d and %q", status, body, tc.status, tc.want)
			}
			if strings.Contains(body, "canary") || strings.Contains(body, "4242") {
				t.Errorf("the answer holds what was sent: %s", body)
			}
		})
	}
	if log := s.Log.String(); !strings.Contains(log, "request error") || strings.Contains(log, "canary") {
		t.Error("the log lacks the refusals, or holds what was sent")
	}
}

// What Caddy uses after writes that crossed is what the database holds.
func TestAdminKeysWrittenAtOnce(t *testing.T) {
	s := startLocal(t, localStore)
	var wg sync.WaitGroup
	for writer := range 6 {
		wg.Go(func() {
			for i := range 15 {
				method, body := http.MethodPut, fmt.Sprintf(`{"path":"acme/prod","key":"key-%d-%d"}`, writer, i)
				if i%5 == 4 {
					method, body = http.MethodDelete, `{"path":"acme/prod"}`
				}
				status, answer, err := s.Do(method, "/apikey_inject/keys", body)
				if err != nil || status != http.StatusOK && (method == http.MethodPut || status != http.StatusNotFound) {
					t.Errorf("%s: %d %s %v", method, status, answer, err)
				}
			}
		})
	}
	wg.Wait()
	used := func() string {
		s.upstream.Forget()
		if status, code := s.call(t); status != http.StatusOK {
			return code
		}
		return strings.Join(s.upstream.Only().Values("X-Api-Key"), ", ")
	}
	before := used()
	s.Stop()
	s.Caddy = harness.StartCaddy(t, s.config, harness.Home(s.Home))
	if after := used(); after != before {
		t.Errorf("Caddy used %q, and the database holds %q", before, after)
	}
}

// TestLocalKeyLeavesNoTrace searches each channel for the key, after it has
// shown that it finds there what is in clear.
func TestLocalKeyLeavesNoTrace(t *testing.T) {
	s := startLocal(t, "\tdebug\n"+localStore)
	const canary, plain = "canary-b7d3-trace", "plain-2c9e-marker"

	cmd := exec.CommandContext(t.Context(), harness.Binary(t), "apikey-inject", "set", "acme/prod", "--field", "apiKey")
	cmd.Env = append(os.Environ(), "CADDY_ADMIN="+strings.TrimPrefix(s.Admin, "http://"))
	cmd.Dir = s.Home
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The whole value but for its end is in the process, which waits for more.
	fmt.Fprint(stdin, canary)
	if _, err := os.Stat("/proc/self/cmdline"); err == nil {
		argv := waitArgv(t, cmd.Process.Pid)
		search(t, "the process list", argv, "acme/prod", canary)
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("set: %v\n%s", err, out.String())
	}
	s.wantKey(t, canary)
	if status, _, err := s.Do(http.MethodGet, "/apikey_inject/keys", "", "X-Marker: "+plain); status != 200 || err != nil {
		t.Fatalf("listing: %d %v", status, err)
	}
	s.command(t, canary+"2", "set", "acme/prod")
	list := s.command(t, "", "list", "--json")

	search(t, "the output of set", out.String(), "acme/prod", canary)
	search(t, "the output of list", list.Stdout+list.Stderr, "acme/prod", canary)
	search(t, "Caddy's log", s.Log.String(), plain, canary)
	if n := len(s.Log.Entries("admin.api", http.MethodPut, "/apikey_inject/keys")); n != 2 {
		t.Errorf("the admin endpoint logged %d of 2 sets", n)
	}
	search(t, "the configuration", s.Config(""), "acme/prod", canary)
	search(t, "the metrics", s.Metrics(), "caddy_", canary)
	s.Stop()
	files := ""
	err = filepath.WalkDir(s.Home, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		files += path + "\n" + string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	search(t, "the files", files, "catalog.db", canary)
	search(t, "the files", files, "acme/prod", canary)
}

// search fails when text lacks plain, which shows that the search works, or
// holds the canary.
func search(t *testing.T, channel, text, plain, canary string) {
	t.Helper()
	if !strings.Contains(text, plain) {
		t.Errorf("%s lacks %q, so that nothing follows from it:\n%.2000s", channel, plain, text)
	}
	if strings.Contains(text, canary) {
		t.Errorf("%s holds the key", channel)
	}
}

// waitArgv returns the arguments and the environment of a process, once it has
// become the command.
func waitArgv(t *testing.T, pid int) string {
	t.Helper()
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	for range 500 {
		argv, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		if strings.Contains(string(argv), "acme/prod") {
			environ, err := os.ReadFile(filepath.Join(dir, "environ"))
			if err != nil {
				t.Fatal(err)
			}
			return string(argv) + string(environ)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the command did not start")
	return ""
}
