// I1-I3, I5, I7, I12: what the API takes and what it answers.

package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// faultsOf returns the paths of all that is wrong, like "integration_config.baseUrl".
func (a *reply) faultsOf(t *testing.T) []string {
	t.Helper()
	var body struct {
		Error struct {
			Code   string `json:"code"`
			Errors []struct {
				Code    string `json:"code"`
				Message string `json:"message"`
				Path    []any  `json:"path"`
			} `json:"errors"`
		} `json:"error"`
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		t.Fatalf("%d %q: %v", a.status, a.body, err)
	}
	if a.status != http.StatusBadRequest || body.Error.Code != "invalid_body" {
		t.Errorf("answered %d %s, want 400 invalid_body", a.status, a.body)
	}
	paths := make([]string, 0, len(body.Error.Errors))
	for _, e := range body.Error.Errors {
		var path []string
		for _, p := range e.Path {
			path = append(path, fmt.Sprint(p))
		}
		if e.Code == "" || e.Message == "" {
			t.Errorf("a fault says nothing: %s", a.body)
		}
		paths = append(paths, strings.Join(path, "."))
	}
	slices.Sort(paths)
	return paths
}

func TestI1AndI2AllThatIsWrongWithAnIntegrationIsSaidAtOnce(t *testing.T) {
	r := newRig(t, settings{local: true})
	const head = `"provider": "private-api-generic", "unique_key": "acme"`
	for _, c := range []struct {
		name, body string
		faults     []string
	}{
		{"I1 no integration_config", `{` + head + `}`, []string{"integration_config.baseUrl", "integration_config.keyName"}},
		{"I1 an empty one", `{` + head + `, "integration_config": {}}`, []string{"integration_config.baseUrl", "integration_config.keyName"}},
		{"I1 no baseUrl", `{` + head + `, "integration_config": {"keyName": "X-Api-Key"}}`, []string{"integration_config.baseUrl"}},
		{"I1 no keyName", `{` + head + `, "integration_config": {"baseUrl": "https://api.acme.com"}}`, []string{"integration_config.keyName"}},
		{"I1 null", `{` + head + `, "integration_config": null}`, []string{"integration_config"}},
		{"I1 nothing at all", `{}`, []string{"integration_config.baseUrl", "integration_config.keyName", "provider", "unique_key"}},
		{"I2 a placement that is none", `{` + head + `, "integration_config": {"baseUrl": "https://api.acme.com", "keyName": "k", "keyPlacement": "cookie"}}`, []string{"integration_config.keyPlacement"}},
		{
			"I2 everything", `{"provider": "private-api-generic", "unique_key": "a/b", "display_name": 7, "integration_config":
			{"baseUrl": "ftp://x", "keyPlacement": "body", "keyName": "X Api", "valueTemplate": "none", "keyLabel": [], "foo": 1}, "bar": {}}`,
			[]string{
				"bar", "display_name", "integration_config.baseUrl", "integration_config.foo", "integration_config.keyLabel", "integration_config.keyName",
				"integration_config.keyPlacement", "integration_config.valueTemplate", "unique_key",
			},
		},
		{"I12 key", `{` + head + `, "key": "acme/prod", "integration_config": {"baseUrl": "https://api.acme.com", "keyName": "k"}}`, []string{"key"}},
		{
			"I12 path and store", `{` + head + `, "integration_config": {"baseUrl": "https://api.acme.com", "keyName": "k", "path": "acme/prod", "store": "vault"}}`,
			[]string{"integration_config.path", "integration_config.store"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := r.as(ops, http.MethodPost, "/integrations", c.body).faultsOf(t); !slices.Equal(got, c.faults) {
				t.Errorf("the faults are %q, want %q", got, c.faults)
			}
			r.api(http.StatusNotFound, http.MethodGet, "/integrations/acme", "")
		})
	}
	t.Run("I12 in a PATCH", func(t *testing.T) {
		r.integration("made", "")
		got := r.as(ops, http.MethodPatch, "/integrations/made", `{"key": {"path": "x"}, "integration_config": {"store": "v", "mount": "m"}}`).faultsOf(t)
		if want := []string{"integration_config.mount", "integration_config.store", "key"}; !slices.Equal(got, want) {
			t.Errorf("the faults are %q, want %q", got, want)
		}
	})
	for name, body := range map[string]string{"no JSON": `{"provider"`, "two values": `{} {}`, "no object": `[]`, "a name twice": `{"provider": "a", "provider": "b"}`} {
		t.Run("I2 "+name, func(t *testing.T) {
			if a := r.as(ops, http.MethodPost, "/integrations", body); a.status != http.StatusBadRequest {
				t.Errorf("answered %d %s", a.status, a.body)
			}
		})
	}
	t.Run("I2 another content type", func(t *testing.T) {
		a := r.send(t, http.MethodPost, "/integrations", creating("x", "https://x.example"), "Content-Type: text/plain")
		if a.Status != http.StatusUnsupportedMediaType || !strings.Contains(string(a.Body), "invalid_content_type") {
			t.Errorf("answered %s", a.Raw)
		}
	})
	t.Run("I2 more than 1 MiB", func(t *testing.T) {
		a := r.as(ops, http.MethodPost, "/integrations", `{"x": "`+strings.Repeat("x", 1<<20)+`"}`)
		if a.status != http.StatusRequestEntityTooLarge && a.status != http.StatusBadRequest {
			t.Errorf("answered %d %s", a.status, a.body)
		}
	})
	t.Run("I2 an unknown parameter of the query", func(t *testing.T) {
		if a := r.as(ops, http.MethodGet, "/connections?limits=5", ""); a.status != http.StatusBadRequest || a.code(t) != "invalid_query_params" {
			t.Errorf("answered %d %s", a.status, a.body)
		}
	})
}

