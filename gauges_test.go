package apikeyinject

// This file holds tests of the figures that are read when they are asked for.

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Two routes without an integration's name to one host have one label. A key that
// is missing must not hide behind the other.
func TestRoutesThatShareALabelShowTheWorstOfTheirKeys(t *testing.T) {
	for name, order := range map[string][2]string{"the good one first": {"k", "absent"}, "the good one last": {"absent", "k"}} {
		t.Run(name, func(t *testing.T) {
			memoryOf(ownLabel(t)).put("k", canary)
			routes := make([]string, 0, 3)
			for _, path := range append(order[:], "k") { // one of them by two routes
				routes = append(routes, `{"base_url": "https://api.example", "key_name": "X-Api-Key", "key": {"path": "`+path+`"}, "allow": {"anyone": true}}`)
			}
			if all := called(t, "", routes...); len(all) != 1 || all["api.example"].held {
				t.Errorf("they are %+v, want that one is not held", all["api.example"])
			}
		})
	}
}

func TestAKeyThatTwoRoutesUseKeepsItsVersion(t *testing.T) {
	memoryOf(ownLabel(t)).put("k", canary)
	const route = `{"integration": "acme", "allow": {"anyone": true}}`
	all := called(t, `"acme": {"base_url": "https://api.example", "key_name": "X-Api-Key", "key": {"path": "k"}}`, route, route)
	if s := all["acme"]; !s.held || s.version != 3 {
		t.Errorf("it is %+v, want version 3 held", s)
	}
}

// called returns how the keys of an app are doing after one call of each route.
func called(t *testing.T, integrations string, routes ...string) map[string]*standing {
	t.Helper()
	ctx, err := provisionApp(t, appConfig(t, integrations))
	if err != nil {
		t.Fatal(err)
	}
	var uses []*keyUse
	for _, route := range routes {
		mod, err := ctx.LoadModuleByID("http.handlers.apikey_inject", json.RawMessage(route))
		if err != nil {
			t.Fatal(err)
		}
		h := mod.(*Handler)
		h.stub()
		send(t, h, httptest.NewRequest(http.MethodGet, "/", nil))
		uses, _ = h.app.inUse()
	}
	return standings(uses)
}
