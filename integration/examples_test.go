// Every example is started as it stands, and called as its opening comment
// says.

package integration

import (
	"bytes"
	"crypto/x509/pkix"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// example is how one of the examples is tried.
type example struct {
	file string

	// env adds to VAULT_ADDR, VAULT_TOKEN, PORT and the upstream's URL.
	env func(t *testing.T, x *exampleRun) []string

	// arrives lists, for each curl line of the comment, the request line and a
	// header line that the upstream must have got, and one that it must not.
	arrives []arrival

	// after looks at what is left. May be nil.
	after func(t *testing.T, x *exampleRun)
}

type arrival struct{ requestLine, header, not string }

// exampleRun is what an example runs beside.
type exampleRun struct {
	vault    *vaulttest.Server
	upstream *harness.Upstream
	port     int
	dir      string // holds what the comment calls server.pem and so on
}

func TestExamples(t *testing.T) {
	vault := vaulttest.Start(t)
	for path, key := range map[string]string{
		"acme/prod": "acme key+", "weather/prod": "weather/key", "ai/openai": "sk-real", "customers/acme/crm": "crm-of-acme",
	} {
		vault.Put(path, map[string]any{"apiKey": key})
	}
	examples := []example{
		{file: "header.caddyfile", arrives: []arrival{{"GET /v1/invoices?open=true", "X-Api-Key: acme key+", "Authorization"}}},
		{file: "query.caddyfile", arrives: []arrival{{"GET /v2/forecast?q=Oslo%2CNO&appid=weather%2Fkey", "", "X-Api-Key"}}},
		{file: "named.caddyfile", arrives: []arrival{
			{"GET /v1/invoices", "Authorization: Api-Key acme key+", "X-Api-Key"},
			{"GET /v1/summary", "Authorization: Api-Key acme key+", "X-Api-Key"},
		}},
		{file: "per-customer.caddyfile", arrives: []arrival{{"GET /contacts", "X-Api-Key: crm-of-acme", "Authorization"}}},
		{file: "audit.caddyfile", env: auditFile, after: audited, arrives: []arrival{
			{"GET /v1/invoices", "X-Api-Key: acme key+", "Authorization"},
			{"GET /v1/health", "X-Api-Key: acme key+", "Authorization"},
		}},
		{file: "approle.caddyfile", env: appRole, arrives: []arrival{{"GET /v1/invoices", "X-Api-Key: acme key+", "Authorization"}}},
		{file: "ai-agents.caddyfile", env: agents, arrives: []arrival{{"POST /v1/chat/completions", "Authorization: Bearer sk-real", "Bearer unused"}}},
	}
	for _, e := range examples {
		t.Run(e.file, func(t *testing.T) { e.run(t, vault) })
	}
	t.Run("admin-api.sh", func(t *testing.T) { adminAPI(t, vault) })
	t.Run("local.caddyfile", local)
	t.Run("gateway.caddyfile and api.sh", gatewayOnOneNode)
	t.Run("alerts.caddyfile", alerted)
	t.Run("gateway-vault-postgres.caddyfile and api.sh", func(t *testing.T) { gatewayOnTwoNodes(t, vault) })
	t.Run("none is left out", func(t *testing.T) {
		files, err := os.ReadDir(filepath.Join(harness.Root(t), "examples"))
		if err != nil {
			t.Fatal(err)
		}
		if want := len(examples) + 9; len(files) != want { // those of connect-headless, grafana and prometheus are tried elsewhere
			t.Errorf("%d files in examples, %d are tried", len(files), want)
		}
	})
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(harness.Root(t), "examples", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func newExampleRun(t *testing.T, vault *vaulttest.Server) *exampleRun {
	return &exampleRun{vault: vault, upstream: harness.NewUpstream(t, nil), port: harness.Port(t), dir: t.TempDir()}
}

func (x *exampleRun) environment() []string {
	env := []string{fmt.Sprintf("PORT=%d", x.port)}
	if x.vault != nil {
		env = append(env, "VAULT_ADDR="+x.vault.Addr, "VAULT_TOKEN="+x.vault.Token)
	}
	for _, name := range []string{"ACME_URL", "WEATHER_URL", "CRM_URL", "OPENAI_URL"} {
		path := map[string]string{"ACME_URL": "/v1", "WEATHER_URL": "/v2", "OPENAI_URL": "/v1"}[name]
		env = append(env, name+"="+x.upstream.URL()+path)
	}
	return env
}

func (e example) run(t *testing.T, vault *vaulttest.Server) {
	text := read(t, e.file)
	x := newExampleRun(t, vault)
	env := x.environment()
	if e.env != nil {
		env = append(env, e.env(t, x)...)
	}
	lines := curlLines(text)
	if len(lines) != len(e.arrives) {
		t.Fatalf("the comment has %d curl lines, %d are expected", len(lines), len(e.arrives))
	}
	harness.StartCaddy(t, text, harness.Env(env...))
	for i, line := range lines {
		x.upstream.Forget()
		x.curl(t, line)
		checkArrival(t, x.upstream.Only(), e.arrives[i])
	}
	if e.after != nil {
		e.after(t, x)
	}
}

func checkArrival(t *testing.T, got *harness.Request, want arrival) {
	t.Helper()
	if line := got.Method + " " + got.Target; line != want.requestLine {
		t.Errorf("arrived %q, want %q", line, want.requestLine)
	}
	head := string(got.Head)
	if want.header != "" && strings.Count(head, "\n"+want.header+"\r\n") != 1 {
		t.Errorf("arrived without one %q:\n%s", want.header, head)
	}
	if want.not != "" && strings.Contains(head, want.not) {
		t.Errorf("arrived with %q:\n%s", want.not, head)
	}
}

var curlLine = regexp.MustCompile(`(?m)^#   (curl .*)$`)

// curlLines returns the commands to call an example with.
func curlLines(text string) []string {
	matches := curlLine.FindAllStringSubmatch(text, -1)
	lines := make([]string, len(matches))
	for i, m := range matches {
		lines[i] = m[1]
	}
	return lines
}

// curl runs a line of a comment, on the port that this run has.
func (x *exampleRun) curl(t *testing.T, line string) string {
	t.Helper()
	for _, port := range []string{":8080", ":8443"} {
		line = strings.Replace(line, port, fmt.Sprintf(":%d", x.port), 1)
	}
	cmd := exec.Command("sh", "-c", strings.Replace(line, "curl ", "curl -sS --fail-with-body ", 1)) //nolint:gosec // a line of our own examples
	cmd.Dir = x.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

func auditFile(_ *testing.T, x *exampleRun) []string {
	return []string{"AUDIT_LOG=" + filepath.Join(x.dir, "audit.log")}
}

// audited finds the one audited call in the file.
func audited(t *testing.T, x *exampleRun) {
	var text []byte
	until(t, "a line in the audit", 5*time.Second, func() bool {
		text, _ = os.ReadFile(filepath.Join(x.dir, "audit.log"))
		return bytes.HasSuffix(text, []byte("\n"))
	})
	for _, want := range []string{`"caller":"billing"`, `"integration":"acme-internal"`, `"key_version":1`, `"path":"/acme/invoices"`, `"outcome":"injected"`} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("the audit lacks %s: %s", want, text)
		}
	}
	if n := bytes.Count(text, []byte("\n")); n != 1 {
		t.Errorf("%d lines in the audit, want 1: %s", n, text)
	}
}

// appRole makes the role that the AppRole example logs in with, at a Vault that
// speaks TLS and is the second of two addresses.
func appRole(t *testing.T, x *exampleRun) []string {
	vault := vaulttest.StartTLS(t)
	vault.Put("acme/prod", map[string]any{"apiKey": "acme key+"})
	vault.Policy("keys", `path "secret/data/*" { capabilities = ["read"] }`)
	roleID, secretID := vault.AppRole("caddy", "keys", nil)
	return []string{
		"VAULT_ADDR=", "VAULT_TOKEN=",
		fmt.Sprintf("VAULT_1=https://127.0.0.1:%d", harness.Port(t)), "VAULT_2=" + vault.Addr, "VAULT_CA=" + vault.CACert,
		"ROLE_ID=" + roleID, "SECRET_ID_FILE=" + x.file(t, "secret_id", secretID),
	}
}

// agents makes the certificates of the AI agents' example, and lets the
// upstream stream.
func agents(t *testing.T, x *exampleRun) []string {
	ca := harness.NewCA(t)
	server, agent := ca.Server(), ca.Client(pkix.Name{CommonName: "research"})
	for name, from := range map[string]string{"ca.pem": ca.File, "agent.pem": agent.CertFile, "agent.key": agent.KeyFile} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		x.file(t, name, string(b))
	}
	x.upstream.Answer(func(*harness.Request) harness.Answer {
		events := make(chan string, 2)
		events <- "data: one\n\n"
		events <- "data: two\n\n"
		close(events)
		return harness.Stream(200, events, "Content-Type: text/event-stream")
	})
	return []string{"CERT=" + server.CertFile, "CERT_KEY=" + server.KeyFile, "AGENTS_CA=" + ca.File}
}

// file writes a file that the commands of a comment find.
func (x *exampleRun) file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(x.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// adminAPI runs the script against a Caddy that has no configuration.
func adminAPI(t *testing.T, vault *vaulttest.Server) {
	x := newExampleRun(t, vault)
	caddy := harness.StartCaddy(t, "{}", harness.Env(x.environment()...))
	text := read(t, "admin-api.sh")
	lines := curlLines(text)
	if len(lines) != 1 {
		t.Fatalf("the comment has %d curl lines", len(lines))
	}
	// The script is stopped before its PATCH, to see what was before it.
	load, _, ok := strings.Cut(text, "\ncurl -fsS -X PATCH")
	if !ok {
		t.Fatal("the script has no PATCH")
	}
	x.script(t, caddy, load)
	x.curl(t, lines[0])
	checkArrival(t, x.upstream.Only(), arrival{"GET /v1/invoices", "Authorization: Api-Key acme key+", "X-Api-Key"})

	x.upstream.Forget()
	x.script(t, caddy, text)
	x.curl(t, lines[0])
	checkArrival(t, x.upstream.Only(), arrival{"GET /v1/invoices", "Authorization: Bearer acme key+", "X-Api-Key"})
}

func (x *exampleRun) script(t *testing.T, caddy *harness.Caddy, text string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", text) //nolint:gosec // one of our own examples
	cmd.Env = append(append(os.Environ(), x.environment()...), "ADMIN="+caddy.Admin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("admin-api.sh: %v\n%s", err, out)
	}
}

// local sets the key of the local store with the command of the comment.
func local(t *testing.T) {
	x := newExampleRun(t, nil)
	text := read(t, "local.caddyfile")
	caddy := harness.StartCaddy(t, text, harness.Env(x.environment()...))
	const command = "#   caddy apikey-inject set acme/prod < key.txt\n"
	if !strings.Contains(text, command) {
		t.Fatalf("the comment lacks %q", command)
	}
	address := strings.TrimPrefix(caddy.Admin, "http://")
	if res := caddy.Run("local-key\n", "apikey-inject", "set", "acme/prod", "--address", address); res.Code != 0 {
		t.Fatalf("set: %+v", res)
	}
	x.curl(t, curlLines(text)[0])
	checkArrival(t, x.upstream.Only(), arrival{"GET /v1/invoices", "X-Api-Key: local-key", "Authorization"})
}
