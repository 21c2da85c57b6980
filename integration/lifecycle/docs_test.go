package lifecycle

// This file pastes the commands of docs/keys.md into a shell, with Vault's own
// command line, and checks what may be done with the outcome.

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// shellBlock matches what a reader is told to paste.
var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// testName matches the tests that the table names.
var testName = regexp.MustCompile("`(Test[A-Za-z0-9]+)")

func TestTheCommandsOfTheKeysPageMakeARoleThatReadsOnly(t *testing.T) {
	t.Parallel()
	v := vaulttest.Start(t)
	page := readPage(t)
	dir := t.TempDir()
	if err := os.Symlink(vaulttest.Binary(t), filepath.Join(dir, "vault")); err != nil {
		t.Fatal(err)
	}
	blocks := shellBlock.FindAllStringSubmatch(page, -1)
	if len(blocks) != 7 { // one of them the management API's, one the Connect page's
		t.Fatalf("%d blocks of commands", len(blocks))
	}
	for _, b := range blocks {
		cmd := exec.Command("sh", "-e", "-c", b[1])
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "HOME=" + dir, "VAULT_ADDR=" + v.Addr, "VAULT_TOKEN=" + v.Token}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s\n%v\n%s", b[1], err, out)
		}
	}
	v.Put("acme/prod", map[string]any{"apiKey": "key-acme"})
	v.Put("others/1", map[string]any{"apiKey": "not-ours"})

	roleID, wrapped := content(t, dir, "role_id"), content(t, dir, "wrapped_secret_id")
	if wrapped == "" || content(t, dir, "secret_id") == "" {
		t.Fatal("an empty credential")
	}
	token := v.Do(http.MethodPost, "auth/approle/login", map[string]any{
		"role_id": roleID, "secret_id": content(t, dir, "secret_id"),
	})["auth"].(map[string]any)["client_token"].(string)
	for call, want := range map[string]int{
		"GET secret/data/acme/prod":         http.StatusOK,
		"GET sys/internal/ui/mounts/secret": http.StatusOK,
		"GET secret/data/customers/one":     http.StatusNotFound,
		"GET secret/data/others/1":          http.StatusForbidden,
		"POST secret/data/acme/prod":        http.StatusForbidden,
		"DELETE secret/data/acme/prod":      http.StatusForbidden,
		"GET secret/metadata/acme/prod":     http.StatusForbidden,
		"LIST secret/metadata/acme":         http.StatusForbidden,
		"DELETE secret/metadata/acme/prod":  http.StatusForbidden,
	} {
		method, path, _ := strings.Cut(call, " ")
		var body bytes.Buffer
		if method == http.MethodPost {
			body.WriteString(`{"data":{"apiKey":"stolen"}}`)
		}
		req, err := http.NewRequestWithContext(t.Context(), method, v.Addr+"/v1/"+path, &body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Vault-Token", token)
		r, err := send(http.DefaultClient, req)
		if err != nil {
			t.Fatal(err)
		}
		if r.Status != want {
			t.Errorf("%s: %d, want %d", call, r.Status, want)
		}
	}

	// The page's own configuration, with our address and files.
	st := coldStand(t, v, settings{})
	s := settings{
		auth:  "approle {\n\t\t\t\trole_id {file." + filepath.Join(dir, "role_id") + "}\n\t\t\t\tsecret_id_file " + filepath.Join(dir, "secret_id") + "\n\t\t\t}",
		extra: "\tapikey_inject /acme " + st.up.URL() + " {\n\t\tname X-Api-Key\n\t\tkey acme/prod\n\t\tallow anyone\n\t}\n",
	}
	st.start(s)
	st.until("/acme", "", "key-acme", wait)
}

func TestTheKeysPageNamesTestsThatAreThere(t *testing.T) {
	t.Parallel()
	var sources strings.Builder
	for _, pattern := range []string{"internal/*/*_test.go", "integration/*_test.go", "integration/*/*_test.go"} {
		files, err := filepath.Glob(filepath.Join(harness.Root(t), pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			sources.Write(b)
		}
	}
	named := testName.FindAllStringSubmatch(readPage(t), -1)
	if len(named) < 40 {
		t.Fatalf("only %d tests are named", len(named))
	}
	for _, m := range named {
		if !strings.Contains(sources.String(), "func "+m[1]) {
			t.Errorf("%s is named and not there", m[1])
		}
	}
}

func readPage(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(harness.Root(t), "docs", "keys.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func content(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}
