// The commands and the admin endpoint of a real Caddy process.

package adapt

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

func TestListModules(t *testing.T) {
	out := "\n" + harness.Run(t, "", []string{"list-modules"}).Stdout
	for _, id := range []string{
		"apikey_inject", "apikey_inject.stores.vault", "apikey_inject.stores.local",
		"http.handlers.apikey_inject", "http.reverse_proxy.transport.apikey_inject",
	} {
		if !strings.Contains(out, "\n"+id+"\n") {
			t.Errorf("list-modules lacks %s", id)
		}
	}
}

// TestAdaptAndValidateReachNothing counts requests to Vault and files: both
// commands are run by editors and pipelines, with the wrapped secret_id of a
// server that has yet to start.
func TestAdaptAndValidateReachNothing(t *testing.T) {
	vault := vaulttest.Start(t)
	vault.Put("acme/prod", map[string]any{"apiKey": canary})
	proxy := vault.Proxy(t)
	upstream := harness.NewUpstream(t, nil)
	site := func(options string) (config, addr string) {
		port := harness.Port(t)
		return options + harness.Site(port, fmt.Sprintf("\tapikey_inject %s {\n\t\tname X-Api-Key\n\t\tkey acme/prod\n\t\tallow anyone\n\t}", upstream.URL())),
			fmt.Sprintf("127.0.0.1:%d", port)
	}
	env := harness.Env("VAULT_ADDR="+proxy.Addr, "VAULT_TOKEN="+vault.Token, "ROLE_ID=role")
	stores := map[string]string{
		"token of the environment": "",
		"wrapped approle":          "{\n\tapikey_inject {\n\t\tstore vault {\n\t\t\tauth approle {\n\t\t\t\trole_id {env.ROLE_ID}\n\t\t\t\tsecret_id_file token\n\t\t\t\twrapped\n\t\t\t}\n\t\t}\n\t}\n}\n",
		"local":                    "{\n\tapikey_inject {\n\t\tstore local\n\t}\n}\n",
		"local with a file":        "{\n\tapikey_inject {\n\t\tstore local\n\t\tcatalog sqlite keys.db\n\t}\n}\n",
	}
	commands := map[string]func(testing.TB, string, ...harness.Option) harness.Result{"adapt": harness.Adapt, "validate": harness.Validate}
	for name, options := range stores {
		for command, run := range commands {
			t.Run(command+" "+name, func(t *testing.T) {
				home := t.TempDir()
				config, _ := site(options)
				if r := run(t, config, env, harness.Home(home)); r.Code != 0 {
					t.Fatalf("%+v", r)
				}
				if files := filesIn(t, home); !slices.Equal(files, []string{"Caddyfile"}) {
					t.Errorf("left files: %v", files)
				}
				if n := proxy.Count(""); n != 0 {
					t.Errorf("sent %d requests to Vault: %v", n, proxy.Seen())
				}
			})
		}
	}
	t.Run("run does, so both would be seen", func(t *testing.T) {
		home := t.TempDir()
		config, addr := site("")
		harness.StartCaddy(t, config, env, harness.Home(home))
		harness.Exchange(t, addr, nil, "GET / HTTP/1.1\r\nHost: "+addr+"\r\nConnection: close\r\n\r\n")
		if proxy.Count("/acme/prod") == 0 {
			t.Error("no read of the key was counted")
		}
		if len(filesIn(t, home)) < 2 {
			t.Error("no file was found beside the Caddyfile")
		}
	})
}

func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			files = append(files, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestAdaptedConfigIsWhatRuns loads each golden configuration into one Caddy
// and reads it back.
func TestAdaptedConfigIsWhatRuns(t *testing.T) {
	environment(t)
	port := harness.Port(t)
	vars := make([]string, 0, 10)
	for _, name := range []string{"VAULT_TOKEN", "VAULT_ADDR", "ROLE_ID", "SECRET_ID", "MOUNT", "DATABASE_URL", "OPS_TOKEN", "AGENTS_TOKEN", "WEBHOOK_SECRET", "SLACK_WEBHOOK", "TLS_CERTIFICATE", "TLS_KEY"} {
		vars = append(vars, name+"="+os.Getenv(name))
	}
	caddy := harness.StartCaddy(t, "{\n}\n", harness.Env(vars...))
	for name, source := range sources(t, "[^e]*") {
		t.Run(name, func(t *testing.T) {
			adapted, err := adapt(source)
			if err != nil {
				t.Fatal(err)
			}
			adapted = strings.NewReplacer(
				`":8080"`, fmt.Sprintf(`"127.0.0.1:%d"`, port),
				"/var/lib/caddy/", caddy.Home+"/",
				"{file.testdata/token}", "{env.VAULT_TOKEN}",
				// Eager stores need the Vault that these configurations name.
				`"startup": "eager"`, `"startup": "warm"`, `"startup":"eager"`, `"startup":"warm"`,
			).Replace(adapted)
			if err := caddy.Load(adapted); err != nil {
				t.Fatal(err)
			}
			if got := caddy.Config(""); !reflect.DeepEqual(decoded(t, got), decoded(t, adapted)) {
				t.Errorf("loaded:\n%s\nread back:\n%s", adapted, got)
			}
		})
	}
}

func decoded(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}