func TestI3APatchIsMergedAndTheResultIsValidated(t *testing.T) {
	r := newRig(t, settings{local: true})
	r.integration("acme", `, "keyLabel": "Acme key"`)
	r.connection("acme", "cust-1", "key-of-1")
	config := func() map[string]any {
		data, _ := r.api(http.StatusOK, http.MethodGet, "/integrations/acme", "").json(t)["data"].(map[string]any)
		c, _ := data["integration_config"].(map[string]any)
		return c
	}
	before := config()
	t.Run("I3 absent is unchanged", func(t *testing.T) {
		r.api(http.StatusOK, http.MethodPatch, "/integrations/acme", `{"display_name": "Acme", "integration_config": {"valueTemplate": "Token ${apiKey}"}}`)
		after := config()
		if after["valueTemplate"] != "Token ${apiKey}" {
			t.Errorf("the template is %v", after["valueTemplate"])
		}
		after["valueTemplate"] = before["valueTemplate"]
		if !reflect.DeepEqual(before, after) {
			t.Errorf("the configuration was %v and is %v", before, after)
		}
		r.up.Forget()
		r.proxy("acme", "cust-1", http.MethodGet, "/", "")
		r.wantKey(t, "Token key-of-1")
	})
	t.Run("I3 an optional field is cleared", func(t *testing.T) {
		r.api(http.StatusOK, http.MethodPatch, "/integrations/acme", `{"integration_config": {"keyLabel": ""}}`)
		if got := config()["keyLabel"]; got != "API Key" {
			t.Errorf("the label is %v, want the default", got)
		}
	})
	for _, c := range []struct{ name, body, fault string }{
		{"baseUrl", `{"integration_config": {"baseUrl": ""}}`, "integration_config.baseUrl"},
		{"keyName", `{"integration_config": {"keyName": ""}}`, "integration_config.keyName"},
		{"keyName by null", `{"integration_config": {"keyName": null}}`, "integration_config.keyName"},
		{"unique_key", `{"unique_key": ""}`, "unique_key"},
	} {
		t.Run("I3 a required field cannot be cleared: "+c.name, func(t *testing.T) {
			was := config()
			if got := r.as(ops, http.MethodPatch, "/integrations/acme", c.body).faultsOf(t); !slices.Equal(got, []string{c.fault}) {
				t.Errorf("the faults are %q, want %q", got, c.fault)
			}
			if now := config(); !reflect.DeepEqual(was, now) {
				t.Errorf("the configuration was %v and is %v", was, now)
			}
		})
	}
	t.Run("I3 the result is validated whole", func(t *testing.T) {
		r.api(http.StatusOK, http.MethodPatch, "/integrations/acme", `{"integration_config": {"keyPlacement": "query", "keyName": "api key"}}`)
		// As a parameter the name may have a blank; as a header it may not.
		if got := r.as(ops, http.MethodPatch, "/integrations/acme", `{"integration_config": {"keyPlacement": "header"}}`).faultsOf(t); !slices.Equal(got, []string{"integration_config.keyName"}) {
			t.Errorf("the faults are %q", got)
		}
		r.up.Forget()
		r.proxy("acme", "cust-1", http.MethodGet, "/x?a=1", "")
		if got := r.up.Only(); got.Target != "/x?a=1&api+key=Token+key-of-1" && got.Target != "/x?a=1&api%20key=Token%20key-of-1" {
			t.Errorf("the upstream received %s", got)
		}
	})
}

