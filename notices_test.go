package apikeyinject

import (
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func TestADocumentIsOneIntegrationsAndConnections(t *testing.T) {
	o := &owners{
		fixed: map[placeOf]string{
			{"vault", store.Address{Path: "acme/prod"}}: "acme",
			{"vault", store.Address{Path: "shared"}}:    "", // of two
		},
		chosen: []chosenPlace{
			{"crm", "vault", &KeyReference{Path: "customers/${connectionId}/crm"}},
			{"crm", "vault", &KeyReference{Path: "customers/${connectionId}/crm"}}, // its route
			{"twice", "vault", &KeyReference{Path: "t/${connectionId}/${connectionId}"}},
			{"suffix", "vault", &KeyReference{Path: "s/key-${connectionId}-prod"}},
			{"one", "vault", &KeyReference{Path: "both/${connectionId}"}},
			{"other", "vault", &KeyReference{Path: "both/${connectionId}"}},
			{"mounted", "vault", &KeyReference{Mount: "kv", Path: "m/${connectionId}"}},
		},
		store: "vault", prefix: "caddy-apikey-inject/",
	}
	for path, want := range map[string][2]string{
		"acme/prod":                           {"acme", ""},
		"shared":                              {},
		"nobody/knows":                        {},
		"customers/c-1/crm":                   {"crm", "c-1"},
		"customers/c-1/erp":                   {},
		"t/a/a":                               {"twice", "a"},
		"t/a/b":                               {},
		"s/key-c-1-prod":                      {"suffix", "c-1"},
		"both/c-1":                            {},
		"m/c-1":                               {}, // of another mount
		"caddy-apikey-inject/Acme EU/cust-1":  {"Acme EU", "cust-1"},
		"caddy-apikey-inject/acme":            {},
		"caddy-apikey-inject/acme/cust/extra": {},
	} {
		if i, c := o.of("vault", store.Address{Path: path}); i != want[0] || c != want[1] {
			t.Errorf("%s is %q of %q, want %q of %q", path, c, i, want[1], want[0])
		}
	}
	if i, c := o.of("vault", store.Address{Mount: "kv", Path: "m/c-1"}); i != "mounted" || c != "c-1" {
		t.Errorf("in a mount of its own it is %q of %q", c, i)
	}
	if i, _ := o.of("local", store.Address{Path: "acme/prod"}); i != "" {
		t.Errorf("in another store it is of %q", i)
	}
}
