package api

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// integrationBody is acme with fields laid over it, as JSON texts by their
// names; an empty text takes a field away. Those after a dot are in the config.
func integrationBody(over map[string]string) string {
	top := map[string]json.RawMessage{"provider": []byte(`"private-api-generic"`), "unique_key": []byte(`"acme"`)}
	cfg := map[string]json.RawMessage{"baseUrl": []byte(`"https://a.example"`), "keyName": []byte(`"X-Key"`)}
	for name, value := range over {
		at := top
		if rest, ok := strings.CutPrefix(name, "."); ok {
			name, at = rest, cfg
		}
		at[name] = json.RawMessage(value)
		if value == "" {
			delete(at, name)
		}
	}
	if _, ok := over["integration_config"]; !ok {
		top["integration_config"], _ = json.Marshal(cfg)
	}
	if over["integration_config"] == "" && slices.Contains(slices.Collect(maps.Keys(over)), "integration_config") {
		delete(top, "integration_config")
	}
	b, _ := json.Marshal(top)
	return string(b)
}

func TestWhatIsWrongWithAnIntegration(t *testing.T) {
	long := func(n int) string { return `"` + strings.Repeat("x", n) + `"` }
	type over = map[string]string
	config := func(field string) string { return ` @ ["integration_config","` + field + `"]` }
	for name, tc := range map[string]struct {
		over over
		want []string // all faults, no others
	}{
		"no config":                           {over{"integration_config": ""}, []string{"Base URL is required" + config("baseUrl"), "Key name is required" + config("keyName")}},
		"an empty config":                     {over{"integration_config": "{}"}, []string{"Base URL is required" + config("baseUrl"), "Key name is required" + config("keyName")}},
		"a config of null":                    {over{"integration_config": "null"}, []string{`integration_config must be an object @ ["integration_config"]`}},
		"no base URL":                         {over{".baseUrl": ""}, []string{"Base URL is required" + config("baseUrl")}},
		"an empty base URL":                   {over{".baseUrl": `""`}, []string{"Base URL is required" + config("baseUrl")}},
		"a base URL that is none":             {over{".baseUrl": `"api.acme.example"`}, []string{"Base URL has an invalid format" + config("baseUrl")}},
		"another scheme":                      {over{".baseUrl": `"ftp://a.example"`}, []string{"Base URL has an invalid format" + config("baseUrl")}},
		"a base URL with a query":             {over{".baseUrl": `"https://a.example?x"`}, []string{"Base URL must be a valid URL" + config("baseUrl")}},
		"a base URL with a user":              {over{".baseUrl": `"https://u:p@a.example"`}, []string{"Base URL must be a valid URL" + config("baseUrl")}},
		"a base URL without a host":           {over{".baseUrl": `"https://"`}, []string{"Base URL must be a valid URL" + config("baseUrl")}},
		"a base URL that climbs":              {over{".baseUrl": `"https://a.example/v1/../x"`}, []string{"Base URL must be a valid URL" + config("baseUrl")}},
		"the key in the base URL":             {over{".baseUrl": `"https://a.example/${apiKey}"`}, []string{"Base URL must be a valid URL" + config("baseUrl")}},
		"a base URL too long":                 {over{".baseUrl": long(8193)}, []string{"Base URL must have at most 8192 characters" + config("baseUrl")}},
		"a base URL of a number":              {over{".baseUrl": `5`}, []string{"Base URL must be a string" + config("baseUrl")}},
		"a base URL of null":                  {over{".baseUrl": `null`}, []string{"Base URL must be a string" + config("baseUrl")}},
		"another placement":                   {over{".keyPlacement": `"cookie"`}, []string{"Key placement must be one of: header, query" + config("keyPlacement")}},
		"no key name":                         {over{".keyName": ""}, []string{"Key name is required" + config("keyName")}},
		"an empty key name":                   {over{".keyName": `""`}, []string{"Key name is required" + config("keyName")}},
		"a key name that is none":             {over{".keyName": `"X Key"`}, []string{"Key name has an invalid format" + config("keyName")}},
		"a hop-by-hop key name":               {over{".keyName": `"Connection"`}, []string{"Key name has an invalid format" + config("keyName")}},
		"a template without key":              {over{".valueTemplate": `"Bearer"`}, []string{"Value template has an invalid format" + config("valueTemplate")}},
		"an unknown placeholder":              {over{".valueTemplate": `"${apiKey}${x}"`}, []string{"Value template has an invalid format" + config("valueTemplate")}},
		"a label of two lines":                {over{".keyLabel": `"a\nb"`}, []string{"Key label has an invalid format" + config("keyLabel")}},
		"a path":                              {over{".path": `"kv/other"`}, []string{"Unknown field path" + config("path")}},
		"a key, a store":                      {over{"key": `"x"`, "store": `"x"`}, []string{`Unknown field key @ ["key"]`, `Unknown field store @ ["store"]`}},
		"no provider":                         {over{"provider": ""}, []string{`provider is required @ ["provider"]`}},
		"another provider":                    {over{"provider": `"github"`}, []string{`Invalid provider @ ["provider"]`}},
		"no unique key":                       {over{"unique_key": ""}, []string{`Unique key is required @ ["unique_key"]`}},
		"an empty unique key":                 {over{"unique_key": `""`}, []string{`Unique key is required @ ["unique_key"]`}},
		"a unique key with a slash":           {over{"unique_key": `"a/b"`}, []string{`Unique key has an invalid format @ ["unique_key"]`}},
		"a unique key that climbs":            {over{"unique_key": `".."`}, []string{`Unique key has an invalid format @ ["unique_key"]`}},
		"a unique key that no header carries": {over{"unique_key": `" a"`}, []string{`Unique key has an invalid format @ ["unique_key"]`}},
		"a unique key too long":               {over{"unique_key": long(256)}, []string{`Unique key must have at most 255 characters @ ["unique_key"]`}},
		"a display name too long":             {over{"display_name": long(256)}, []string{`Display name must have at most 255 characters @ ["display_name"]`}},
		"flags that are none":                 {over{"disabled": `1`, "forward_webhooks": `"yes"`}, []string{`disabled must be a boolean @ ["disabled"]`, `forward_webhooks must be a boolean @ ["forward_webhooks"]`}},
		"a help text too long":                {over{"connect": `{"help_text":` + long(1001) + `}`}, []string{`Help text must have at most 1000 characters @ ["connect","help_text"]`}},
		"links that run":                      {over{"connect": `{"help_url":"javascript:alert(1)","logo_url":"http://h.example/l.png"}`}, []string{`Help URL must be an https URL @ ["connect","help_url"]`, `Logo URL must be an https URL @ ["connect","logo_url"]`}},
		"an age that is none":                 {over{"max_age": `"soon"`}, []string{`Max age must be a duration such as 90d or 720h @ ["max_age"]`}},
		"an age below zero":                   {over{"max_age": `"-1h"`}, []string{`Max age must be a duration such as 90d or 720h @ ["max_age"]`}},
		"an age without end":                  {over{"max_age": `"99999d"`}, []string{`Max age must be at most 3650d @ ["max_age"]`}},
		"statuses that refuse no key": {over{"refused_statuses": `[399,401,500,"x",401.5]`, "refused_after": `0`}, []string{
			`Refused statuses must be from 400 to 499 @ ["refused_statuses",0]`, `Refused statuses must be from 400 to 499 @ ["refused_statuses",2]`,
			`Refused statuses must be a whole number @ ["refused_statuses",3]`, `Refused statuses must be a whole number @ ["refused_statuses",4]`,
			`Refused after must be at least 1 @ ["refused_after"]`,
		}},
		"one status that refuses": {over{"refused_statuses": `401`, "refused_after": `1001`}, []string{`Refused statuses must be an array of numbers @ ["refused_statuses"]`, `Refused after must be at most 1000 @ ["refused_after"]`}},
		"a verification without a path": {over{"verification": `{"method":"PUT"}`}, []string{
			`Verification method must be one of: GET, HEAD, POST @ ["verification","method"]`, `Verification path is required @ ["verification","path"]`,
		}},
		"a verification elsewhere": {over{"verification": `{"path":"https://evil.example/"}`}, []string{`Verification path must be a path below the base URL @ ["verification","path"]`}},
		"a verification of a host": {over{"verification": `{"path":"//evil.example/"}`}, []string{`Verification path must be a path below the base URL @ ["verification","path"]`}},
		"a verification that climbs": {over{"verification": `{"path":"/a/%2e%2e/x","headers":{"Connection":"x","A b":"x","C":"${apiKey}"},"success":[99,200,600,"x"]}`}, []string{
			`Verification path must be a path below the base URL @ ["verification","path"]`,
			`Verification header has an invalid format @ ["verification","headers","Connection"]`, `Verification header has an invalid format @ ["verification","headers","A b"]`,
			`Verification header has an invalid format @ ["verification","headers","C"]`,
			`Verification success must be a whole number @ ["verification","success",3]`,
			`Verification success must be a status from 200 to 599 @ ["verification","success",0]`, `Verification success must be a status from 200 to 599 @ ["verification","success",2]`,
		}},
		"a bearer that is none": {over{"provider": `"private-api-bearer"`, ".keyName": `"X-Key"`, ".keyPlacement": `"query"`, ".valueTemplate": `"${apiKey}"`}, []string{
			"Key name must be Authorization for private-api-bearer" + config("keyName"), "Key placement must be header for private-api-bearer" + config("keyPlacement"),
			"Value template must be Bearer ${apiKey} for private-api-bearer" + config("valueTemplate"),
		}},
		"everything at once": {over{"unique_key": `"a/b"`, "x": `1`, "display_name": `[]`, ".keyPlacement": `"a"`, ".keyName": `7`, ".foo": `""`, ".baseUrl": `"x"`}, []string{
			`Unique key has an invalid format @ ["unique_key"]`, `Unknown field x @ ["x"]`, `Display name must be a string @ ["display_name"]`, "Unknown field foo" + config("foo"),
			"Key placement must be one of: header, query" + config("keyPlacement"), "Key name must be a string" + config("keyName"), "Base URL has an invalid format" + config("baseUrl"),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			a := r.do("POST", "/integrations", integrationBody(tc.over)).is(400, "invalid_body")
			want := map[string]bool{}
			for _, w := range tc.want {
				want[w] = true
			}
			if got := a.faults(); !maps.Equal(got, want) {
				t.Errorf("got  %v\nwant %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
			}
			if len(r.ints) > 0 {
				t.Error("it was made all the same")
			}
		})
	}
}

func TestASingleFaultIsTheMessage(t *testing.T) {
	r := newRig(t)
	r.do("POST", "/integrations", integrationBody(map[string]string{".baseUrl": ""})).is(400, "invalid_body").
		want("Base URL is required", "error", "message").want("invalid_type", "error", "errors", 0, "code")
	r.do("POST", "/integrations", integrationBody(map[string]string{".baseUrl": "", ".keyName": ""})).is(400, "invalid_body").
		want("The body is invalid", "error", "message")
}

func TestADetailSaysWhatTheMessageDoesNot(t *testing.T) {
	r := newRig(t)
	a := r.do("POST", "/integrations", integrationBody(map[string]string{".baseUrl": `"https://a.example?x"`})).is(400, "invalid_body")
	if d := a.at("error", "errors", 0, "detail"); !strings.Contains(d, "query") {
		t.Errorf("the detail is %q", d)
	}
}

func TestAges(t *testing.T) {
	for in, want := range map[string]string{"": "", "0s": "", "90d": "90d", "24h": "1d", "36h": "36h0m0s", "1d12h": "36h0m0s", "90m": "1h30m0s"} {
		d, ok := parseAge(in)
		if got := formatAge(d); !ok || got != want {
			t.Errorf("%q: got %q, %v, want %q", in, got, ok, want)
		}
		if again, ok := parseAge(formatAge(d)); !ok || again != d {
			t.Errorf("%q: what is written reads as %v", in, again)
		}
	}
}
