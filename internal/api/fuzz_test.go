package api

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// fuzzBody sends bodies to an operation: whatever they are, the answer is JSON,
// no fault of ours, and shows no key.
func fuzzBody(f *testing.F, method, target string, seeds ...string) {
	fuzzBodyBy(f, method, target, func(*rig) string { return full }, seeds...)
}

// fuzzBodyBy sends them with a token.
func fuzzBodyBy(f *testing.F, method, target string, token func(*rig) string, seeds ...string) {
	for _, s := range append(seeds, `{}`, `[]`, ``, `{"a":{"b":[null,1e9,"\ud83d\ude00"]}}`, `{"credentials":{"apiKey":"`+canary+`"}}`) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := newRig(t)
		r.integration("acme")
		r.connection("acme", "c")
		rec := r.quiet(method, target, body, token(r))
		if rec.Code >= 500 || rec.Code < 200 {
			t.Errorf("%d: %s", rec.Code, rec.Body)
		}
		if !json.Valid(rec.Body.Bytes()) {
			t.Errorf("no JSON: %s", rec.Body)
		}
		for _, key := range sentKeys(body) {
			if strings.Contains(rec.Body.String(), key) {
				t.Errorf("%q is shown: %s", key, rec.Body)
			}
		}
		for id := range r.conns {
			if strings.ContainsAny(id.id, "/\x00\n") || id.id == "" || id.id == ".." {
				t.Errorf("an id %q is entered", id.id)
			}
		}
	})
}

// sentKeys returns what a body brings as a key, when that is not also brought
// elsewhere, or as the name of a field, which may be shown. The canary is the key
// that is stored.
func sentKeys(body string) []string {
	var in struct {
		Credentials struct {
			APIKey string `json:"apiKey"`
		} `json:"credentials"`
		APIKey string `json:"apiKey"`
	}
	_ = json.Unmarshal([]byte(body), &in)
	keys := []string{}
	for _, k := range []string{in.Credentials.APIKey, in.APIKey, canary} {
		if len(k) >= 8 && strings.Count(body, k) <= 1 && !isName(body, k) {
			keys = append(keys, k)
		}
	}
	return keys
}

// isName tells whether a body has a text in the name of a field.
func isName(body, text string) bool {
	return regexp.MustCompile(`"[^"]*` + regexp.QuoteMeta(text) + `[^"]*"\s*:`).MatchString(body)
}

func FuzzCreateIntegration(f *testing.F) {
	fuzzBody(f, "POST", "/integrations", acme, integrationBody(map[string]string{
		"connect": `{"help_url":"https://h"}`, "verification": `{"path":"/x","headers":{"a":"b"},"success":[200]}`, "max_age": `"9d1h"`, "refused_statuses": `[403]`, "refused_after": `2`, ".keyPlacement": `"query"`, "unique_key": `"x"`,
	}))
}

func FuzzPatchIntegration(f *testing.F) {
	fuzzBody(f, "PATCH", "/integrations/acme", `{"integration_config":{"keyLabel":""},"connect":null}`, `{"unique_key":"b","display_name":""}`, `{"verification":{"path":"//x"}}`)
}

func FuzzEnterConnection(f *testing.F) {
	fuzzBody(f, "POST", "/connections", enterBody(`,"tags":{"A":"b"},"metadata":{"x":[1]},"end_user":{"id":"u","organization":{"id":"o"}},"connection_config":{"a":"b"},"webhook_url_override":"https://w"`),
		strings.Replace(enterBody(""), `"c"`, `"../x"`, 1), strings.Replace(enterBody(""), canary, `a\nb`, 1))
}

func FuzzPutCredentials(f *testing.F) {
	fuzzBody(f, "PUT", "/connections/c/credentials?provider_config_key=acme", `{"type":"API_KEY","apiKey":"`+canary+`"}`, `{"apiKey":"\u0000"}`)
}

func FuzzPatchConnection(f *testing.F) {
	fuzzBody(f, "PATCH", "/connections/c?provider_config_key=acme", `{"tags":{"a":"b"},"end_user":{"id":"u"},"connection_config":{"a":""},"disabled":true}`)
}

func FuzzSetMetadata(f *testing.F) {
	fuzzBody(f, "POST", "/connections/metadata", `{"provider_config_key":"acme","connection_id":["c"],"metadata":{"a":1}}`)
}

func FuzzUpdateMetadata(f *testing.F) {
	fuzzBody(f, "PATCH", "/connections/metadata", `{"provider_config_key":"acme","connection_id":"c","metadata":{"\u2028":{}}}`)
}

func FuzzCreateSession(f *testing.F) {
	fuzzBody(f, "POST", "/connect/sessions", forAcme, `{"tags":{"a":"b"},"overrides":{"acme":{"docs_connect":"https://x"}}}`,
		`{"end_user":{"id":"u","display_name":"\u202e"},"integrations_config_defaults":{"acme":{"connection_config":{"a":"../x"},"user_scopes":"x","authorization_params":{"p":1}}},"webhook_url_override":"https://w"}`,
		`{"end_user":{"id":"u"},"allowed_integrations":["acme","acme","zzz"]}`)
}

func FuzzReconnectSession(f *testing.F) {
	fuzzBody(f, "POST", "/connect/sessions/reconnect", `{"connection_id":"c","integration_id":"acme"}`, `{"connection_id":"../c","integration_id":"acme","tags":{"A":""}}`,
		`{"connection_id":"c","integration_id":"acme","end_user":{"id":"u","organization":{"id":"o"}},"integrations_config_defaults":{"acme":{"connection_config":{"a":"b"}}}}`)
}

func FuzzEnterKey(f *testing.F) {
	fuzzBodyBy(f, "POST", "/api-auth/api-key/acme?params[a]=b", func(r *rig) string { return r.session(forAcme) },
		`{"apiKey":"`+canary+`"}`, `{"apiKey":" \n`+canary+`\u200b"}`, `{"apiKey":"`+canary+`\u0000x"}`, `{"apiKey":["`+canary+`"]}`, `{"apiKey":"`+canary+`","`+canary+`":1}`)
}

// FuzzPath asks for any path and query.
func FuzzPath(f *testing.F) {
	for _, c := range everyCall {
		f.Add(c[0], c[1])
	}
	f.Add("GET", "/connections/%2e%2e%2fx?provider_config_key=acme&tags[a]=b")
	f.Fuzz(func(t *testing.T, method, target string) {
		if !strings.HasPrefix(target, "/") || strings.ContainsAny(target, " \t\r\n#") || strings.ContainsAny(method, " \t\r\n/") || method == "" {
			return
		}
		r := newRig(t)
		r.integration("acme")
		r.connection("acme", "c")
		defer func() {
			if p := recover(); p != nil && !strings.Contains(sprint(p), "invalid NewRequest arguments") {
				panic(p)
			}
		}()
		rec := r.quiet(method, target, `{}`, full)
		if rec.Code >= 500 || strings.Contains(rec.Body.String(), canary) {
			t.Errorf("%s %s: %d %s", method, target, rec.Code, rec.Body)
		}
	})
}

func sprint(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return ""
}
