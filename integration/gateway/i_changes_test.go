// I4, I6, I11, I13, I14, and the switches: what a change is refused for, and
// that one which is made takes effect at once.

package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// each runs f with keys in Vault and with keys in the local store.
func each(t *testing.T, s settings, f func(t *testing.T, r *rig)) {
	t.Helper()
	for name, local := range map[string]bool{"vault": false, "local": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := s
			own.local, own.counted = local, !local
			f(t, newRig(t, own))
		})
	}
}

func TestI4NamesAreTakenOnceAndNothingInUseIsDeleted(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{
		local:  true,
		global: "\t\tintegration fixed http://127.0.0.1:1 {\n\t\t\tname X-Api-Key\n\t\t\tkey fixed\n\t\t}\n",
	})
	r.integration("acme", "")
	r.integration("other", "")
	r.connection("acme", "cust-1", "key-of-1")

	a := r.as(ops, http.MethodPost, "/integrations", creating("acme", r.up.URL()))
	if f := a.faultsOf(t); len(f) != 1 || f[0] != "unique_key" || !strings.Contains(a.body, "Unique key already exists") {
		t.Errorf("I4: a duplicate: %d %s", a.status, a.body)
	}
	a = r.as(ops, http.MethodPatch, "/integrations/other", `{"unique_key": "acme"}`)
	if f := a.faultsOf(t); len(f) != 1 || f[0] != "unique_key" {
		t.Errorf("I4: a rename to one in use: %d %s", a.status, a.body)
	}
	a = r.as(ops, http.MethodPatch, "/integrations/acme", `{"unique_key": "renamed"}`)
	if f := a.faultsOf(t); len(f) != 1 || f[0] != "unique_key" || !strings.Contains(a.body, "Can't rename an integration with active connections") {
		t.Errorf("I4: a rename with connections: %d %s", a.status, a.body)
	}
	if a = r.as(ops, http.MethodDelete, "/integrations/acme", ""); a.status != http.StatusConflict || a.code(t) != "conflict" {
		t.Errorf("I4: a delete with connections: %d %s", a.status, a.body)
	}
	for method, path := range map[string]string{http.MethodPatch: "/integrations/fixed", http.MethodDelete: "/integrations/fixed"} {
		if a = r.as(ops, method, path, `{"display_name": "x"}`); a.status != http.StatusConflict || !strings.Contains(a.body, "apps.apikey_inject.integrations.fixed") {
			t.Errorf("I4: %s of one of the Caddy config: %d %s", method, a.status, a.body)
		}
	}
	if a = r.as(ops, http.MethodPost, "/integrations", creating("fixed", r.up.URL())); a.status != http.StatusConflict {
		t.Errorf("I4: one of the Caddy config is made again: %d %s", a.status, a.body)
	}
	r.up.Forget()
	r.proxy("acme", "cust-1", http.MethodGet, "/", "")
	r.wantKey(t, "Api-Key key-of-1")
	r.api(http.StatusOK, http.MethodPatch, "/integrations/other", `{"unique_key": "renamed"}`)
	r.api(http.StatusNotFound, http.MethodGet, "/integrations/other", "")
}

