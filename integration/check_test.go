// caddy apikey-inject check: every key of a configuration, tried at a real Vault.

package integration

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// checkedKey is a row of check --json.
type checkedKey struct {
	Integration, Store, Path, Field, Connection, Result, Detail string
	Version                                                     int
}

// check runs the command on a configuration in a home of its own, and returns
// its rows by integration. The home must not hold anything else afterwards.
func check(t *testing.T, config string, env []string, args ...string) (map[string]checkedKey, harness.Result) {
	t.Helper()
	home, file := t.TempDir(), filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"apikey-inject", "check", "--config", file, "--adapter", "caddyfile", "--json"}, args...)
	r := harness.Run(t, "", args, harness.Home(home), harness.Env(env...))
	var out struct {
		OK   bool
		Keys []checkedKey
	}
	if err := json.Unmarshal([]byte(r.Stdout), &out); err != nil {
		t.Fatalf("no JSON: %v\n%+v", err, r)
	}
	if out.OK != (r.Code == 0) {
		t.Errorf("ok is %v and the exit code %d", out.OK, r.Code)
	}
	rows := make(map[string]checkedKey)
	for _, k := range out.Keys {
		rows[k.Integration] = k
	}
	if len(rows) != len(out.Keys) {
		t.Errorf("rows are repeated: %+v", out.Keys)
	}
	err := filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("check wrote %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows, r
}

// checkable is a configuration with an integration for each name and key, and
// a route for the one called "routed".
func checkable(options string, keys ...[2]string) string {
	var b strings.Builder
	site := "\trespond hello"
	for _, k := range keys {
		fmt.Fprintf(&b, "\t\tintegration %s https://api.acme.example {\n\t\t\tname X-Api-Key\n\t\t\tkey %s\n\t\t\tallow anyone\n\t\t}\n", k[0], k[1])
		if k[0] == "routed" {
			site = "\tapikey_inject routed\n\tapikey_inject /again routed"
		}
	}
	return "{\n\tapikey_inject {\n" + options + b.String() + "\t}\n}\n" + harness.Site(1, site)
}

const checkedCanary = "canary-of-checks-41d7" // 21 bytes

