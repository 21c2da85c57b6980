package connect

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/pgtest"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// A Caddy of its own has the page, and the role that docs/keys.md gives it.
func TestThePageNeedsNoPermissionToReadKeys(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(harness.Root(t), "docs", "keys.md"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?s)vault policy write caddy-connect - <<'EOF'\n(.*?)EOF\n`).FindSubmatch(page)
	if m == nil {
		t.Fatal("docs/keys.md has no policy caddy-connect")
	}
	vault, database := vaulttest.Start(t), pgtest.Database(t)
	vault.Policy("caddy-connect", string(m[1]))
	role := vault.NewToken(time.Hour, "caddy-connect")

	r := startRig(t, vault, harness.NewUpstream(t, nil), setting{catalog: database}) // has the API and the gateway
	r.verified("acme")
	r.onlyTakes("key-2")
	site := harness.Port(t)
	connect := harness.StartCaddy(t, fmt.Sprintf("{\n\tapikey_inject {\n\t\tstore vault {\n\t\t\taddress %s\n\t\t\tauth token {env.VT}\n\t\t}\n\t\tcatalog postgres {env.DB}\n\t\tegress {\n\t\t\tallow 127.0.0.1\n\t\t}\n\t}\n}\n%s",
		vault.Addr, harness.Site(site, "\tapikey_inject_connect\n")), harness.Env("VT="+role, "DB="+database))

	enters := func(token, key string) *reply {
		return r.send(site, token, http.MethodPost, "/api-auth/api-key/acme", `{"apiKey": "`+key+`"}`)
	}
	token := r.session("acme")
	enters(token, "key-1").is(t, http.StatusBadRequest, "connection_test_failed")
	id := enters(token, "key-2").is(t, http.StatusOK, "").at("connectionId")
	calls := func() *reply { // with the one key that the upstream takes; the former one may be tried before
		return r.send(r.api, ops, http.MethodGet, "/proxy/x", "", "Provider-Config-Key: acme", "Connection-Id: "+id)
	}
	calls().is(t, http.StatusOK, "")
	r.onlyTakes("key-3")
	again := r.manage(http.StatusCreated, http.MethodPost, "/connect/sessions/reconnect", fmt.Sprintf(`{"connection_id": %q, "integration_id": "acme"}`, id)).at("data", "token")
	enters(again, "key-3").is(t, http.StatusOK, "")
	calls().is(t, http.StatusOK, "")

	read, err := http.NewRequestWithContext(t.Context(), http.MethodGet, vault.Addr+"/v1/secret/data/caddy-apikey-inject/acme/"+id, nil)
	if err != nil {
		t.Fatal(err)
	}
	read.Header.Set("X-Vault-Token", role)
	res, err := r.http.Do(read)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("with the page's role the key answers %d", res.StatusCode)
	}
	connect.Stop()
	if log := connect.Log.String(); strings.Contains(log, `"level":"error"`) || strings.Contains(log, "permission denied") {
		t.Errorf("it says: %s", log)
	}
}
