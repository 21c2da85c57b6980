// The pages below docs, pasted.

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// TestTheCommandsOfTheAPIPage pastes the page's commands, one after the other,
// into one shell. Any of them that is refused ends it.
func TestTheCommandsOfTheAPIPage(t *testing.T) {
	x := newExampleRun(t, nil)
	harness.StartCaddy(t, read(t, "gateway.caddyfile"), harness.Env(x.apiEnvironment()...))
	var script strings.Builder
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(page(t, "api.md"), -1) {
		script.WriteString(block[1] + "echo\n")
	}
	text := strings.ReplaceAll(script.String(), "https://api.acme.com", x.upstream.URL())
	cmd := exec.Command("sh", "-e", "-c", text) //nolint:gosec // a page of our own
	cmd.Env = append(append(os.Environ(), x.apiEnvironment()...), fmt.Sprintf("API=http://localhost:%d", x.port))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, key := range []string{"key-of-customer-7", "next-key-of-customer-7"} {
		if strings.Contains(string(out), key) {
			t.Errorf("an answer holds %s:\n%s", key, out)
		}
	}
	checkArrival(t, x.upstream.Only(), arrival{"GET /v1/invoices?open=true", "Authorization: Bearer key-of-customer-7", agentsToken})
	for _, want := range []string{`"key_version":2`, `"display_name":"Acme"`, `"confirmed":0`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the answers lack %s:\n%s", want, out)
		}
	}
}

// TestConfigurationsOfThePagesAdapt adapts every Caddyfile of every page.
func TestConfigurationsOfThePagesAdapt(t *testing.T) {
	for _, name := range []string{"alerts.md", "api.md", "connect.md", "dashboard.md", "observability.md", "multi-node.md", "egress.md", "keys.md", "local.md"} {
		blocks := regexp.MustCompile("(?s)```caddyfile\n(.*?)```").FindAllStringSubmatch(page(t, name), -1)
		for n, block := range blocks {
			if res := harness.Adapt(t, block[1]); res.Code != 0 {
				t.Errorf("%s, block %d: %s", name, n, res.Stderr)
			}
		}
	}
}
