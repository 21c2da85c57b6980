// What the admin endpoint, the files and the commands of a Caddy show that has
// keys in use.

package integration

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// adminEndpoint reads everything that it serves.
func (r *leakRig) adminEndpoint(t *testing.T) {
	for path, holds := range map[string]string{
		"/config/":                          `"apikey_inject"`,
		"/metrics":                          "caddy_http_requests_total",
		"/reverse_proxy/upstreams":          r.up.Addr(),
		"/debug/pprof/heap?debug=1":         "heap profile",
		"/debug/pprof/heap":                 "",
		"/debug/pprof/allocs?debug=1":       "heap profile",
		"/debug/pprof/goroutine?debug=1":    "goroutine profile",
		"/debug/pprof/goroutine?debug=2":    "goroutine ",
		"/debug/pprof/threadcreate?debug=1": "threadcreate",
		"/debug/pprof/cmdline":              "run",
		"/debug/vars":                       "memstats",
		"/apikey_inject/":                   "",
		"/apikey_inject/keys":               "",
	} {
		_, body, err := r.caddy.Do("GET", path, "")
		if err != nil {
			t.Fatal(err)
		}
		if body == "" || !strings.Contains(body, holds) {
			t.Errorf("%s: answers %.200q, which does not hold %q", path, body, holds)
		}
		noLeak(t, channel{"GET " + path, body}, nil, r.secrets)
	}
	// The search finds what the configuration does hold.
	if find(r.caddy.Config(""), canaryOf("", "leak/header")) == nil {
		t.Error("/config/: the search does not find the key's path")
	}
}

// files of Caddy, its autosaved configuration before all.
func (r *leakRig) files(t *testing.T) {
	names, all := homeFiles(t, r.caddy.Home)
	if !strings.Contains(names, "/autosave.json") {
		t.Errorf("there is no autosave.json among %s", names)
	}
	noLeak(t, channel{"the files in Caddy's home", all}, []canary{canaryOf("the key's path", "leak/header"), canaryOf("the variable", "env.LEAK_TOKEN")}, r.secrets)
}

// homeFiles returns the paths of all files in a folder, and what is in them.
func homeFiles(t *testing.T, home string) (names, all string) {
	t.Helper()
	err := filepath.WalkDir(home, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		names += path + "\n"
		all += string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names, all
}

// commands read the configuration with the same environment.
func (r *leakRig) commands(t *testing.T) {
	path := []canary{canaryOf("the key's path", "leak/header")}
	adapted := harness.Adapt(t, r.config, harness.Env(r.env...))
	noLeak(t, channel{"caddy adapt", adapted.Stdout + adapted.Stderr}, path, r.secrets)
	checked := harness.Validate(t, r.config, harness.Env(r.env...))
	if checked.Code != 0 {
		t.Errorf("caddy validate: %+v", checked)
	}
	noLeak(t, channel{"caddy validate", checked.Stdout + checked.Stderr}, []canary{canaryOf("a logger", "apikey_inject")}, r.secrets)
}
