package notices

import (
	"net/http"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// again loads the configuration anew: a new one looks at ages at once.
func (r *rig) again(grace string) {
	r.t.Helper()
	r.config = strings.Replace(r.config, "{\n", "{\n\tgrace_period "+grace+"\n", 1)
	if err := r.caddy.Load(r.config); err != nil {
		r.t.Fatal(err)
	}
}

func TestSlackIsToldOfAConnectionsKeyThatIsTooOldAndOfTheEndOfThat(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{})
	r.integration("acme", `"max_age": "1s"`)
	r.connection("acme", "old", "key-1")
	r.connection("acme", "gone", "key-2")
	until(t, "the age", func() bool { return strings.Count(r.must(http.MethodGet, "/status", ""), `"expiry":"expired"`) == 2 })
	r.again("5s")
	for _, id := range []string{"old", "gone"} {
		until(t, "the alert", func() bool { return len(r.slack.with("The key of connection `"+id+"` of `acme` has run out")) == 1 })
	}
	r.must(http.MethodPatch, "/integrations/acme", `{"max_age": "90d"}`)
	r.connection("acme", "old", "key-3") // of which this node has read none before
	r.must(http.MethodDelete, "/connections/gone?provider_config_key=acme", "")
	for _, id := range []string{"old", "gone"} {
		until(t, "its end", func() bool { return len(r.slack.with("Resolved", "connection `"+id+"` of `acme`")) == 1 })
	}
}

func TestAKeyOfWhichNobodyCanTellWhenItRunsOutIsNotSaidToBeUnusable(t *testing.T) {
	t.Parallel()
	vault := vaulttest.Start(t)
	vault.Put("fixed", map[string]any{"apiKey": "key-1"})
	r := newRig(t, settings{
		vault:  vault,
		global: "\t\tintegration fixed https://fixed.example {\n\t\t\tname X-Api-Key\n\t\t\tkey fixed\n\t\t}\n",
		site:   "\tapikey_inject /fixed/* fixed {\n\t\tallow anyone\n\t}\n",
	})
	until(t, "the key", func() bool { return strings.Contains(r.must(http.MethodGet, "/status", ""), `"key_version":1`) })
	vault.Put("fixed", map[string]any{"apiKey": "key-2", "expires_at": "next week"})
	until(t, "the log", func() bool {
		return len(r.caddy.Log.Entries("apikey_inject", "nobody can tell when a key runs out")) == 1
	})
	vault.Seal() // which is told after what came before it
	for range 8 {
		r.call("acme", "nobody")
	}
	until(t, "the next alert", func() bool { return len(r.slack.with("the store `vault` is away")) == 1 })
	if all := r.slack.with("cannot be used"); len(all) != 0 {
		t.Errorf("Slack was told: %s", all[0].raw)
	}
}
