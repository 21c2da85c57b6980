// The examples of the API and the gateway, called as their comments say.

package integration

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/pgtest"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

const opsToken, agentsToken = "ops-token-of-the-examples", "agents-token-of-the-examples"

// apiEnvironment is what the examples of the API run with, beside what all do.
func (x *exampleRun) apiEnvironment() []string {
	return append(x.environment(), "OPS_TOKEN="+opsToken, "AGENTS_TOKEN="+agentsToken, "EGRESS_ALLOW=127.0.0.1")
}

// gatewayOnOneNode runs the script of the API against the local store.
func gatewayOnOneNode(t *testing.T) {
	x := newExampleRun(t, nil)
	text := read(t, "gateway.caddyfile")
	harness.StartCaddy(t, text, harness.Env(x.apiEnvironment()...))
	x.apiScript(t)
	x.callsGateway(t, text)
}

// gatewayOnTwoNodes runs the script against one node, and calls the other. The
// roles are those of the pages that the example names.
func gatewayOnTwoNodes(t *testing.T, vault *vaulttest.Server) {
	policies := pagePolicies(t)
	for name, rules := range policies {
		vault.Policy(name, rules)
	}
	roleID, secretID := vault.AppRole("gateway", strings.Join(slices.Sorted(maps.Keys(policies)), ","), nil)
	first := newExampleRun(t, nil)
	second := &exampleRun{upstream: first.upstream, port: harness.Port(t), dir: first.dir}
	env := []string{
		fmt.Sprintf("VAULT_1=http://127.0.0.1:%d", harness.Port(t)), "VAULT_2=" + vault.Addr, // the first is away
		"ROLE_ID=" + roleID, "SECRET_ID_FILE=" + first.file(t, "secret_id", secretID), "DATABASE_URL=" + pageDatabase(t),
	}
	text := read(t, "gateway-vault-postgres.caddyfile")
	for _, node := range []*exampleRun{first, second} {
		harness.StartCaddy(t, text, harness.Env(append(node.apiEnvironment(), env...)...))
	}
	first.apiScript(t)
	changed := time.Now()
	until(t, "the change on the other node", 10*time.Second, func() bool {
		status, _ := second.gateway(t)
		return status == http.StatusOK
	})
	// A second, and what two processes need on a busy machine.
	if d := time.Since(changed); d > 3*time.Second {
		t.Errorf("the other node knew the change after %s", d)
	}
	second.callsGateway(t, text)
}

// apiScript runs examples/api.sh with a key on its standard input, and checks
// what arrived.
func (x *exampleRun) apiScript(t *testing.T) {
	t.Helper()
	x.upstream.Forget()
	cmd := exec.Command("sh", filepath.Join(harness.Root(t), "examples", "api.sh")) //nolint:gosec // one of our own examples
	cmd.Env = append(append(os.Environ(), x.apiEnvironment()...), fmt.Sprintf("API=http://localhost:%d", x.port))
	cmd.Stdin = strings.NewReader("key-of-customer-7\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("api.sh: %v\n%s", err, out)
	}
	if strings.Contains(string(out), "key-of-customer-7") {
		t.Errorf("the script printed the key:\n%s", out)
	}
	checkArrival(t, x.upstream.Only(), arrival{"GET /v1/invoices?open=true", "Authorization: Bearer key-of-customer-7", agentsToken})
}

// callsGateway runs the one curl line of an example's comment.
func (x *exampleRun) callsGateway(t *testing.T, text string) {
	t.Helper()
	lines := curlLines(text)
	if len(lines) != 1 {
		t.Fatalf("the comment has %d curl lines", len(lines))
	}
	x.upstream.Forget()
	x.curl(t, strings.ReplaceAll(lines[0], "$AGENTS_TOKEN", agentsToken))
	checkArrival(t, x.upstream.Only(), arrival{"GET /v1/invoices", "Authorization: Bearer key-of-customer-7", agentsToken})
	if status, code := x.gateway(t, "Provider-Config-Key: other"); status != http.StatusForbidden || code != "forbidden" {
		t.Errorf("another integration with the token of agents: %d %s", status, code)
	}
}

// gateway calls through the gateway with the token of agents. Lines replace
// headers.
func (x *exampleRun) gateway(t *testing.T, lines ...string) (status int, code string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://localhost:%d/proxy/invoices", x.port), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range append([]string{"Authorization: Bearer " + agentsToken, "Provider-Config-Key: acme-internal", "Connection-Id: customer-7"}, lines...) {
		name, value, _ := strings.Cut(l, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode, res.Header.Get("Apikey-Inject-Error")
}

// page returns a page of docs.
func page(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(harness.Root(t), "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// pagePolicies returns the policies of docs/keys.md by their names.
func pagePolicies(t *testing.T) map[string]string {
	t.Helper()
	found := regexp.MustCompile(`(?s)vault policy write (\S+) - <<'EOF'\n(.*?)EOF\n`).FindAllStringSubmatch(page(t, "keys.md"), -1)
	policies := make(map[string]string, len(found))
	for _, m := range found {
		policies[m[1]] = m[2]
	}
	if policies["caddy-proxy"] == "" || policies["caddy-api"] == "" {
		t.Fatalf("docs/keys.md has the policies %q, want the proxy's and the API's", slices.Sorted(maps.Keys(policies)))
	}
	return policies
}

// pageDatabase makes what docs/multi-node.md tells an administrator to make,
// and returns the URL that a node then uses.
func pageDatabase(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile("(?s)```sql\n(.*?)```").FindStringSubmatch(page(t, "multi-node.md"))
	if m == nil {
		t.Fatal("docs/multi-node.md has no SQL")
	}
	admin := pgtest.Database(t)
	pgtest.Exec(t, admin, m[1])
	t.Cleanup(func() { pgtest.Exec(t, admin, "DROP OWNED BY caddy; DROP ROLE caddy") })
	url := regexp.MustCompile("//[^@]*@").ReplaceAllString(admin, "//caddy:change-me@")
	if !strings.Contains(m[1], "'change-me'") {
		t.Fatal("the password of the page is another one")
	}
	return url
}
