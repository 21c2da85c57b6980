// What hostile callers and odd configurations tried, each once with success.

package requests

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

func TestAttacksOfCallers(t *testing.T) {
	r := newRig(t)
	u := harness.NewUpstream(t, nil)
	query := r.site(route("", u.URL(), "placement query", "name key"))
	header := r.site(route("", u.URL()+"/v1", inHeader))
	method := r.site(route("", u.URL(), inHeader, "method {http.request.header.X-Method}"))
	caller := r.site("\tapikey_inject " + u.URL() + " {\n\t\tkey prod\n\t\tname X-Api-Key\n" +
		"\t\tcaller svc-{http.request.header.Remote-User}\n\t\tallow user *\n\t}")
	r.vault.Put("customers/one", map[string]any{"apiKey": key})
	chosen := r.site(route("", u.URL(), inHeader, "key customers/${connectionId}", "connection {http.request.uri.query.c}"))
	r.start()

	for _, c := range []struct {
		name, addr, request string
		status              int
		code, target        string // the refusal, or what the upstream received
	}{
		{"a fragment does not cut the key off", query, get(query, "/x?a=1#b"), 200, "", "/x?a=1%23b&key=" + key},
		{"an empty fragment neither", query, get(query, "/x?#"), 200, "", "/x?%23&key=" + key},
		{"a parameter of ours behind a fragment", query, get(query, "/x?key=mine#"), 200, "", "/x?key=" + key},
		{"a fragment in a path leaves its escapes", header, get(header, "/a%2Fb#c"), 200, "", "/v1/a%2Fb%23c"},
		{"dots before a fragment", header, get(header, "/a/..#/x"), 400, "bad_path", ""},
		{"dots before an escaped fragment", header, get(header, "/a/..%23/x"), 400, "bad_path", ""},
		{"dots before an escaped query", header, get(header, "/a/..%253fx"), 400, "bad_path", ""},
		{"a TRACE that a method option makes", method, get(method, "/", "X-Method: TRACE"), 405, "method_not_allowed", ""},
		{"a CONNECT that a method option makes", method, get(method, "/", "X-Method: connect"), 405, "method_not_allowed", ""},
		{"a TRACE in lower case", header, request("trace", header, "/", ""), 405, "method_not_allowed", ""},
		{"a caller of whom only the literal part is there", caller, get(caller, "/"), 403, "forbidden", ""},
		{"a caller whose name is empty", caller, get(caller, "/", "Remote-User:"), 403, "forbidden", ""},
		{"a caller who is named", caller, get(caller, "/", "Remote-User: billing"), 200, "", "/"},
		{"a second Origin", header, get(header, "/", "Origin: http://"+header, "Origin: https://evil.example"), 403, "forbidden", ""},
		{"a second Sec-Fetch-Site", header, get(header, "/", "Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site"), 403, "forbidden", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			u.Forget()
			answer := harness.Exchange(t, c.addr, nil, c.request)
			if c.code != "" {
				wantRefusal(t, answer, u.Hits(), c.status, c.code)
				return
			}
			if got := u.Only(); answer.Status != c.status || got.Target != c.target {
				t.Errorf("answered %d, the upstream received %q, want %q", answer.Status, got.Target, c.target)
			}
		})
	}

	// Vault answers 400 to them, which looks like a store that is away: a few
	// would take everybody's keys away.
	t.Run("ids that no store can print", func(t *testing.T) {
		u.Forget()
		for i := range 8 {
			for _, odd := range []string{"%e2%80%8b", "%c2%a0", "%e2%80%ae"} {
				wantRefusal(t, harness.Exchange(t, chosen, nil, get(chosen, fmt.Sprintf("/?c=x%d%s", i, odd))),
					u.Hits(), http.StatusBadRequest, "bad_connection")
			}
		}
		if a := harness.Exchange(t, chosen, nil, get(chosen, "/?c=one")); a.Status != http.StatusOK {
			t.Errorf("after them another connection was answered %q", a.Raw)
		}
	})
}

func TestConfigurationsThatHideAnOption(t *testing.T) {
	r := newRig(t)
	r.site("\trespond ok")
	r.start()
	handler := `{"handler": "apikey_inject", "base_url": "http://127.0.0.1:1", "key_name": "X-Api-Key", "allow": {"anyone": true}, `
	for name, c := range map[string]struct{ handler, field string }{
		"null for the proxy":             {handler + `"key": {"path": "prod"}, "proxy": null}`, "proxy"},
		"null for its transport":         {handler + `"key": {"path": "prod"}, "proxy": {"transport": null}}`, "proxy.transport"},
		"null inside of the transport":   {handler + `"key": {"path": "prod"}, "proxy": {"transport": {"keep_alive": null}}}`, "keep_alive"},
		"null for the base":              {`{"handler": "reverse_proxy", "transport": {"protocol": "apikey_inject", "base": null}}`, "base"},
		"upstreams in another casing":    {handler + `"key": {"path": "prod"}, "proxy": {"Dynamic_upstreams": {"source": "a", "name": "localhost", "port": "1"}}}`, "Dynamic_upstreams"},
		"proxy_protocol in another":      {handler + `"key": {"path": "prod"}, "proxy": {"transport": {"Proxy_protocol": "v2"}}}`, "Proxy_protocol"},
		"a placeholder inside another":   {handler + `"key": {"path": "c/${connectionId}"}, "connection": "{http.request.uri.query.{env.A}}"}`, "connection"},
		"a placeholder that is not shut": {handler + `"key": {"path": "c/${connectionId}"}, "connection": "{http.auth.user.id"}`, "connection"},
	} {
		t.Run(name, func(t *testing.T) {
			config := `{"admin": {"listen": "` + strings.TrimPrefix(r.caddy.Admin, "http://") + `"}, "apps": {"http": {"servers": {"s": {"listen": ["127.0.0.1:0"], "routes": [{"handle": [` + c.handler + `]}]}}}}}`
			status, body, err := r.caddy.Do(http.MethodPost, "/load", config)
			if err != nil || status != http.StatusBadRequest || !strings.Contains(body, c.field) {
				t.Errorf("answered %d %s %v, want a refusal of %s", status, body, err, c.field)
			}
		})
	}
}
