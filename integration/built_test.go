// One pass through a built binary. make test runs it twice: with the binary of
// cmd/caddy, and with the one that xcaddy builds from the clone.

package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

func TestBuiltCaddy(t *testing.T) {
	modules := harness.Run(t, "", []string{"list-modules"})
	for _, id := range []string{"apikey_inject", "http.handlers.apikey_inject", "http.reverse_proxy.transport.apikey_inject", "apikey_inject.stores.vault"} {
		if !strings.Contains("\n"+modules.Stdout, "\n"+id+"\n") {
			t.Errorf("list-modules lacks %s", id)
		}
	}
	if v := harness.Run(t, "", []string{"version"}); v.Code != 0 || v.Stdout == "" {
		t.Errorf("version: %+v", v)
	}

	vault := vaulttest.Start(t)
	vault.Put("acme/prod", map[string]any{"apiKey": "built-key"})
	upstream := harness.NewUpstream(t, nil)
	port := harness.Port(t)
	env := []harness.Option{harness.Env("VAULT_ADDR="+vault.Addr, "VAULT_TOKEN="+vault.Token)}
	config := harness.Site(port, fmt.Sprintf(`	apikey_inject /acme/* %s/v1 {
		strip_prefix /acme
		name Authorization
		template "Api-Key ${apiKey}"
		key acme/prod
		allow anyone
	}`, upstream.URL()))

	adapted := harness.Adapt(t, config, env...)
	if adapted.Code != 0 || !strings.Contains(adapted.Stdout, `"handler":"apikey_inject"`) {
		t.Fatalf("adapt: %+v", adapted)
	}

	harness.StartCaddy(t, config, env...)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	answer := harness.Exchange(t, addr, nil, "GET /acme/users HTTP/1.1\r\nHost: "+addr+"\r\nConnection: close\r\n\r\n")
	if answer.Status != 200 || string(answer.Body) != "ok" {
		t.Fatalf("answer %q", answer.Raw)
	}
	got := upstream.Only()
	if lines := got.Lines("Authorization"); len(lines) != 1 || lines[0] != "Authorization: Api-Key built-key" {
		t.Errorf("the upstream received %q", lines)
	}
	if got.Target != "/v1/users" || got.Host() != upstream.Addr() {
		t.Errorf("the upstream received %s", got)
	}
}