func TestI5AndI7AnswersHoldNoKeyAndAnImportKeepsWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	const key = "K3y-5f2A9c-canary"
	for name, s := range map[string]settings{"vault": {}, "local": {local: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, s)
			r.integration("acme", "")
			made := r.connection("acme", "cust-1", key, `"metadata": {"plan": "pro", "n": 12345678901234567890}`, `"tags": {"team": "a"}`, `"connection_config": {"tenant": "t1"}`)
			r.up.Forget()
			r.proxy("acme", "cust-1", http.MethodGet, "/", "")
			answers := made.body
			for _, path := range []string{
				"/integrations", "/integrations/acme", "/integrations/acme?include=credentials", "/connections", "/connections?search=cust",
				connectionPath("acme", "cust-1"), connectionPath("acme", "cust-1") + "&force_refresh=true", "/status", "/providers", "/providers/private-api-generic", "/openapi.json",
			} {
				answers += r.api(http.StatusOK, http.MethodGet, path, "").body
			}
			if strings.Contains(answers, key) || !strings.Contains(answers, "cust-1") {
				t.Errorf("I5: an answer holds the key, or none the connection: %s", answers)
			}
			data, _ := r.api(http.StatusOK, http.MethodGet, "/integrations/acme", "").json(t)["data"].(map[string]any)
			config, _ := data["integration_config"].(map[string]any)
			if want := map[string]any{"baseUrl": r.up.URL(), "keyPlacement": "header", "keyName": "Authorization", "valueTemplate": "Api-Key ${apiKey}", "keyLabel": "API Key"}; !reflect.DeepEqual(config, want) {
				t.Errorf("I5: the configuration is %v, want %v", config, want)
			}

			r.connection("acme", "cust-1", "another-key")
			got := r.api(http.StatusOK, http.MethodGet, connectionPath("acme", "cust-1"), "")
			c := got.json(t)
			if !strings.Contains(got.body, `12345678901234567890`) || !reflect.DeepEqual(c["tags"], map[string]any{"team": "a"}) || !reflect.DeepEqual(c["connection_config"], map[string]any{"tenant": "t1"}) {
				t.Errorf("I7: after an import without them: %s", got.body)
			}
			r.up.Forget()
			r.proxy("acme", "cust-1", http.MethodGet, "/", "")
			r.wantKey(t, "Api-Key another-key")
		})
	}
}
