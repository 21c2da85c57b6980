package notices

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

func TestWhatIsWrongWhenCaddyStartsIsTold(t *testing.T) {
	t.Parallel()
	vault := vaulttest.Start(t)
	vault.Put("fixed", map[string]any{"apiKey": "key-1"})
	r := newRig(t, settings{
		vault:  vault,
		token:  vault.NewToken(time.Hour, "starts"),
		global: "\t\tintegration fixed https://fixed.example {\n\t\t\tname X-Api-Key\n\t\t\tkey fixed\n\t\t}\n",
		site:   "\tapikey_inject /fixed/* fixed {\n\t\tallow anyone\n\t}\n",
	})
	until(t, "the alert", func() bool { return len(r.slack.with("The key of `fixed` cannot be read")) == 1 })
	vault.Policy("starts", `path "secret/*" { capabilities = ["read"] }`)
	if status, body, err := r.caddy.Do(http.MethodPost, "/apikey_inject/refresh", `{"integration": "fixed"}`); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s %v", status, body, err)
	}
	until(t, "its end", func() bool { return len(r.slack.with("Resolved", "`fixed`")) == 1 })
	if all := r.slack.with("fixed"); len(all) != 2 || strings.Contains(all[0].raw+all[1].raw, "key-1") {
		t.Errorf("told %v", all)
	}
}
