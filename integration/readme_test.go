// The README's own configurations, pasted.

package integration

import (
	"fmt"
	"net/http"
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

// readmeBlock returns the n-th fenced block of that language, from 0.
func readmeBlock(t *testing.T, language string, n int) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(harness.Root(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(b), -1)
	if len(blocks) <= n {
		t.Fatalf("the README has %d %s blocks", len(blocks), language)
	}
	return blocks[n][1]
}

// TestReadmePasted runs the first Caddyfile and the first JSON of the README
// against a real Vault: the key is injected for the caller it names and for no
// other, and a new value in Vault is used within the ttl, without a reload.
func TestReadmePasted(t *testing.T) {
	vault := vaulttest.Start(t)
	for _, language := range []string{"caddyfile", "json"} {
		t.Run(language, func(t *testing.T) {
			vault.Put("acme/prod", map[string]any{"apiKey": "first"})
			up := harness.NewUpstream(t, nil)
			port := harness.Port(t)
			config := readmeBlock(t, language, 0)
			for old, replacement := range map[string]string{
				"https://api.acme.com": up.URL(), ":8080": fmt.Sprintf(":%d", port),
				// The test does not wait for a minute; that the value is used
				// within the ttl is asserted all the same.
				"ttl 1m": "ttl 2s", `"ttl": "1m"`: `"ttl": "2s"`,
			} {
				if strings.Contains(config, old) {
					config = strings.ReplaceAll(config, old, replacement)
				}
			}
			harness.StartCaddy(t, config, harness.Env("VAULT_ADDR="+vault.Addr, "VAULT_TOKEN="+vault.Token))
			call := func(user string) int {
				req, _ := http.NewRequest(http.MethodGet, fmt.Sprintf("http://localhost:%d/acme/users", port), nil)
				req.SetBasicAuth(user, "hiccup")
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = res.Body.Close()
				return res.StatusCode
			}
			if status := call("billing"); status != http.StatusOK {
				t.Fatalf("status %d", status)
			}
			checkArrival(t, up.Only(), arrival{"GET /v1/users", "Authorization: Api-Key first", "Basic"})
			if status := call("mallory"); status != http.StatusUnauthorized || up.Hits() != 1 {
				t.Errorf("another caller: status %d, %d hits", status, up.Hits())
			}

			vault.Put("acme/prod", map[string]any{"apiKey": "second"})
			changed := time.Now()
			for {
				up.Forget()
				call("billing")
				if got := up.Only().Values("Authorization"); len(got) == 1 && got[0] == "Api-Key second" {
					break
				}
				// The ttl, and the time of one read on a busy machine.
				if time.Since(changed) > 2500*time.Millisecond {
					t.Fatal("the new value is not used within the ttl")
				}
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
}

// TestReadmeCommandsOfTheAPI pastes the README's commands of the API, with a
// Caddy of its example and tokens of our own.
func TestReadmeCommandsOfTheAPI(t *testing.T) {
	x := newExampleRun(t, nil)
	harness.StartCaddy(t, read(t, "gateway.caddyfile"), harness.Env(x.apiEnvironment()...))
	const start = "./caddy start --config examples/gateway.caddyfile\n"
	_, text, ok := strings.Cut(readmeBlock(t, "sh", 4), start)
	if !ok {
		t.Fatalf("the block does not begin with %q", start)
	}
	for old, replacement := range map[string]string{
		"https://api.acme.com": x.upstream.URL(), ":8080": fmt.Sprintf(":%d", x.port), "curl ": "curl -fsS ",
	} {
		text = strings.ReplaceAll(text, old, replacement)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", text) //nolint:gosec // a page of our own
	cmd.Env = append(os.Environ(), x.apiEnvironment()...)
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "key-of-customer-7") {
		t.Fatalf("%v\n%s", err, out)
	}
	checkArrival(t, x.upstream.Only(), arrival{"GET /v1/users", "Authorization: Api-Key key-of-customer-7", agentsToken})
}

// TestReadmeConfigurationsAdapt adapts every Caddyfile of the README, those of
// the comparison included.
func TestReadmeConfigurationsAdapt(t *testing.T) {
	for n := range 3 {
		if res := harness.Adapt(t, readmeBlock(t, "caddyfile", n)); res.Code != 0 {
			t.Errorf("block %d: %s", n, res.Stderr)
		}
	}
}