func TestI6OfTwoWritersOneWins(t *testing.T) {
	t.Parallel()
	each(t, settings{}, func(t *testing.T, r *rig) {
		r.integration("acme", "")
		r.connection("acme", "cust-1", "key-of-1")
		tag := r.api(http.StatusOK, http.MethodGet, "/integrations/acme", "").header.Get("ETag")
		r.api(http.StatusOK, http.MethodPatch, "/integrations/acme", `{"display_name": "first"}`, "If-Match: "+tag)
		r.api(http.StatusPreconditionFailed, http.MethodPatch, "/integrations/acme", `{"display_name": "second"}`, "If-Match: "+tag)
		r.api(http.StatusPreconditionFailed, http.MethodDelete, "/integrations/acme?force=true", "", "If-Match: "+tag)
		tag = r.api(http.StatusOK, http.MethodGet, connectionPath("acme", "cust-1"), "").header.Get("ETag")
		r.connection("acme", "cust-1", "key-2")
		r.api(http.StatusPreconditionFailed, http.MethodPost, "/connections", entering("acme", "cust-1", "key-3"), "If-Match: "+tag)

		// Without If-Match: each answer is a success or a 409, a success is not
		// lost, and the key in use is that of a success.
		const writers = 16
		statuses := make([]int, writers)
		var wg sync.WaitGroup
		for n := range writers {
			wg.Go(func() {
				statuses[n] = r.as(ops, http.MethodPost, "/connections", entering("acme", "cust-1", fmt.Sprintf("race-%d.", n), fmt.Sprintf(`"metadata": {"n": %d}`, n))).status
			})
		}
		wg.Wait()
		won := 0
		for n, status := range statuses {
			switch status {
			case http.StatusCreated:
				won++
			case http.StatusConflict:
			default:
				t.Errorf("I6: writer %d got %d", n, status)
			}
		}
		r.up.Forget()
		r.proxy("acme", "cust-1", http.MethodGet, "/", "")
		got := strings.Join(r.up.Only().Values("Authorization"), "")
		meta, _ := r.api(http.StatusOK, http.MethodGet, connectionPath("acme", "cust-1"), "").json(t)["metadata"].(map[string]any)
		n, _ := meta["n"].(float64)
		if won == 0 || statuses[int(n)] != http.StatusCreated || got != fmt.Sprintf("Api-Key race-%d.", int(n)) {
			t.Errorf("I6: %d won; the metadata is writer %v's, who got %d, and the key %q", won, n, statuses[int(n)], got)
		}
	})
}

func TestI11AKeyDoesNotFollowItsIntegrationToAnotherHost(t *testing.T) {
	t.Parallel()
	each(t, settings{api: "\t\ttoken shaper {env.SHAPER} {\n\t\t\tscopes integrations:read integrations:write connections:read proxy\n\t\t}\n", env: []string{"SHAPER=shaper-token-1"}}, func(t *testing.T, r *rig) {
		elsewhere := harness.NewUpstream(t, nil)
		r.integration("acme", "")
		r.connection("acme", "old", "key-of-old")
		move := fmt.Sprintf(`{"integration_config": {"baseUrl": %q}}`, elsewhere.URL())
		r.api(http.StatusOK, http.MethodPatch, "/integrations/acme", move)
		r.connection("acme", "new", "key-of-new")
		before := r.asked()
		r.up.Forget()
		r.wantRefusal(t, r.proxy("acme", "old", http.MethodGet, "/", ""), http.StatusForbidden, "origin_changed")
		if n := elsewhere.Hits(); n != 0 {
			t.Errorf("I11: %d hits at the new host", n)
		}
		if n := r.asked(); n != before {
			t.Errorf("I11: the key was read")
		}
		if got := r.api(http.StatusOK, http.MethodGet, connectionPath("acme", "old"), "").json(t)["status"]; got != "origin_changed" {
			t.Errorf("I11: the status is %v", got)
		}
		r.proxy("acme", "new", http.MethodGet, "/", "")
		if v := elsewhere.Only().Values("Authorization"); len(v) != 1 || v[0] != "Api-Key key-of-new" {
			t.Errorf("I11: a key that was entered for it arrived as %q", v)
		}
		if a := r.as("shaper-token-1", http.MethodPost, "/integrations/acme/confirm_origin", ""); a.status != http.StatusForbidden {
			t.Errorf("I11: confirmed without the scope: %d %s", a.status, a.body)
		}
		r.wantRefusal(t, r.proxy("acme", "old", http.MethodGet, "/", ""), http.StatusForbidden, "origin_changed")
		r.api(http.StatusOK, http.MethodPost, "/integrations/acme/confirm_origin", "")
		elsewhere.Forget()
		r.proxy("acme", "old", http.MethodGet, "/", "")
		if v := elsewhere.Only().Values("Authorization"); len(v) != 1 || v[0] != "Api-Key key-of-old" {
			t.Errorf("I11: after the confirmation the key arrived as %q", v)
		}
		for _, action := range []string{"integration.update", "integration.confirm_origin"} {
			r.wantAudit(t, 1, action, `"token":"ops"`, `"status":200`)
		}
		r.wantAudit(t, 1, "integration.confirm_origin", `"token":"shaper"`, `"status":403`)
	})
}

