package api

import (
	"fmt"
	"strings"
	"testing"
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

func TestAnAuditEntryHoldsNoKey(t *testing.T) {
	r := newRig(t)
	for _, c := range everyCall {
		r.do(c[0], c[1], c[2])
	}
	if s := fmt.Sprintf("%+v", r.audit); strings.Contains(s, canary) || strings.Contains(s, full) {
		t.Errorf("audited: %s", s)
	}
}
