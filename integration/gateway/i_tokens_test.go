// I8 and I9: who may call, and who may say where to.

package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// many are tokens of every kind.
var many = settings{
	local: true,
	api: `		token reader {env.READER} {
			scopes integrations:read connections:read
		}
		token agents {env.AGENTS} {
			scopes proxy status
			integrations acme
		}
		token one {env.ONE} {
			scopes proxy connections:write connections:read
			connections cust-1
		}
		token monitor {env.MONITOR} {
			scopes status
		}
`,
	env: []string{"READER=reader-token-1", "AGENTS=agents-token-1", "ONE=one-token-1", "MONITOR=monitor-token-1"},
}

func TestI8WhoHasNoTokenOrScopeGetsNothing(t *testing.T) {
	r := newRig(t, many)
	r.integration("acme", "")
	r.integration("other", "")
	for _, id := range []string{"cust-1", "cust-2"} {
		r.connection("acme", id, "key-of-"+id)
		r.connection("other", id, "other-key-of-"+id)
	}
	gateway := []string{"Provider-Config-Key: acme", "Connection-Id: cust-1"}
	for _, c := range []struct {
		name  string
		lines []string
		code  string
	}{
		{"no token", nil, "missing_auth_header"},
		{"an empty header", []string{"Authorization:"}, "missing_auth_header"},
		{"a scheme alone", []string{"Authorization: Bearer"}, "missing_auth_header"},
		{"another scheme", []string{"Authorization: Basic " + ops}, "missing_auth_header"},
		{"a token without a scheme", []string{"Authorization: " + ops}, "missing_auth_header"},
		{"an unknown token", []string{"Authorization: Bearer nobody"}, "unknown_account"},
		{"a prefix of a token", []string{"Authorization: Bearer " + ops[:len(ops)-1]}, "unknown_account"},
		{"a token and more", []string{"Authorization: Bearer " + ops + "x"}, "unknown_account"},
		{"a token in capitals", []string{"Authorization: Bearer " + strings.ToUpper(ops)}, "unknown_account"},
		{"two headers, the first good", []string{"Authorization: Bearer " + ops, "Authorization: Bearer nobody"}, "missing_auth_header"},
		{"two headers, the second good", []string{"Authorization: Bearer nobody", "authorization: Bearer " + ops}, "missing_auth_header"},
		{"the same token twice", []string{"Authorization: Bearer " + ops, "Authorization: Bearer " + ops}, "missing_auth_header"},
		{"a list", []string{"Authorization: Bearer " + ops + ", Bearer " + ops}, "unknown_account"},
		{"another header", []string{"Proxy-Authorization: Bearer " + ops, "X-Api-Key: " + ops, "Nango-Proxy-Authorization: Bearer " + ops, "Cookie: token=" + ops}, "missing_auth_header"},
		{"underscores", []string{"Authorization_: Bearer " + ops}, "missing_auth_header"},
	} {
		t.Run("I8 "+c.name, func(t *testing.T) {
			r.up.Forget()
			for target, method := range map[string]string{
				"/integrations": "GET", "/connections?limit=1": "GET", "/status": "GET", "/integrations/acme": "DELETE", "/proxy/users": "GET",
				"/proxy/users?token=" + ops + "&access_token=" + ops + "&Authorization=Bearer%20" + ops: "POST",
			} {
				a := r.sendBare(t, method, target, "", append(c.lines, gateway...)...)
				if a.Status != http.StatusUnauthorized || !strings.Contains(string(a.Body), `"`+c.code+`"`) || a.Header.Get("Www-Authenticate") == "" {
					t.Errorf("%s %s: answered %s, want 401 %s", method, target, a.Raw, c.code)
				}
			}
			if n := r.up.Hits(); n != 0 {
				t.Errorf("%d hits", n)
			}
		})
	}

	const (
		yes = http.StatusOK
		no  = http.StatusForbidden
	)
	reader, agents, one, monitor := "reader-token-1", "agents-token-1", "one-token-1", "monitor-token-1"
	for _, c := range []struct {
		token, method, path string
		status              int
	}{
		{reader, "GET", "/integrations", yes},
		{reader, "GET", "/connections", yes},
		{reader, "POST", "/integrations", no},
		{reader, "DELETE", connectionPath("acme", "cust-1"), no},
		{reader, "PATCH", "/integrations/acme", no},
		{reader, "GET", "/status", no},
		{agents, "GET", "/status", yes},
		{agents, "GET", "/integrations", no},
		{agents, "POST", "/connections", no},
		{monitor, "GET", "/status", yes},
		{monitor, "GET", "/connections", no},
		{one, "GET", connectionPath("acme", "cust-1"), yes},
		{one, "GET", connectionPath("acme", "cust-2"), no},
		{one, "DELETE", connectionPath("acme", "cust-2"), no},
		{one, "POST", "/integrations/acme/confirm_origin", no},
	} {
		t.Run("I8 "+c.token+" "+c.method+" "+c.path, func(t *testing.T) {
			body := ""
			if c.method == http.MethodPost || c.method == http.MethodPatch {
				body = `{}`
			}
			if strings.HasSuffix(c.path, "confirm_origin") {
				body = ""
			}
			a := r.as(c.token, c.method, c.path, body)
			if a.status != c.status || c.status == no && a.code(t) != "forbidden" {
				t.Errorf("answered %d %s, want %d", a.status, a.body, c.status)
			}
		})
	}
	for _, c := range []struct {
		token, integration, id string
		status                 int
	}{
		{reader, "acme", "cust-1", no},
		{monitor, "acme", "cust-1", no},
		{agents, "acme", "cust-1", yes},
		{agents, "acme", "cust-2", yes},
		{agents, "other", "cust-1", no},
		{agents, "no-such", "cust-1", no},
		{one, "acme", "cust-1", yes},
		{one, "other", "cust-1", yes},
		{one, "acme", "cust-2", no},
		{one, "acme", "no-such", no},
		{one, "acme", "", no},
	} {
		t.Run(fmt.Sprintf("I8 %s calls %s of %s", c.token, c.id, c.integration), func(t *testing.T) {
			r.up.Forget()
			a := r.as(c.token, http.MethodGet, "/proxy/users", "", "Provider-Config-Key: "+c.integration, "Connection-Id: "+c.id)
			if c.status == no {
				r.wantRefusal(t, a, no, "forbidden")
				return
			}
			want := "Api-Key key-of-" + c.id
			if c.integration == "other" {
				want = "Api-Key other-key-of-" + c.id
			}
			if a.status != yes {
				t.Fatalf("answered %d %s", a.status, a.body)
			}
			if got := r.wantKey(t, want); strings.Contains(got.String(), c.token) {
				t.Errorf("the upstream got the token: %s", got)
			}
		})
	}
	t.Run("I8 a list holds what the token may see", func(t *testing.T) {
		if got := r.as(one, http.MethodGet, "/connections", "").body; !strings.Contains(got, "cust-1") || strings.Contains(got, "cust-2") {
			t.Errorf("the list is %s", got)
		}
		if got := r.as(agents, http.MethodGet, "/status", "").body; !strings.Contains(got, "acme") || strings.Contains(got, "other") {
			t.Errorf("the status is %s", got)
		}
	})
}