func TestI14WhereAndHowKeysGoIsForWhoMayWriteConnections(t *testing.T) {
	t.Parallel()
	each(t, settings{api: "\t\ttoken shaper {env.SHAPER} {\n\t\t\tscopes integrations:read integrations:write\n\t\t}\n", env: []string{"SHAPER=shaper-token-1"}}, func(t *testing.T, r *rig) {
		elsewhere := harness.NewUpstream(t, nil)
		r.integration("acme", "")
		r.connection("acme", "cust-1", "key-of-1")
		for name, config := range map[string]string{
			"base path": fmt.Sprintf(`"baseUrl": "%s/v2"`, r.up.URL()), "host": fmt.Sprintf(`"baseUrl": %q`, elsewhere.URL()),
			"placement": `"keyPlacement": "query"`, "name": `"keyName": "X-Other"`, "template": `"valueTemplate": "Other ${apiKey}"`,
		} {
			a := r.as("shaper-token-1", http.MethodPatch, "/integrations/acme", `{"display_name": "moved", "integration_config": {`+config+`}}`)
			if a.status != http.StatusForbidden || a.code(t) != "forbidden" {
				t.Errorf("I14 %s: answered %d %s", name, a.status, a.body)
			}
			r.up.Forget()
			r.proxy("acme", "cust-1", http.MethodGet, "/x", "")
			if got := r.wantKey(t, "Api-Key key-of-1"); got.Target != "/x" {
				t.Errorf("I14 %s: the upstream received %s", name, got)
			}
		}
		if got := r.api(http.StatusOK, http.MethodGet, "/integrations/acme", "").body; strings.Contains(got, "moved") {
			t.Errorf("I14: half of a refused change was made: %s", got)
		}
		if a := r.as("shaper-token-1", http.MethodPatch, "/integrations/acme", `{"display_name": "Acme", "integration_config": {"keyLabel": "Acme key"}}`); a.status != http.StatusOK {
			t.Errorf("I14: what does not move keys: %d %s", a.status, a.body)
		}
		if a := r.as("shaper-token-1", http.MethodDelete, "/integrations/acme?force=true", ""); a.status != http.StatusForbidden {
			t.Errorf("I14: deleted with all connections: %d %s", a.status, a.body)
		}
		// Deleted and made again, it would be the same.
		r.api(http.StatusOK, http.MethodDelete, connectionPath("acme", "cust-1"), "")
		if a := r.as("shaper-token-1", http.MethodPatch, "/integrations/acme", `{"integration_config": {"valueTemplate": "Other ${apiKey}"}}`); a.status != http.StatusOK {
			t.Errorf("I14: without connections: %d %s", a.status, a.body)
		}
	})
}

// asked tells how often Vault was asked for the content of a document; always 0
// with the local store.
func (r *rig) asked() int {
	if r.reads == nil {
		return 0
	}
	return r.reads.Count("GET /v1/secret/data/")
}

