package gateway

import (
	"net/http"
	"testing"
)

func TestAnIntegrationMadeByTheAPIIsCalledThroughTheGateway(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]settings{"vault": {}, "local": {local: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, s)
			r.integration("acme-internal", "")
			r.connection("acme-internal", "cust-1", "key-of-1")
			r.connection("acme-internal", "cust-2", "key-of-2")
			for id, key := range map[string]string{"cust-1": "key-of-1", "cust-2": "key-of-2"} {
				r.up.Forget()
				if a := r.proxy("acme-internal", id, http.MethodGet, "/users?a=1", ""); a.status != http.StatusOK {
					t.Fatalf("%d %s", a.status, a.body)
				}
				got := r.up.Only()
				if v := got.Values("Authorization"); len(v) != 1 || v[0] != "Api-Key "+key || got.Target != "/users?a=1" {
					t.Errorf("the upstream got %s %q", got.Target, v)
				}
				for _, name := range []string{"Provider-Config-Key", "Connection-Id"} {
					if v := got.Values(name); len(v) != 0 {
						t.Errorf("the upstream got %s: %q", name, v)
					}
				}
			}
			r.api(http.StatusOK, http.MethodPatch, "/integrations/acme-internal", `{"integration_config": {"valueTemplate": "Bearer ${apiKey}"}}`)
			r.up.Forget()
			r.proxy("acme-internal", "cust-1", http.MethodGet, "/", "")
			if v := r.up.Only().Values("Authorization"); len(v) != 1 || v[0] != "Bearer key-of-1" {
				t.Errorf("after the change the upstream got %q", v)
			}
		})
	}
}
