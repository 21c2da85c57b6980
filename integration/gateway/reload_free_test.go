package gateway

import (
	"net/http"
	"strings"
	"testing"
)

// What is made through the API needs no reload: Caddy's configuration stays the
// very one, and is not loaded again.
func TestIntegrationsAndConnectionsAreMadeWithoutAReload(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{})
	const loaded = "caddy_config_last_reload_success_timestamp_seconds"
	before, at := r.caddy.Config(""), r.caddy.Metric(loaded)
	mark := r.caddy.Log.Mark()
	if at == 0 {
		t.Fatal("Caddy does not tell when it loaded its configuration")
	}
	r.integration("acme-internal", "")
	r.connection("acme-internal", "cust-1", "key-of-1")
	r.api(http.StatusOK, http.MethodPatch, "/integrations/acme-internal", `{"integration_config": {"keyName": "X-Api-Key"}}`)
	if a := r.proxy("acme-internal", "cust-1", http.MethodGet, "/", ""); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	r.api(http.StatusOK, http.MethodDelete, "/connections/cust-1?provider_config_key=acme-internal", "")
	r.api(http.StatusOK, http.MethodDelete, "/integrations/acme-internal", "")
	if r.caddy.Metric(loaded) != at || r.caddy.Config("") != before {
		t.Error("the configuration was changed, or loaded again")
	}
	if strings.Contains(r.caddy.Log.Since(mark), "load complete") {
		t.Error("the log tells of a load")
	}
}
