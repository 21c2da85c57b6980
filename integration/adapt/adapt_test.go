// The Caddyfile's syntax, as golden files: a Caddyfile, a line of dashes, and
// the JSON it becomes or the error it gets.
//
// In a file with an error the wrong word's line ends in "# wrong", or the line
// above it says "# wrong below". A file that plants the canary must get an error without it.

// Package adapt tests what configurations become, and how wrong ones are
// answered. It runs in one process and opens no port.
package adapt

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/apikeyinject/caddy-apikey-inject"
	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

const (
	separator = "\n----------\n"
	canary    = "canary-5f2b91"
)

var update = flag.Bool("update", false, "write what is there now into the golden files")

// environment is what Caddyfiles and stores of these tests see.
func environment(t testing.TB) {
	t.Helper()
	home := t.TempDir()
	cert := harness.NewCA(t).Client(pkix.Name{CommonName: "caddy"})
	for name, value := range map[string]string{
		"CANARY": canary, "VAULT_TOKEN": "t", "VAULT_ADDR": "http://127.0.0.1:1", "ROLE_ID": "r", "SECRET_ID": "s",
		"MOUNT": "kv-of-env", "DATABASE_URL": "postgres://127.0.0.1:1/none", "OPS_TOKEN": "o", "AGENTS_TOKEN": "a", "WEBHOOK_SECRET": "sixteen bytes...", "SLACK_WEBHOOK": "https://hooks.slack.example/services/T0/B0/x", "TLS_CERTIFICATE": cert.CertFile, "TLS_KEY": cert.KeyFile,
		"XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home,
	} {
		t.Setenv(name, value)
	}
}

// adapt turns a Caddyfile into indented JSON.
func adapt(text string) (string, error) {
	raw, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "\t"); err != nil {
		return "", err
	}
	return out.String(), nil
}

// validate loads and provisions a configuration, and starts nothing. No admin
// endpoint, no log of its own, and nothing saved.
func validate(config string) error {
	var c caddy.Config
	if err := caddy.StrictUnmarshalJSON([]byte(config), &c); err != nil {
		return err
	}
	c.Admin = &caddy.AdminConfig{Disabled: true}
	c.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		"default": {BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(`{"output":"discard"}`)}},
	}}
	return caddy.Validate(&c)
}

func TestCaddyfiles(t *testing.T) {
	environment(t)
	files, err := filepath.Glob("*.caddyfiletest")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 100 {
		t.Fatalf("found %d golden files; some are missing", len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(file, ".caddyfiletest"), func(t *testing.T) { golden(t, file) })
	}
}

func golden(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	source, want, ok := strings.Cut(string(data), separator)
	if !ok {
		t.Fatalf("has no line %q", strings.TrimSpace(separator))
	}
	source += "\n"
	if formatted := caddyfile.Format([]byte(source)); string(formatted) != source {
		t.Errorf("is not as caddy fmt would write it:\n%s", formatted)
	}
	got, err := adapt(source)
	wrong := strings.HasPrefix(file, "error_")
	if wrong != (err != nil) {
		t.Fatalf("error_ is the prefix of files with an error, and of no others; got %v", err)
	}
	if err != nil {
		got = err.Error()
		checkError(t, source, got)
	} else if err := validate(got); err != nil {
		t.Errorf("adapts, and is then refused: %v", err)
	}
	if *update {
		if err := os.WriteFile(file, []byte(source[:len(source)-1]+separator+got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got+"\n" != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// checkError holds every error to what an operator needs: one line, the file,
// the line of the wrong word, the directive, and no secret.
func checkError(t *testing.T, source, text string) {
	t.Helper()
	if strings.ContainsAny(text, "\r\n") {
		t.Errorf("the error has several lines: %q", text)
	}
	if strings.Contains(text, canary) {
		t.Errorf("the error holds the canary: %s", text)
	}
	if !strings.Contains(text, "apikey_inject") {
		t.Errorf("the error does not name the directive: %s", text)
	}
	line := 0
	for i, l := range strings.Split(source, "\n") {
		switch {
		case strings.HasSuffix(l, "# wrong below"):
			line = i + 2
		case strings.HasSuffix(l, "# wrong"):
			line = i + 1
		}
	}
	if at := fmt.Sprintf("at Caddyfile:%d", line); !strings.Contains(text+" ", at+" ") {
		t.Errorf("want the place %q in: %s", at, text)
	}
}
