// B1, B2, B3, B4, B7: how base URL and request become the upstream's URL.

package requests

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

func TestB1B2B7BaseAndPathAreJoined(t *testing.T) {
	r := newRig(t)
	u := harness.NewUpstream(t, nil)
	cases := []struct {
		name, base, line, target string
		want                     []string
		addr, addrStripped       string
	}{
		{name: "B1 no path", target: "/users", want: []string{"/users"}},
		{name: "B1 a slash", base: "/", target: "/users", want: []string{"/users"}},
		{name: "B1 a path", base: "/v1", target: "/users", want: []string{"/v1/users"}},
		{name: "B1 a path with a slash", base: "/v1/", target: "/users", want: []string{"/v1/users"}},
		{name: "B1 a path with two slashes", base: "/v1//", target: "/users", want: []string{"/v1/users"}},
		{name: "B1 an escaped path", base: "/a%2Fb/c%20d", target: "/users", want: []string{"/a%2Fb/c%20d/users"}},
		{name: "B1 an escaped slash in both", base: "/a%2Fb", target: "/x%2Fy", want: []string{"/a%2Fb/x%2Fy"}},
		{name: "B2 the root", target: "/", want: []string{"/"}},
		{name: "B2 the root below a path", base: "/v1", target: "/", want: []string{"/v1", "/v1/"}},
		{name: "B2 the root below a path with a slash", base: "/v1/", target: "/", want: []string{"/v1", "/v1/"}},
		{name: "B2 the root and a query", base: "/v1", target: "/?a=1", want: []string{"/v1?a=1", "/v1/?a=1"}},
		{name: "B2 nothing", target: "http://any.example", want: []string{"/"}},
		{name: "B2 nothing below a path", base: "/v1", target: "http://any.example", want: []string{"/v1", "/v1/"}},
		{name: "B2 nothing and a query", base: "/v1", target: "http://any.example?a=1", want: []string{"/v1?a=1", "/v1/?a=1"}},
		{name: "B7 absolute form of another host", base: "/v1", target: "http://evil.example/users?a", want: []string{"/v1/users?a"}},
		{name: "B7 absolute form of another scheme", base: "/v1", target: "https://evil.example:8443/users", want: []string{"/v1/users"}},
		{name: "B7 absolute form with a user", base: "/v1", target: "http://user:pass@evil.example/users", want: []string{"/v1/users"}},
	}
	for i := range cases {
		c := &cases[i]
		c.addr = r.site(route("", u.URL()+c.base, inHeader))
		c.addrStripped = r.site(route("/p*", u.URL()+c.base, inHeader, "strip_prefix /p"))
	}
	r.start()

	for _, c := range cases {
		for _, host := range []string{"", "evil.example", "EVIL.example:99", "localhost"} {
			t.Run(c.name+", Host "+host, func(t *testing.T) {
				u.Forget()
				if host == "" {
					host = c.addr
				}
				harness.Exchange(t, c.addr, nil, get(host, c.target))
				checkJoined(t, u.Only(), u.Addr(), c.want)
			})
		}
		if rest, ok := strings.CutPrefix(c.target, "/"); ok {
			t.Run(c.name+", behind a prefix", func(t *testing.T) {
				u.Forget()
				target := "/p" + c.target
				if strings.HasPrefix(c.name, "B2") {
					target = "/p" + rest
				}
				harness.Exchange(t, c.addrStripped, nil, get("evil.example", target))
				checkJoined(t, u.Only(), u.Addr(), c.want)
			})
		}
	}
}

func checkJoined(t *testing.T, got *harness.Request, authority string, want []string) {
	t.Helper()
	ok := false
	for _, w := range want {
		ok = ok || got.Target == w
	}
	if !ok {
		t.Errorf("received %s, want one of %q", got.Target, want)
	}
	wantLines(t, got, "Host", "Host: "+authority)
	wantLines(t, got, "X-Api-Key", "X-Api-Key: "+key)
	if s := got.String(); strings.Contains(strings.ToLower(s), "evil") || strings.Contains(s, "any.example") {
		t.Errorf("received the client's authority: %s", s)
	}
}