func TestI9TheOperatorSaysWhichHostsMayReplaceABaseURL(t *testing.T) {
	listed, unlisted := harness.NewUpstream(t, nil), harness.NewUpstream(t, nil)
	r := newRig(t, settings{local: true, api: "\t\tbase_url_override acme " + listed.Addr() + "\n"})
	r.integration("acme", "")
	r.integration("off", "")
	r.connection("acme", "cust-1", "key-of-1")
	r.connection("off", "cust-1", "key-of-1")
	call := func(integration string, lines ...string) *reply {
		for _, u := range []*harness.Upstream{r.up, listed, unlisted} {
			u.Forget()
		}
		return r.proxy(integration, "cust-1", http.MethodGet, "/users?a=1", "", lines...)
	}
	override := func(v string) string { return "Base-Url-Override: " + v }

	call("acme", override(listed.URL()+"/v2/"))
	if got := listed.Only(); got.Target != "/v2/users?a=1" || got.Host() != listed.Addr() || strings.Join(got.Values("Authorization"), "") != "Api-Key key-of-1" || len(got.Values("Base-Url-Override")) != 0 {
		t.Errorf("I9: the listed host received %s", got)
	}
	call("acme", "Base-Url-Override: ")
	r.wantKey(t, "Api-Key key-of-1")
	call("acme")
	r.wantKey(t, "Api-Key key-of-1")

	_, port, _ := strings.Cut(listed.Addr(), ":")
	for _, c := range []struct {
		name, integration, value string
		status                   int
		code                     string
	}{
		{"off by default", "off", listed.URL(), 403, "forbidden"},
		{"another port", "acme", unlisted.URL(), 403, "forbidden"},
		{"the integration's own, which is not listed", "acme", r.up.URL(), 403, "forbidden"},
		{"a name that begins like it", "acme", "http://" + listed.Addr() + ".evil.example", 400, "bad_header"},
		{"another spelling of the address", "acme", "http://2130706433:" + port, 403, "forbidden"},
		{"a user", "acme", "http://" + listed.Addr() + "@" + unlisted.Addr(), 400, "bad_header"},
		{"a user of the listed", "acme", "http://x@" + listed.Addr(), 400, "bad_header"},
		{"a query", "acme", listed.URL() + "/?x=", 400, "bad_header"},
		{"a fragment", "acme", listed.URL() + "/#x", 400, "bad_header"},
		{"dots", "acme", listed.URL() + "/v1/..", 400, "bad_header"},
		{"no scheme", "acme", listed.Addr(), 400, "bad_header"},
		{"another scheme", "acme", "ftp://" + listed.Addr(), 400, "bad_header"},
		{"a placeholder", "acme", "http://${connectionConfig.host}:" + port, 400, "bad_header"},
		{"a backslash", "acme", "http://" + unlisted.Addr() + `\@` + listed.Addr(), 400, "bad_header"},
	} {
		t.Run("I9 "+c.name, func(t *testing.T) {
			a := call(c.integration, override(c.value))
			if c.status == 400 && a.status == 403 { // refused either way; which first is not the point
				c.status, c.code = 403, "forbidden"
			}
			r.wantRefusal(t, a, c.status, c.code)
			if listed.Hits()+unlisted.Hits() != 0 {
				t.Errorf("%d and %d hits", listed.Hits(), unlisted.Hits())
			}
		})
	}
	t.Run("I9 twice", func(t *testing.T) {
		a := call("acme", override(listed.URL()), override(unlisted.URL()))
		r.wantRefusal(t, a, 400, "bad_header")
		a = call("acme", "Base-Url-Override: ", override(listed.URL()))
		r.wantRefusal(t, a, 400, "bad_header")
	})
}
