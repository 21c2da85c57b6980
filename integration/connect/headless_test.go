package connect

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/browser"
	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// The example is started as it stands, and its comment followed.
func TestTheExampleOfAFormOfOnesOwn(t *testing.T) {
	t.Parallel()
	const token, canary = "app-token-of-the-example", "canary-61e0b2f3"
	dir := filepath.Join(harness.Root(t), "examples", "connect-headless")
	text, err := os.ReadFile(filepath.Join(dir, "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	up, port, site, api := harness.NewUpstream(t, nil), harness.Port(t), harness.Port(t), harness.Port(t)
	harness.StartCaddy(t, string(text), harness.Env("APP_TOKEN="+token, "ACME_URL="+up.URL()+"/v1", "PAGES="+dir,
		fmt.Sprintf("PORT=%d", port), fmt.Sprintf("CONNECT_PORT=%d", site), fmt.Sprintf("API_PORT=%d", api)))

	b := browser.New(t)
	product := fmt.Sprintf("http://localhost:%d/", port)
	b.Opens(product)
	b.Sees("label", "Acme API key")
	b.Clicks("#key")
	b.Eval(`document.querySelector("#key").value = "wrong\u0001key"`)
	b.Presses(browser.Enter)
	b.Sees("[role=status]", "API key has a control character")
	b.Eval(`document.querySelector("#key").select()`)
	b.Types(canary)
	b.Presses(browser.Enter)
	b.Sees("[role=status]", "Connected: ")
	b.Accessible("the page")
	b.Quiet(product, fmt.Sprintf("http://localhost:%d/", site))
	id := strings.TrimPrefix(b.Eval(`document.querySelector("[role=status]").textContent`), "Connected: ")

	m := regexp.MustCompile(`(?m)^#   (curl http://localhost:8082.*)$`).FindSubmatch(text)
	if m == nil {
		t.Fatal("the comment has no line with curl")
	}
	line := strings.Replace(string(m[1]), ":8082", fmt.Sprintf(":%d", api), 1)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", line+" --silent --show-error --fail-with-body")
	cmd.Env = append(os.Environ(), "APP_TOKEN="+token, "CONNECTION="+id)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v %s", line, err, out)
	}
	got := up.Only()
	if got.Method != http.MethodGet || got.Target != "/v1/invoices" || strings.Join(got.Values("X-Api-Key"), ", ") != canary {
		t.Errorf("arrived %s", got)
	}
}
