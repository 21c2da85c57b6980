package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

func TestEveryChangeIsAudited(t *testing.T) {
	r := newRig(t, limited("reader", ScopeIntegrationsRead, ScopeConnectionsRead))
	last := func(want string) {
		t.Helper()
		if len(r.audit) != 1 {
			t.Fatalf("%d entries, want 1: %s", len(r.audit), want)
		}
		e := r.audit[0]
		got := fmt.Sprintf("%s %s %s/%s %d %s", e.Token, e.Action, e.Integration, e.Connection, e.Status, e.Code)
		if got != want || !e.Time.Equal(start) {
			t.Errorf("audited %q at %v, want %q", got, e.Time, want)
		}
		r.audit = nil
	}
	r.integration("acme")
	last("ops integration.create acme/ 200 ")
	r.integration("second")
	r.audit = nil
	for _, c := range []struct{ method, path, body, want string }{
		{"PATCH", "/integrations/acme", `{}`, "ops integration.update acme/ 200 "},
		{"PATCH", "/integrations/acme", `{"x":1}`, "ops integration.update acme/ 400 invalid_body"},
		{"POST", "/integrations/acme/disable", "", "ops integration.disable acme/ 200 "},
		{"POST", "/integrations/acme/enable", "", "ops integration.enable acme/ 200 "},
		{"POST", "/integrations/acme/confirm_origin", "", "ops integration.confirm_origin acme/ 200 "},
		{"POST", "/connections", enterBody(""), "ops connection.enter acme/c 201 "},
		{"POST", "/connections", strings.Replace(enterBody(""), "acme", "zzz", 1), "ops connection.enter zzz/c 404 unknown_provider_config"},
		{"PUT", "/connections/c/credentials?provider_config_key=acme", `{"apiKey":"` + canary + `"}`, "ops connection.rotate acme/c 200 "},
		{"PATCH", "/connections/c?provider_config_key=acme", `{}`, "ops connection.update acme/c 200 "},
		{"POST", "/connections/c/disable?provider_config_key=acme", "", "ops connection.disable acme/c 200 "},
		{"POST", "/connections/c/enable?provider_config_key=acme", "", "ops connection.enable acme/c 200 "},
		{"POST", "/connections/metadata", `{"provider_config_key":"acme","connection_id":"c","metadata":{}}`, "ops connection.set_metadata acme/c 201 "},
		{"PATCH", "/connections/metadata", `{"provider_config_key":"acme","connection_id":"c","metadata":{}}`, "ops connection.update_metadata acme/c 200 "},
		{"DELETE", "/integrations/acme", "", "ops integration.delete acme/ 409 conflict"},
		{"DELETE", "/connections/c?provider_config_key=acme", "", "ops connection.delete acme/c 200 "},
		{"DELETE", "/integrations/acme", "", "ops integration.delete acme/ 200 "},
		{"DELETE", "/integrations/fixed", "", "ops integration.delete fixed/ 409 conflict"},
	} {
		r.do(c.method, c.path, c.body)
		last(c.want)
	}
	r.do("DELETE", "/integrations/second", "", as("reader")).is(403, "forbidden")
	last("reader integration.delete second/ 403 forbidden")
	r.do("DELETE", "/connections/c?provider_config_key=second", "", as("wrong")).is(401, "unknown_account")
	last(" connection.delete second/c 401 unknown_account")
	for _, c := range everyCall {
		if c[0] == "GET" {
			r.do(c[0], c[1], c[2])
		}
	}
	if len(r.audit) > 0 {
		t.Errorf("reading is audited: %+v", r.audit)
	}
}

// TestEachConnectionThatIsChangedIsAudited is about one call for many.
func TestEachConnectionThatIsChangedIsAudited(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	for _, id := range []string{"c1", "c2", "c3"} {
		r.connection("acme", id)
	}
	for _, c := range []struct{ ids, want string }{
		{`["c1","c2","c3"]`, "c1 200 , c2 200 , c3 200 "},
		{`["c1","none"]`, "none 404 not_found"},
	} {
		r.audit = nil
		r.do("PATCH", "/connections/metadata", `{"provider_config_key":"acme","connection_id":`+c.ids+`,"metadata":{"a":1}}`)
		if got := audited(r); got != c.want {
			t.Errorf("%s: audited %q, want %q", c.ids, got, c.want)
		}
	}
}

func TestConnectionsThatGoWithTheirIntegrationAreAudited(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	r.connection("acme", "c1")
	r.connection("acme", "c2")
	r.audit = nil
	r.do("DELETE", "/integrations/acme?force=true", "").ok()
	if got, want := audited(r), " 200 , c1 200 , c2 200 "; got != want {
		t.Errorf("audited %q, want %q", got, want)
	}
}

// TestWhatACallChangedBeforeItFailedIsAudited loses the catalog half way.
func TestWhatACallChangedBeforeItFailedIsAudited(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	r.connection("acme", "c1")
	r.connection("acme", "c2")
	r.audit = nil
	writes := 0
	r.between = func(call string) {
		if call == "UpdateConnection" {
			if writes++; writes == 2 {
				r.down = catalog.ErrUnavailable
			}
		}
	}
	r.do("POST", "/connections/metadata", `{"provider_config_key":"acme","connection_id":["c1","c2"],"metadata":{}}`).is(503, "catalog_unavailable")
	if got, want := audited(r), "c1 201 , c2 503 catalog_unavailable"; got != want {
		t.Errorf("audited %q, want %q", got, want)
	}
}

// audited returns the entries there are, sorted.
func audited(r *rig) string {
	all := make([]string, 0, len(r.audit))
	for _, e := range r.audit {
		all = append(all, fmt.Sprintf("%s %d %s", e.Connection, e.Status, e.Code))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func TestAnAuditEntryHoldsNoKey(t *testing.T) {
	r := newRig(t)
	for _, c := range everyCall {
		r.do(c[0], c[1], c[2])
	}
	if s := fmt.Sprintf("%+v", r.audit); strings.Contains(s, canary) || strings.Contains(s, full) {
		t.Errorf("audited: %s", s)
	}
}