// The default ports are not ours to listen on, so the requests are caught by a
// forward proxy that the operator's transport names.
func TestB3HostIsLowerCaseWithoutADefaultPort(t *testing.T) {
	r := newRig(t)
	ca := harness.NewCA(t)
	inClear, secure := harness.NewUpstream(t, nil), harness.NewUpstream(t, ca.ServerTLS("api.example", "xn--bcher-kva.example"))
	connect := newTunnels(t, secure.Addr())
	proxied := func(proxy string) string {
		return fmt.Sprintf("transport http {\n\t\t\tnetwork_proxy url http://%s\n\t\t\ttls_trust_pool file %s\n\t\t}", proxy, ca.File)
	}
	cases := []struct{ base, host, via, addr string }{
		{base: "http://API.Example", host: "api.example"},
		{base: "http://Api.example:80/v1", host: "api.example"},
		{base: "http://api.example:8080", host: "api.example:8080"},
		{base: "http://api.example:443", host: "api.example:443"},
		{base: "https://API.EXAMPLE:443/v1/", host: "api.example", via: "api.example:443"},
		{base: "HTTPS://api.example", host: "api.example", via: "api.example:443"},
		{base: "https://api.example:80", host: "api.example:80", via: "api.example:80"},
		{base: "https://Bücher.example", host: "xn--bcher-kva.example", via: "xn--bcher-kva.example:443"},
	}
	for i := range cases {
		c := &cases[i]
		proxy := inClear.Addr()
		if c.via != "" {
			proxy = connect.addr
		}
		c.addr = r.site(route("", c.base, inHeader, proxied(proxy)))
	}
	r.start()

	for _, c := range cases {
		t.Run(c.base, func(t *testing.T) {
			u := inClear
			if c.via != "" {
				u = secure
			}
			u.Forget()
			if answer := harness.Exchange(t, c.addr, nil, get("evil.example", "/x")); answer.Status != 200 {
				t.Fatalf("answered %q", answer.Raw)
			}
			got := u.Only()
			wantLines(t, got, "Host", "Host: "+c.host)
			if c.via == "" && !strings.HasPrefix(got.Target, "http://"+c.host+"/") {
				t.Errorf("the proxy was asked for %s", got.Target)
			}
			if via := connect.last(); c.via != "" && via != c.via {
				t.Errorf("the tunnel was asked for %s, want %s", via, c.via)
			}
		})
	}
}

func TestB4BaseURLsThatAreRefused(t *testing.T) {
	env := harness.Env("VAULT_ADDR=http://127.0.0.1:1", "VAULT_TOKEN=x")
	for i, base := range []string{
		"https://user:canary-pass@api.example", "https://user@api.example", "https://api.example?a=canary-pass", "https://api.example/v1?",
		"https://api.example#f", "https://api.example/#", "mailto:a@api.example", "ftp://api.example", "api.example", "//api.example",
		"https://", "https:///v1", "https://:443", "https://api.example:0", "https://api.example:70000", "https://api.example:", "https:api.example",
		"https://api.example/v1/../v2", "https://api.example/%2e%2e/v2", "https://a b", "unix//run/x.sock", "https://api.example/${apiKey}",
	} {
		t.Run(fmt.Sprintf("B4 no. %d", i+1), func(t *testing.T) {
			t.Log(base) // not in the name: that is also the folder's, which messages name
			config := "{\n\tapikey_inject {\n\t\tintegration x {\n\t\t\tbase_url \"" + base + "\"\n\t\t\tname X-Api-Key\n\t\t\tkey prod\n\t\t}\n\t}\n}\n"
			adapted := harness.Adapt(t, config, env)
			checkRefused(t, adapted, "base_url", "Caddyfile:4")
			var url strings.Builder
			if err := json.NewEncoder(&url).Encode(base); err != nil {
				t.Fatal(err)
			}
			checkRefused(t, harness.Validate(t, `{"apps":{"apikey_inject":{"integrations":{"x":{"base_url":`+url.String()+`,"key_name":"X-Api-Key","key":{"path":"prod"}}}}}}`, env),
				"base_url", "integrations.x")
		})
	}
}

func checkRefused(t *testing.T, res harness.Result, names ...string) {
	t.Helper()
	if res.Code == 0 {
		t.Errorf("accepted: %s", res.Stdout)
	}
	for _, name := range names {
		if !strings.Contains(res.Stderr, name) {
			t.Errorf("the message does not name %s: %s", name, res.Stderr)
		}
	}
	if strings.Contains(res.Stderr, "canary-pass") {
		t.Errorf("the message holds what may be a secret: %s", res.Stderr)
	}
}
