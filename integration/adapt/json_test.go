// Wrong configurations in JSON: the message has the path of the wrong field,
// what is allowed, and the nearest word for a typo.

package adapt

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
)

// fields are the fields that a case sets over a configuration that is right;
// nil takes one away.
type fields map[string]any

func (f fields) over(base fields) fields {
	out := maps.Clone(base)
	for name, value := range f {
		out[name] = value
		if value == nil {
			delete(out, name)
		}
	}
	return out
}

// rightIntegration holds what each integration needs.
var rightIntegration = fields{
	"base_url": "https://api.example", "key_name": "X-Api-Key", "key": fields{"path": "acme/prod"}, "allow": fields{"anyone": true},
}

// config is a configuration with one route and, when app is not nil, our app.
func config(t *testing.T, handler, app fields) string {
	t.Helper()
	apps := fields{"http": fields{"servers": fields{"main": fields{
		"listen": []string{"127.0.0.1:1"},
		"routes": []fields{{"handle": []fields{handler.over(fields{"handler": "apikey_inject"})}}},
	}}}}
	if app != nil {
		apps["apikey_inject"] = app
	}
	raw, err := json.Marshal(fields{"apps": apps})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// wrongIntegrations are wrong wherever an integration stands. The path is
// relative to it.
var wrongIntegrations = []struct {
	name string
	set  fields
	want []string // the path first
}{
	{"base_url missing", fields{"base_url": nil}, []string{"base_url: ", "is required"}},
	{"base_url with userinfo", fields{"base_url": "https://u:" + canary + "@api.example"}, []string{"base_url: ", "user or password"}},
	{"base_url with a query", fields{"base_url": "https://api.example?key=" + canary}, []string{"base_url: ", "must not hold a query"}},
	{"base_url with a fragment", fields{"base_url": "https://api.example#" + canary}, []string{"base_url: ", "must not hold a fragment"}},
	{"base_url mailto", fields{"base_url": "mailto:u:" + canary + "@api.example"}, []string{"base_url: ", "http(s)://host"}},
	{"base_url ftp", fields{"base_url": "ftp://api.example"}, []string{"base_url: ", `scheme "ftp"`}},
	{"base_url without scheme", fields{"base_url": "api.example"}, []string{"base_url: ", "no scheme"}},
	{"base_url with a placeholder", fields{"base_url": "https://{env.HOST}"}, []string{"base_url: ", "placeholder"}},
	{"placement", fields{"key_placement": "cookie"}, []string{"key_placement: ", "header, query"}},
	{"name missing", fields{"key_name": nil}, []string{"key_name: ", "is required"}},
	{"name hop-by-hop", fields{"key_name": "TE"}, []string{"key_name: ", "hop-by-hop"}},
	{"name Host", fields{"key_name": "Host"}, []string{"key_name: ", "cannot carry a key"}},
	{"name no token", fields{"key_name": "X Api"}, []string{"key_name: ", "not a header name"}},
	{"template without key", fields{"value_template": "Bearer " + canary}, []string{"value_template: ", "${apiKey}"}},
	{"template unknown placeholder", fields{"value_template": "${apikey}"}, []string{"value_template: ", "did you mean ${apiKey}?"}},
	{"template Caddy placeholder", fields{"value_template": canary + " {env.X} ${apiKey}"}, []string{"value_template: ", "{env"}},
	{"key path missing", fields{"key": fields{"field": "x"}}, []string{"key.path: ", "is required"}},
	{"key path dots", fields{"key": fields{"path": "a/../b"}}, []string{"key.path: ", ". or .."}},
	{"key mount dots", fields{"key": fields{"path": "a", "mount": "../sys"}}, []string{"key.mount: ", ". or .."}},
	{"key unknown store", fields{"key": fields{"path": "a", "store": "valt"}}, []string{"key.store: ", `did you mean "vault"?`}},
	{"key typo", fields{"key": fields{"path": "a", "mout": "kv"}}, []string{"key: unknown field", `did you mean "mount"?`}},
	{"key no object", fields{"key": canary}, []string{"key: ", "must be an object"}},
	{"typo", fields{"key_nam": "X"}, []string{`unknown field "key_nam"`, `did you mean "key_name"?`}},
	{"wrong type", fields{"key_name": 5}, []string{"key_name: ", "must be a string"}},
	{"number where text belongs", fields{"value_template": 987654321}, []string{"value_template: ", "must be a string"}},
	{"text where a flag belongs", fields{"disabled": "yes"}, []string{"disabled: ", "must be a boolean"}},
	{"allow nobody", fields{"allow": fields{}}, []string{"allow: ", "users, client_certs, tokens, anyone"}},
	{"allow typo", fields{"allow": fields{"user": []string{"a"}}}, []string{"allow: unknown field", `did you mean "users"?`}},
	{"allow no list", fields{"allow": fields{"users": "alice"}}, []string{"allow.users: ", "must be an array"}},
	{"allow empty name", fields{"allow": fields{"users": []string{""}}}, []string{"allow: ", "empty name"}},
	{"allow_origin", fields{"allow_origin": []string{"https://app.example/"}}, []string{"allow_origin: ", "is no origin"}},
	{"caller literal", fields{"caller": "alice"}, []string{"caller: ", "no placeholder"}},
	{"strip_prefix", fields{"strip_prefix": "acme"}, []string{"strip_prefix: ", "begin with a slash"}},
	{"audit no flag", fields{"audit": "on"}, []string{"audit: ", "must be a boolean"}},
	{"refused_statuses success", fields{"refused_statuses": []int{401, 200}}, []string{"refused_statuses: ", "200 is no status", "400 to 499"}},
	{"refused_statuses no list", fields{"refused_statuses": 401}, []string{"refused_statuses: ", "must be an array"}},
	{"refused_statuses words", fields{"refused_statuses": []string{"off"}}, []string{"refused_statuses", "must be"}},
	{"refused_after", fields{"refused_after": 1001}, []string{"refused_after: ", "1 to 1000"}},
	{"max_age negative", fields{"max_age": -1}, []string{"max_age: ", "negative"}},
	{"verification without a path", fields{"verification": fields{"method": "GET"}}, []string{"verification.path: ", "is required"}},
	{"verification elsewhere", fields{"verification": fields{"path": "//other.example/"}}, []string{"verification.path: ", "below the base URL"}},
	{"verification interval", fields{"verification": fields{"path": "/", "interval": "9s"}}, []string{"verification.interval: ", "10s"}},
	{"verification method", fields{"verification": fields{"path": "/", "method": "PUT"}}, []string{"verification.method: ", "GET, HEAD, POST"}},
	{"verification unknown", fields{"verification": fields{"path": "/", "every": "1h"}}, []string{"verification", "every", "interval"}},
	{"connect help_text", fields{"connect": fields{"help_text": strings.Repeat("x", 1001)}}, []string{"connect.help_text: ", "1000"}},
	{"connect help_url", fields{"connect": fields{"help_url": "https://u:" + canary + "@acme.example"}}, []string{"connect.help_url: ", "https URL"}},
	{"replay_buffer negative", fields{"replay_buffer": -1}, []string{"replay_buffer: ", "0 to 16777216"}},
	{"replay_buffer too large", fields{"replay_buffer": 16<<20 + 1}, []string{"replay_buffer: ", "0 to 16777216"}},
	{"replay_buffer text", fields{"replay_buffer": "64KiB"}, []string{"replay_buffer: ", "must be"}},
	{"replay_buffer typo", fields{"replay_bufer": 0}, []string{"unknown field", `did you mean "replay_buffer"?`}},
	{"connection_config empty", fields{"connection_config": fields{"tenant": ""}}, []string{"connection_config: ", "tenant is empty"}},
	{"connection_config type", fields{"connection_config": fields{"tenant": 1}}, []string{"connection_config: ", "must be a string"}},
}

// Caddy's own route path leads to the handler, and our field follows.
const handlerPath = "server main: setting up route handlers: route 0: loading handler modules: position 0: loading module 'apikey_inject': "

func TestWrongHandlerJSON(t *testing.T) {
	environment(t)
	for _, c := range wrongIntegrations {
		t.Run(c.name, func(t *testing.T) {
			checkJSON(t, config(t, c.set.over(rightIntegration), nil), append([]string{handlerPath}, c.want...)...)
		})
	}
	perConnection := fields{"path": "customers/${connectionId}"}
	for _, c := range []struct {
		name string
		set  fields
		want []string
	}{
		{"connection from a header without allow", fields{"key": perConnection, "allow": nil, "connection": "{http.request.header.X}"}, []string{"connection: ", "allow in the same block"}},
		{"connection from vars without allow", fields{"key": perConnection, "allow": nil, "connection": "{http.vars.x}"}, []string{"connection: ", "allow in the same block"}},
		{"connection missing", fields{"key": perConnection}, []string{"connection: ", "is required"}},
		{"connection with everybody's key", fields{"connection": "cust-1"}, []string{"key.path: ", "${connectionId}"}},
		{"connection_config missing", fields{"value_template": "${connectionConfig.tenant}${apiKey}"}, []string{"value_template: ", `no "tenant"`}},
		{"upstreams", fields{"proxy": fields{"handler": "reverse_proxy", "upstreams": []fields{{"dial": "127.0.0.1:9"}}}}, []string{"proxy.upstreams: ", "the upstream is base_url"}},
		{"dynamic upstreams", fields{"proxy": fields{"handler": "reverse_proxy", "dynamic_upstreams": fields{"source": "a"}}}, []string{"proxy.dynamic_upstreams: ", "the upstream is base_url"}},
		{"other proxy", fields{"proxy": fields{"handler": "static_response"}}, []string{"proxy.handler: ", "must be reverse_proxy"}},
		{"proxy no object", fields{"proxy": "x"}, []string{"proxy: ", "no JSON object"}},
		{"other transport", fields{"proxy": fields{"handler": "reverse_proxy", "transport": fields{"protocol": "fastcgi"}}}, []string{"proxy.transport.protocol: ", "must be http"}},
		{"our transport", fields{"proxy": fields{"handler": "reverse_proxy", "transport": fields{"protocol": "apikey_inject"}}}, []string{"proxy.transport.protocol: ", "must be http"}},
		{"proxy protocol", fields{"proxy": fields{"handler": "reverse_proxy", "transport": fields{"protocol": "http", "proxy_protocol": "v2"}}}, []string{"proxy.transport.proxy_protocol: ", "who calls"}},
		{"header set", headerUp("set", fields{"x_API-key": []string{canary}}), []string{"proxy.headers.request: ", "carries the key"}},
		{"header add", headerUp("add", fields{"X-Api-Key": []string{canary}}), []string{"proxy.headers.request: ", "carries the key"}},
		{"header delete", headerUp("delete", []string{"X-Api-Key"}), []string{"proxy.headers.request: ", "carries the key"}},
		{"header replace", headerUp("replace", fields{"X-Api-Key": []fields{{"search": "a", "replace": canary}}}), []string{"proxy.headers.request: ", "carries the key"}},
		{"proxy typo", fields{"proxy": fields{"handler": "reverse_proxy", "flush_intervall": -1}}, []string{"flush_intervall"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkJSON(t, config(t, c.set.over(rightIntegration), nil), append([]string{handlerPath}, c.want...)...)
		})
	}
}

// headerUp is a proxy with an operation on request headers.
func headerUp(op string, value any) fields {
	return fields{"proxy": fields{"handler": "reverse_proxy", "headers": fields{"request": fields{op: value}}}}
}

func TestWrongIntegrationJSON(t *testing.T) {
	environment(t)
	unused := fields{"handler": "static_response"}
	for _, c := range wrongIntegrations {
		t.Run(c.name, func(t *testing.T) {
			want := append([]string{"apikey_inject app module: ", "integrations.acme"}, c.want...)
			checkJSON(t, config(t, unused, fields{"integrations": fields{"acme": c.set.over(rightIntegration)}}), want...)
		})
	}
	vault := func(set fields) fields { return fields{"stores": fields{"vault": set.over(fields{"store": "vault"})}} }
	auth := func(set fields) fields { return vault(fields{"auth": set}) }
	for _, c := range []struct {
		name string
		app  fields
		want []string
	}{
		{"unique key", fields{"integrations": fields{"a/b": rightIntegration}}, []string{"integrations: ", "no unique key"}},
		{"unique key", fields{"integrations": fields{"a ": rightIntegration}}, []string{"integrations: ", "no unique key"}},
		{"null integration", fields{"integrations": fields{"acme": nil}}, []string{"integrations.acme", "base_url: is required"}},
		{"transport protocol", fields{"integrations": fields{"acme": fields{"transport": fields{"protocol": "fastcgi"}}.over(rightIntegration)}}, []string{"integrations.acme.transport.protocol: ", "must be http"}},
		{"app typo", fields{"integration": fields{}}, []string{`unknown field "integration"`, `did you mean "integrations"?`}},
		{"app wrong type", fields{"default_store": 7}, []string{"default_store: ", "must be a string"}},
		{"default store unknown", fields{"default_store": "valt"}, []string{"default_store: ", `did you mean "vault"?`}},
		{"default store missing", fields{"stores": fields{"a": fields{"store": "vault"}, "b": fields{"store": "local"}}}, []string{"default_store: ", "is required", "a, b"}},
		{"store module unknown", fields{"stores": fields{"a": fields{"store": "valt"}}}, []string{"stores: ", "apikey_inject.stores.valt"}},
		{"store typo", vault(fields{"adresses": []string{"x"}}), []string{"stores: ", "vault", `unknown field "adresses"`, `did you mean "addresses"?`}},
		{"store address", vault(fields{"addresses": []string{"https://root:" + canary + "@vault"}}), []string{"stores: ", "addresses: ", "user or password"}},
		{"store mount", vault(fields{"mount": "../sys"}), []string{"stores: ", "mount: ", ". or .."}},
		{"store ttl", vault(fields{"ttl": "10ms"}), []string{"stores: ", "ttl: ", "at least 1s"}},
		{"store ttl no duration", vault(fields{"ttl": "soon"}), []string{"stores: ", "ttl: "}},
		{"store max_stale", vault(fields{"ttl": "10m", "max_stale": "5m"}), []string{"stores: ", "max_stale: ", "at least the ttl"}},
		{"store client certificate", vault(fields{"tls_client_auth": fields{"certificate": "a"}}), []string{"stores: ", "tls_client_auth: "}},
		{"auth unknown", auth(fields{"method": "aprole"}), []string{"stores: ", "auth: ", `did you mean "approle"?`}},
		{"auth method is the token", auth(fields{"method": canary}), []string{"stores: ", "auth: ", "unknown method"}},
		{"auth typo", auth(fields{"method": "token", "tokn": "{env.VAULT_TOKEN}"}), []string{"stores: ", "auth: unknown field", `did you mean "token"?`}},
		{"auth token literal", auth(fields{"method": "token", "token": canary}), []string{"stores: ", "auth.token: ", "in clear"}},
		{"auth token number", auth(fields{"method": "token", "token": 424242}), []string{"stores: ", "auth.token: ", "must be a string"}},
		{"auth token missing", auth(fields{"method": "token"}), []string{"stores: ", "auth: ", "token needs token"}},
		{"auth token of a request", auth(fields{"method": "token", "token": "{http.request.header.X}"}), []string{"stores: ", "auth.token: ", "cannot come from a request"}},
		{"auth token unset", auth(fields{"method": "token", "token": "{env.NOT_SET_ANYWHERE}"}), []string{"stores: ", "auth.token: ", "NOT_SET_ANYWHERE"}},
		{"auth other method's field", auth(fields{"method": "token", "token": "{env.VAULT_TOKEN}", "role_id": "x"}), []string{"stores: ", "auth: ", "takes no role_id"}},
		{"auth approle literal", auth(fields{"method": "approle", "role_id": "x", "secret_id": canary}), []string{"stores: ", "auth.secret_id: ", "in clear"}},
		{"auth userpass literal", auth(fields{"method": "userpass", "username": "x", "password": canary}), []string{"stores: ", "auth.password: ", "in clear"}},
		{"local keyset literal", fields{"stores": fields{"local": fields{"store": "local", "keyset": canary}}}, []string{"stores: ", "keyset: ", "in clear"}},
		{"local typo", fields{"stores": fields{"local": fields{"store": "local", "keyst": "x"}}}, []string{"stores: ", `did you mean "keyset"?`}},
		{"catalog typo", fields{"catalog": fields{"pth": "x"}}, []string{"catalog: unknown field", `did you mean "path"?`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkJSON(t, config(t, unused, c.app), append([]string{"apikey_inject app module: "}, c.want...)...)
		})
	}
}

func TestWrongRouteToNamedIntegrationJSON(t *testing.T) {
	environment(t)
	app := fields{"integrations": fields{"acme": rightIntegration}}
	cases := map[string]struct {
		set  fields
		want []string
	}{
		"unknown":     {fields{"integration": "acne"}, []string{"integration: ", `did you mean "acme"?`, "there are acme"}},
		"placeholder": {fields{"integration": "{http.request.header.X}"}, []string{"integration: ", "allow in the same block"}},
		"label_as":    {fields{"label_as": "x"}, []string{"label_as: ", "not allowed beside"}},
		"caller":      {fields{"caller": "alice"}, []string{"caller: ", "no placeholder"}},
		"header_up":   {headerUp("set", fields{"X-Api-Key": []string{canary}}), []string{"proxy.headers.request: ", "carries the key"}},
	}
	own := fields{
		"display_name": "x", "base_url": "https://b.example", "key_placement": "query", "key_name": "x", "value_template": "${apiKey}",
		"key_label": "x", "key": fields{"path": "x"}, "forward_credentials": true, "forwarded_headers": true, "insecure_http": true,
		"response_compression": true, "disabled": true, "transport": fields{"protocol": "http"},
	}
	for name, value := range own {
		cases["own field "+name] = struct {
			set  fields
			want []string
		}{fields{name: value}, []string{name + ": ", "not allowed beside"}}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			checkJSON(t, config(t, c.set.over(fields{"integration": "acme"}), app), append([]string{handlerPath}, c.want...)...)
		})
	}
	t.Run("transport here and there", func(t *testing.T) {
		both := fields{"integrations": fields{"acme": fields{"transport": fields{"protocol": "http"}}.over(rightIntegration)}}
		proxy := fields{"integration": "acme", "proxy": fields{"handler": "reverse_proxy", "transport": fields{"protocol": "http"}}}
		checkJSON(t, config(t, proxy, both), handlerPath, "proxy.transport: ", "transport of its own")
	})
	t.Run("none is defined", func(t *testing.T) {
		checkJSON(t, config(t, fields{"integration": "acme"}, nil), handlerPath, "integration: ", "none is defined")
	})
}

// checkJSON wants the configuration refused with one line that has each part,
// in that order, and nothing secret.
func checkJSON(t *testing.T, config string, want ...string) {
	t.Helper()
	err := validate(config)
	if err == nil {
		t.Fatalf("accepted: %s", config)
	}
	text := err.Error()
	if strings.Contains(text, "\n") {
		t.Errorf("the error has several lines: %q", text)
	}
	for _, leak := range []string{canary, "424242", "987654321"} {
		if strings.Contains(text, leak) {
			t.Errorf("the error holds %s: %s", leak, text)
		}
	}
	rest := text
	for _, part := range want {
		_, after, ok := strings.Cut(rest, part)
		if !ok {
			t.Fatalf("want %q in %s", fmt.Sprint(want), text)
		}
		rest = after
	}
}
