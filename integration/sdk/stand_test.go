// Package sdk drives Caddy with a client of Nango's API that knows nothing of
// it: Nango's own SDK for Node, unmodified, from npm.
package sdk

// This file holds the stands, and how the script that uses the SDK is run.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/pgtest"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// token may do everything.
const token = "ops-token-4d19"

// keys are what the script enters, by its names for them. In another encoding
// each of them looks different.
var keys = map[string]string{
	"first": "first+key/41c0==", "second": "second+key/9d77==", "query": "query+key/e2a5==", "odd": "odd+key/5b13==",
	"fixed": "fixed+key/3fa8==", "unnamed": "unnamed+key/77f0==", "again": "again+key/c3d9==", "rotated": "rotated+key/0a6e==", "refused": "refused+key/18bb==",
}

// stand is a Caddy with the API, and the SDK in front of it.
type stand struct {
	t   *testing.T
	up  *harness.Upstream
	url string // of Caddy
	tap *tap
}

// stands are the combinations of a store of keys and a catalog.
var stands = map[string]func(*testing.T) *stand{
	"vault and postgres": func(t *testing.T) *stand {
		v := vaulttest.Start(t)
		return newStand(t, "store vault {\n\t\t\taddress "+v.Addr+"\n\t\t\tauth token {env.VT}\n\t\t}\n\t\tcatalog postgres {env.DATABASE_URL}",
			"VT="+v.Token, "DATABASE_URL="+pgtest.Database(t))
	},
	"local and sqlite": func(t *testing.T) *stand { return newStand(t, "store local") },
}

func newStand(t *testing.T, stores string, env ...string) *stand {
	t.Helper()
	s := &stand{t: t, up: harness.NewUpstream(t, nil)}
	s.up.Answer(answers())
	port := harness.Port(t)
	s.url = "http://127.0.0.1:" + strconv.Itoa(port)
	// An integration of the configuration is there as well.
	fixed := "integration fixed " + s.up.URL() + " {\n\t\t\tname X-Api-Key\n\t\t\tforward_credentials\n\t\t\tinsecure_http\n\t\t}"
	harness.StartCaddy(t, fmt.Sprintf("{\n\tapikey_inject {\n\t\t%s\n\t\t%s\n\t\tegress {\n\t\t\tallow 127.0.0.1\n\t\t}\n\t}\n}\n%s", stores, fixed,
		harness.Site(port, "\tapikey_inject_api {\n\t\ttoken ops {env.OPS}\n\t\tbase_url_override acme-internal "+s.up.Addr()+"\n\t}")),
		harness.Env(append(env, "OPS="+token)...))
	s.tap = newTap(t, s.url)
	return s
}

// answers are the upstream's. What was asked for is in none of them, since in
// one placement the key is a part of that.
func answers() func(*harness.Request) harness.Answer {
	asked := map[string]int{}
	return func(r *harness.Request) harness.Answer {
		path, _, _ := strings.Cut(r.Target, "?")
		asked[path]++ // one request at a time: the script waits for each answer
		switch {
		case path == "/v1/down", path == "/v1/busy" && asked[path] < 3:
			return harness.Text(503, `{"error":"busy"}`, "Content-Type: application/json")
		case path == "/v1/limited" && asked[path] < 2:
			return harness.Text(429, "", "Retry-After: 1")
		case path == "/v1/teapot" && asked[path] < 2:
			return harness.Text(418, "")
		case path == "/v1/absent":
			return harness.Text(404, `{"error":"no such user"}`, "Content-Type: application/json", "X-Upstream: yes")
		case path == "/v1/bytes":
			return harness.Text(200, "\x00\xff\x80", "Content-Type: application/octet-stream")
		}
		return harness.Text(200, `{"ok":true}`, "Content-Type: application/json", "X-Upstream: yes")
	}
}

// do sends a request as the operator, past the tap.
func (s *stand) do(method, path string) []byte {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := harness.HTTP1Client(s.t, nil).Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		s.t.Fatalf("%s %s: %d %s %v", method, path, res.StatusCode, b, err)
	}
	return b
}

// drive runs the script, and returns what it printed.
func (s *stand) drive() []byte {
	s.t.Helper()
	if _, err := os.Stat("node_modules/@nangohq/node"); err != nil {
		s.t.Fatal("the SDK is not installed: run tools/make/sdk.sh, as make test does")
	}
	list, err := json.Marshal(keys)
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.CommandContext(s.t.Context(), "node", "drive.js")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOST=" + s.tap.url, "TOKEN=" + token, "UPSTREAM=" + s.up.URL(), "KEYS=" + string(list)}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("the script ended early: %v\n%s\nIts steps:\n%s", err, stderr.Bytes(), stdout.Bytes())
	}
	return stdout.Bytes()
}

// curlOfThePage is what Nango's page on this provider gives for the shell.
const curlOfThePage = `curl -X POST 'https://api.nango.dev/integrations' \
  -H 'Authorization: Bearer <NANGO-API-KEY>' \
  -H 'Content-Type: application/json' \
  -d '{
    "provider": "private-api-generic",
    "unique_key": "acme-internal",
    "display_name": "Acme Internal API",
    "integration_config": {
      "baseUrl": "https://api.acme.com",
      "keyPlacement": "header",
      "keyName": "Authorization",
      "valueTemplate": "Api-Key ${apiKey}",
      "keyLabel": "Acme API Key"
    }
  }'`

// curl runs that with another host and token, and returns the answer.
func (s *stand) curl() []byte {
	s.t.Helper()
	line := strings.NewReplacer("https://api.nango.dev", s.tap.url, "<NANGO-API-KEY>", token).Replace(curlOfThePage)
	cmd := exec.CommandContext(s.t.Context(), "sh", "-c", line+" --silent --show-error --fail-with-body")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("curl: %v %s\n%s", err, stderr.Bytes(), out)
	}
	return out
}