func TestCheckNamesWhatIsWrong(t *testing.T) { //nolint:tparallel // the cases share one Vault, one after another
	t.Parallel()
	v := vaulttest.Start(t)
	v.Put("acme/prod", map[string]any{"apiKey": checkedCanary})
	v.Put("acme/fields", map[string]any{"token": checkedCanary, "user": checkedCanary + "-2"})
	v.Put("acme/number", map[string]any{"apiKey": 7})
	v.Put("acme/gone", map[string]any{"apiKey": checkedCanary})
	v.Do(http.MethodDelete, "secret/data/acme/gone", nil)
	v.Put("customers/one/crm", map[string]any{"apiKey": "short"})
	v.MountV1("kv1")
	v.PutV1("kv1", "acme", map[string]any{"apiKey": checkedCanary})
	mounted := func(path, mount string) string {
		return path + " {\n\t\t\t\tmount " + mount + "\n\t\t\t}"
	}
	config := checkable("\t\tstore vault\n",
		[2]string{"routed", "acme/prod"},
		[2]string{"fields", "acme/fields"},
		[2]string{"named", "acme/fields key"},
		[2]string{"right", "acme/fields token"},
		[2]string{"number", "acme/number"},
		[2]string{"gone", "acme/gone"},
		[2]string{"nowhere", "acme/nowhere"},
		[2]string{"data", "data/acme/prod"},
		[2]string{"v1", mounted("acme", "kv1")},
		[2]string{"v1-data", mounted("data/acme", "kv1")},
		[2]string{"v1-whole", "/kv1/data/acme"},
		[2]string{"v2-whole", "/secret/acme/prod"},
		[2]string{"whole", "/secret/data/acme/prod"},
		[2]string{"mount", mounted("acme", "nomount")},
		[2]string{"engine", mounted("acme", "sys")},
		[2]string{"customers", "customers/${connectionId}/crm"},
	)
	env := []string{"VAULT_ADDR=" + v.Addr, "VAULT_TOKEN=" + v.Token}
	rows, r := check(t, config, env)
	if r.Code != 1 {
		t.Errorf("exit code %d", r.Code)
	}
	for name, want := range map[string][2]string{
		"routed":    {"ok", "version 1, written "},
		"fields":    {"invalid", `field "apiKey" is missing; the fields there are token, user`},
		"named":     {"invalid", `field "key" is missing; the fields there are token, user`},
		"right":     {"ok", "version 1"},
		"number":    {"invalid", "number"},
		"gone":      {"not_found", "the newest version of this document is deleted"},
		"nowhere":   {"not_found", "no such document; this mount is KV v2"},
		"data":      {"not_found", "data/ is put in front by itself"},
		"v1":        {"ok", "this mount is KV v1, without versions; 16 to 64 bytes"},
		"v1-data":   {"not_found", "this mount is KV v1: its paths have no data/"},
		"v1-whole":  {"not_found", "this mount is KV v1: a whole path in it has no data/"},
		"v2-whole":  {"misconfigured", "needs data/"},
		"whole":     {"ok", "version 1"},
		"mount":     {"misconfigured", "no such mount: nomount"},
		"engine":    {"misconfigured", "is a system engine, not KV"},
		"customers": {"per_connection", "try one with --connection"},
	} {
		got := rows[name]
		if got.Result != want[0] || !strings.Contains(got.Detail, want[1]) {
			t.Errorf("%s: %s, %s; want %s, %s", name, got.Result, got.Detail, want[0], want[1])
		}
	}
	if d := rows["routed"].Detail; !strings.HasSuffix(d, ", 16 to 64 bytes") {
		t.Errorf("got %q", d)
	}
	if all := r.Stdout + r.Stderr; strings.Contains(all, checkedCanary) || strings.Contains(all, v.Token) {
		t.Error("the report holds a secret")
	}

	t.Run("a connection", func(t *testing.T) {
		only := checkable("\t\tstore vault\n", [2]string{"routed", "acme/prod"}, [2]string{"customers", "customers/${connectionId}/crm"})
		_, r := check(t, only, env)
		if r.Code != 0 {
			t.Errorf("a key for each connection is no fault: %+v", r)
		}
		rows, _ := check(t, only, env, "--connection", "one")
		if got := rows["customers"]; got.Result != "ok" || got.Path != "customers/one/crm" || !strings.Contains(got.Detail, "under 16 bytes") {
			t.Errorf("got %+v", got)
		}
		rows, r = check(t, only, env, "--connection", "two")
		if got := rows["customers"]; got.Result != "not_found" || r.Code != 1 {
			t.Errorf("got %+v, exit code %d", got, r.Code)
		}
		if r := harness.Run(t, "", []string{"apikey-inject", "check", "--connection", "../x"}); r.Code != 1 || !strings.Contains(r.Stderr, "no connection id") {
			t.Errorf("got %+v", r)
		}
	})

	t.Run("the table", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "Caddyfile")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		r := harness.Run(t, "", []string{"apikey-inject", "check", "--config", file}, harness.Env(env...))
		if r.Code != 1 || !strings.Contains(r.Stdout, "INTEGRATION") || !strings.Contains(r.Stderr, "11 of 16 keys cannot be used") {
			t.Errorf("got %+v", r)
		}
		if strings.Contains(r.Stdout+r.Stderr, checkedCanary) {
			t.Error("the table holds a key")
		}
	})

	t.Run("a policy that denies", func(t *testing.T) {
		v.Policy("acme-only", `path "secret/data/acme/*" { capabilities = ["read"] }`)
		limited := v.NewToken(time.Hour, "acme-only")
		rows, r := check(t, checkable("\t\tstore vault\n", [2]string{"routed", "acme/prod"}, [2]string{"beta", "beta/prod"}),
			[]string{"VAULT_ADDR=" + v.Addr, "VAULT_TOKEN=" + limited})
		got := rows["beta"]
		if got.Result != "denied" || r.Code != 1 {
			t.Errorf("got %+v", got)
		}
		for _, want := range []string{"the policy denies this path", "auth token (policies acme-only, default)", `path "secret/data/beta/prod" { capabilities = ["read"] }`} {
			if !strings.Contains(got.Detail, want) {
				t.Errorf("lacks %q: %s", want, got.Detail)
			}
		}
		if rows["routed"].Result != "ok" || strings.Contains(r.Stdout+r.Stderr, limited) {
			t.Errorf("got %+v", r)
		}
	})

	t.Run("a login", func(t *testing.T) {
		roleID, secretID := v.AppRole("gateway", "acme-only", nil)
		store := "\t\tstore vault {\n\t\t\tauth approle {\n\t\t\t\trole_id {env.ROLE}\n\t\t\t\tsecret_id {env.SECRET}\n\t\t\t}\n\t\t}\n"
		config := checkable(store, [2]string{"routed", "acme/prod"}, [2]string{"right", "acme/fields token"})
		_, r := check(t, config, []string{"VAULT_ADDR=" + v.Addr, "ROLE=" + roleID, "SECRET=" + secretID})
		if r.Code != 0 {
			t.Errorf("got %+v", r)
		}
		const wrong = "wrong-secret-id-93ab"
		proxy := v.Proxy(t)
		rows, r := check(t, config, []string{"VAULT_ADDR=" + proxy.Addr, "ROLE=" + roleID, "SECRET=" + wrong})
		if got := rows["routed"]; got.Result != "refused" || !strings.Contains(got.Detail, "login refused: logging in at auth/approle: refused with 400 invalid role or secret ID") {
			t.Errorf("got %+v", got)
		}
		if n := proxy.Count("/v1/auth/approle/login"); n != 1 {
			t.Errorf("%d logins with a wrong secret id", n)
		}
		if all := r.Stdout + r.Stderr; strings.Contains(all, wrong) || strings.Contains(all, secretID) || strings.Contains(all, roleID) {
			t.Error("the report holds a credential")
		}
		wrapped := strings.Replace(config, "secret_id {env.SECRET}", "secret_id {env.SECRET}\n\t\t\t\twrapped", 1)
		rows, r = check(t, wrapped, []string{"VAULT_ADDR=" + proxy.Addr, "ROLE=" + roleID, "SECRET=" + v.WrappedSecretID("gateway", time.Hour)})
		if got := rows["routed"]; got.Result != "unchecked" || r.Code != 1 || proxy.Count("unwrap") != 0 {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("a Vault that is sealed, then away", func(t *testing.T) { // the last: it ends the server
		v.Seal()
		if rows, _ := check(t, config, env); rows["routed"].Detail != "Vault is sealed" {
			t.Errorf("got %+v", rows["routed"])
		}
		v.Stop()
		began := time.Now()
		rows, _ := check(t, config, env)
		if got := rows["routed"]; got.Result != "unavailable" || !strings.Contains(got.Detail, "Vault does not answer at "+v.Addr) {
			t.Errorf("got %+v", got)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

func TestCheckOfALocalStore(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	file := filepath.Join(t.TempDir(), "Caddyfile")
	config := checkable("\t\tstore local\n", [2]string{"routed", "acme/prod"}, [2]string{"named", "acme/prod token"})
	if err := os.WriteFile(file, []byte(strings.Replace(config, "\tapikey_inject {", "\tadmin off\n\tapikey_inject {", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(stdin string, args ...string) harness.Result {
		t.Helper()
		return harness.Run(t, stdin, append([]string{"apikey-inject"}, args...), harness.Home(home))
	}
	r := run("", "check", "--config", file)
	if r.Code != 1 || !strings.Contains(r.Stdout, "there is no database at ") {
		t.Errorf("got %+v", r)
	}
	if entries, err := os.ReadDir(filepath.Join(home, "data")); err == nil {
		t.Errorf("check made %v", entries)
	}
	if r := run(checkedCanary, "set", "acme/prod", "--config", file); r.Code != 0 {
		t.Fatalf("got %+v", r)
	}
	r = run("", "check", "--config", file)
	if r.Code != 1 || !strings.Contains(r.Stdout, "version 1") || !strings.Contains(r.Stdout, "the fields there are apiKey") {
		t.Errorf("got %+v", r)
	}
	if strings.Contains(r.Stdout+r.Stderr, checkedCanary) {
		t.Error("the report holds the key")
	}

	s := startLocal(t, localStore)
	s.command(t, checkedCanary, "set", "acme/prod")
	r = s.command(t, "", "check", "--config", filepath.Join(s.Home, "Caddyfile"))
	if !strings.Contains(r.Stdout, "a running Caddy has the database open") {
		t.Errorf("got %+v", r)
	}
}
