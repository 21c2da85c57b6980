package api

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
)

func TestTheDocumentIsOne(t *testing.T) {
	r := newRig(t)
	a := r.do("GET", "/openapi.json", "").ok().want("3.1.0", "openapi")
	doc, err := libopenapi.NewDocument(a.body)
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(doc)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if ok, wrong := v.ValidateDocument(); !ok {
		for _, e := range wrong {
			t.Errorf("%v", e)
		}
	}
	paths := a.json["paths"].(map[string]any)
	for _, o := range operations() {
		item, _ := paths[o.path].(map[string]any)
		if _, ok := item[lower(o.method)]; !ok {
			t.Errorf("%s %s is not in it", o.method, o.path)
		}
	}
}

func lower(method string) string {
	b := []byte(method)
	for i := range b {
		b[i] |= 0x20
	}
	return string(b)
}

// TestWhatTheDocumentForbidsIsRefused goes the other way than [rig.compare]:
// for each field of each body, a value that its schema forbids is refused.
func TestWhatTheDocumentForbidsIsRefused(t *testing.T) {
	var doc struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct {
					Type  any    `json:"type"`
					Ref   string `json:"$ref"`
					Enum  []any  `json:"enum"`
					Max   int    `json:"maxLength"`
					Min   int    `json:"minLength"`
					Items any    `json:"items"`
				} `json:"properties"`
				Required []string `json:"required"`
				Closed   any      `json:"additionalProperties"`
			} `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(document(), &doc); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, c := range everyCall {
		if c[2] == "" {
			continue
		}
		name := map[string]string{
			"POST/integrations": "CreateIntegration", "PATCH/integrations/acme": "PatchIntegration", "POST/connections": "CreateConnection",
			"PATCH/connections/c?provider_config_key=acme": "PatchConnection", "PUT/connections/c/credentials?provider_config_key=acme": "PutCredentials",
			"POST/connect/sessions": "CreateSession", "POST/connect/sessions/reconnect": "ReconnectSession",
			"POST/connections/metadata": "Metadata", "PATCH/connections/metadata": "Metadata",
		}[c[0]+c[1]]
		schema, ok := doc.Components.Schemas[name]
		if !ok || schema.Closed != false {
			t.Fatalf("%s %s has no closed schema %q", c[0], c[1], name)
		}
		for field, p := range schema.Properties {
			wrong := []any{[]any{[]any{}}, 1.5}
			if len(p.Enum) > 0 || p.Type == "string" && field != "apiKey" {
				wrong = append(wrong, 5, true, nil)
			}
			if p.Max > 0 {
				long := make([]byte, p.Max+1)
				for i := range long {
					long[i] = 'x'
				}
				wrong = append(wrong, string(long))
			}
			if p.Min > 0 {
				wrong = append(wrong, "")
			}
			for _, w := range wrong {
				seen++
				refusedWith(t, c, func(body map[string]any) { body[field] = w })
			}
			if slices.Contains(schema.Required, field) {
				refusedWith(t, c, func(body map[string]any) { delete(body, field) })
			}
		}
		refusedWith(t, c, func(body map[string]any) { body["more"] = 1 })
	}
	if seen < 80 {
		t.Errorf("only %d values were tried", seen)
	}
}

func refusedWith(t *testing.T, c [3]string, change func(map[string]any)) {
	t.Helper()
	r := newRig(t)
	r.integration("acme")
	r.connection("acme", "c")
	var body map[string]any
	if err := json.Unmarshal([]byte(c[2]), &body); err != nil {
		t.Fatal(err)
	}
	change(body)
	b, _ := json.Marshal(body)
	if rec := r.quiet(c[0], c[1], string(b), full); rec.Code != 400 {
		t.Errorf("%s %s %.200s: %d %s", c[0], c[1], b, rec.Code, rec.Body)
	}
}