func TestDisablingAndEnablingTakeEffectAtOnce(t *testing.T) {
	t.Parallel()
	each(t, settings{}, func(t *testing.T, r *rig) {
		r.integration("acme", "")
		r.connection("acme", "cust-1", "key-of-1")
		r.connection("acme", "cust-2", "key-of-2")
		r.connection("acme", "never-used", "key-of-3")
		cust1, never := connectionPath("acme", "cust-1"), connectionPath("acme", "never-used")
		works := func(id, key string) {
			t.Helper()
			r.up.Forget()
			r.proxy("acme", id, http.MethodGet, "/", "")
			r.wantKey(t, "Api-Key "+key)
		}
		refused := func(id string) {
			t.Helper()
			r.up.Forget()
			before := r.asked()
			r.wantRefusal(t, r.proxy("acme", id, http.MethodGet, "/", ""), http.StatusForbidden, "disabled")
			if n := r.asked(); n != before {
				t.Errorf("the key of %s was read %d times", id, n-before)
			}
		}
		works("cust-1", "key-of-1")
		action := func(path, verb string) string { return strings.Replace(path, "?", "/"+verb+"?", 1) }
		for range 3 {
			r.api(http.StatusOK, http.MethodPost, action(cust1, "disable"), "")
			r.api(http.StatusOK, http.MethodPost, action(never, "disable"), "")
			refused("cust-1")
			refused("never-used")
			works("cust-2", "key-of-2")
			r.api(http.StatusOK, http.MethodPost, action(cust1, "enable"), "")
			r.api(http.StatusOK, http.MethodPost, action(never, "enable"), "")
			works("cust-1", "key-of-1")
			r.api(http.StatusOK, http.MethodPost, "/integrations/acme/disable", "")
			refused("cust-1")
			refused("cust-2")
			r.api(http.StatusOK, http.MethodPost, "/integrations/acme/enable", "")
			works("cust-1", "key-of-1")
			works("cust-2", "key-of-2")
		}
		works("never-used", "key-of-3")
		for _, what := range []string{"integration.disable", "integration.enable", "connection.disable", "connection.enable"} {
			r.wantAudit(t, 3, what, `"token":"ops"`, `"status":200`)
		}
	})
}

func TestI13ADeleteLeavesNoVersionOfTheKey(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{counted: true})
	r.integration("acme", "")
	for _, id := range []string{"cust-1", "cust-2", "cust-3"} {
		for n := range 3 {
			r.connection("acme", id, fmt.Sprintf("key-%s-%d", id, n))
		}
		r.api(http.StatusOK, http.MethodPut, strings.Replace(connectionPath("acme", id), "?", "/credentials?", 1), `{"apiKey": "rotated-`+id+`"}`)
		if n := r.versions(t, "acme/"+id); n != 4 {
			t.Fatalf("%s has %d versions, want 4", id, n)
		}
	}
	r.up.Forget()
	r.proxy("acme", "cust-1", http.MethodGet, "/", "")
	r.wantKey(t, "Api-Key rotated-cust-1")

	r.api(http.StatusOK, http.MethodDelete, connectionPath("acme", "cust-1"), "")
	if n := r.versions(t, "acme/cust-1"); n != 0 {
		t.Errorf("I13: %d versions are left", n)
	}
	r.up.Forget()
	r.wantRefusal(t, r.proxy("acme", "cust-1", http.MethodGet, "/", ""), http.StatusNotFound, "unknown_connection")
	r.api(http.StatusNotFound, http.MethodDelete, connectionPath("acme", "cust-1"), "")
	if n := r.versions(t, "acme/cust-2"); n != 4 {
		t.Errorf("I13: of another connection %d versions are left", n)
	}

	r.api(http.StatusOK, http.MethodDelete, "/integrations/acme?force=true", "")
	for _, id := range []string{"cust-2", "cust-3"} {
		if n := r.versions(t, "acme/"+id); n != 0 {
			t.Errorf("I13: after the integration was deleted %d versions of %s are left", n, id)
		}
		r.wantRefusal(t, r.proxy("acme", id, http.MethodGet, "/", ""), http.StatusNotFound, "unknown_provider_config")
	}
	// Made again, it has none of the old ones.
	r.integration("acme", "")
	r.wantRefusal(t, r.proxy("acme", "cust-2", http.MethodGet, "/", ""), http.StatusNotFound, "unknown_connection")
}

// versions returns how many versions of a document Vault's metadata knows, also
// deleted and not destroyed ones.
func (r *rig) versions(t *testing.T, path string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.vault.Addr+"/v1/secret/metadata/caddy-apikey-inject/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", r.vault.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode == http.StatusNotFound {
		return 0
	}
	data, _ := r.vault.Do(http.MethodGet, "secret/metadata/caddy-apikey-inject/"+path, nil)["data"].(map[string]any)
	versions, _ := data["versions"].(map[string]any)
	return len(versions)
}
