// Integrations of the Caddy configuration through the gateway, integrations of
// the API on routes, and a catalog that is away.

package gateway

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/pgtest"
)

// passHash is bcrypt of "pass".
const passHash = "$2a$04$KfsSCXdUkNWGv3AFotAn2.Kq.x1WuM/22PVLIhbvDrLDVjTzUMFWa"

func basic(user string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":pass"))
}

func TestAnIntegrationOfTheConfigurationThroughTheGateway(t *testing.T) {
	up := harness.NewUpstream(t, nil)
	fixed := func(name string, lines ...string) string {
		return "\t\tintegration " + name + " " + up.URL() + "/" + name + " {\n\t\t\tname Authorization\n\t\t\ttemplate \"Api-Key ${apiKey}\"\n\t\t\t" + strings.Join(lines, "\n\t\t\t") + "\n\t\t}\n"
	}
	r := newRig(t, settings{
		counted: true,
		keys:    map[string]string{"prod": "key-of-prod", "customers/cust-1/crm": "key-of-cust-1", "caddy-apikey-inject/each/cust-1": "astray"},
		global: fixed("for-agents", "key prod", "allow token agents") + fixed("for-any-token", "key prod", "allow token *") + fixed("for-billing", "key prod", "allow user billing") +
			fixed("open", "key prod") + fixed("off", "key prod", "disabled") + fixed("each", "key customers/${connectionId}/crm", "allow token *"),
		api: "\t\ttoken agents {env.AGENTS} {\n\t\t\tscopes proxy\n\t\t}\n",
		env: []string{"AGENTS=agents-token-1"},
	})
	agents := "agents-token-1"
	for _, c := range []struct {
		name, token, integration string
		connection               []string
		key                      string // none: refused
		status                   int
		code                     string
	}{
		{"a token that is named", agents, "for-agents", nil, "key-of-prod", 200, ""},
		{"another token", ops, "for-agents", nil, "", 403, "forbidden"},
		{"every token, the one", agents, "for-any-token", nil, "key-of-prod", 200, ""},
		{"every token, the other", ops, "for-any-token", nil, "key-of-prod", 200, ""},
		{"a token is no user", ops, "for-billing", nil, "", 403, "forbidden"},
		{"without allow", ops, "open", nil, "key-of-prod", 200, ""},
		{"disabled", ops, "off", nil, "", 403, "disabled"},
		{"a connection that is asked for has its key or none", ops, "open", []string{"Connection-Id: cust-1"}, "", 404, "unknown_connection"},
		{"an empty connection is not the integration's own key", ops, "open", []string{"Connection-Id: "}, "", 400, "bad_connection"},
		{"a key for each connection", ops, "each", []string{"Connection-Id: cust-1"}, "key-of-cust-1", 200, ""},
		{"a key for each connection, and none is named", ops, "each", nil, "", 400, "bad_connection"},
		{"a key for each connection, and there is no such", ops, "each", []string{"Connection-Id: nobody"}, "", 404, "unknown_connection"},
		{"a key for each connection, upwards", ops, "each", []string{"Connection-Id: ../each"}, "", 400, "bad_connection"},
	} {
		t.Run(c.name, func(t *testing.T) {
			up.Forget()
			before := r.asked()
			a := r.as(c.token, http.MethodGet, "/proxy/users", "", append(c.connection, "Provider-Config-Key: "+c.integration)...)
			if c.key == "" {
				if a.status != c.status || a.code(t) != c.code || up.Hits() != 0 {
					t.Errorf("answered %d %s after %d hits, want %d %s", a.status, a.body, up.Hits(), c.status, c.code)
				}
				if n := r.asked(); n != before && c.code != "unknown_connection" {
					t.Errorf("%d keys were read", n-before)
				}
				return
			}
			if a.status != c.status {
				t.Fatalf("answered %d %s", a.status, a.body)
			}
			got := up.Only()
			if v := got.Values("Authorization"); len(v) != 1 || v[0] != "Api-Key "+c.key || got.Target != "/"+c.integration+"/users" {
				t.Errorf("the upstream received %s", got)
			}
		})
	}
	t.Run("a connection that the API enters", func(t *testing.T) {
		// Where the configuration says where keys of connections are, they go there.
		r.connection("each", "cust-2", "key-of-cust-2")
		data, _ := r.vault.Do(http.MethodGet, "secret/data/customers/cust-2/crm", nil)["data"].(map[string]any)
		if fields, _ := data["data"].(map[string]any); fields["apiKey"] != "key-of-cust-2" {
			t.Errorf("the document is %v", data)
		}
		up.Forget()
		r.proxy("each", "cust-2", http.MethodGet, "/users", "")
		if v := up.Only().Values("Authorization"); !slices.Equal(v, []string{"Api-Key key-of-cust-2"}) {
			t.Errorf("the upstream received %q", v)
		}
		r.api(http.StatusOK, http.MethodDelete, connectionPath("each", "cust-2"), "")
		up.Forget()
		if a := r.proxy("each", "cust-2", http.MethodGet, "/users", ""); a.status != 404 || up.Hits() != 0 {
			t.Errorf("after it was deleted: %d %s", a.status, a.body)
		}
	})
}

func TestWhatAConnectionSaysIsInItsTemplateAndBaseURL(t *testing.T) {
	t.Parallel()
	each(t, settings{}, func(t *testing.T, r *rig) {
		r.api(http.StatusOK, http.MethodPost, "/integrations", fmt.Sprintf(`{"provider": "private-api-generic", "unique_key": "acme", "integration_config":
			{"baseUrl": "%s/t/${connectionConfig.tenant}", "keyName": "Authorization", "valueTemplate": "Key ${connectionConfig.user}:${apiKey}"}}`, r.up.URL()))
		for _, c := range []string{"a", "b"} {
			r.connection("acme", c, "key-of-"+c, fmt.Sprintf(`"connection_config": {"tenant": "tenant %s", "user": "user-%s"}`, c, c))
		}
		r.connection("acme", "half", "key-of-half", `"connection_config": {"tenant": "x"}`)
		r.connection("acme", "none", "key-of-none")
		for range 2 { // what is kept of one is not used for the other
			for _, c := range []string{"a", "b"} {
				r.up.Forget()
				r.proxy("acme", c, http.MethodGet, "/users", "")
				if got := r.wantKey(t, "Key user-"+c+":key-of-"+c); got.Target != "/t/tenant%20"+c+"/users" {
					t.Errorf("the upstream received %s", got)
				}
			}
		}
		for _, c := range []string{"half", "none"} {
			r.up.Forget()
			r.wantRefusal(t, r.proxy("acme", c, http.MethodGet, "/", ""), http.StatusBadRequest, "bad_connection")
		}
		r.api(http.StatusOK, http.MethodPatch, connectionPath("acme", "a"), `{"connection_config": {"user": "changed"}}`)
		r.up.Forget()
		r.proxy("acme", "a", http.MethodGet, "/users", "")
		if got := r.wantKey(t, "Key changed:key-of-a"); got.Target != "/t/tenant%20a/users" {
			t.Errorf("after the change the upstream received %s", got)
		}
	})
}

func TestARouteWhoseIntegrationIsChosenPerRequest(t *testing.T) {
	t.Parallel()
	port := harness.Port(t)
	r := newRig(t, settings{local: true, sites: harness.Site(port, fmt.Sprintf("\tbasic_auth {\n\t\tacme %[1]s\n\t\tother %[1]s\n\t\tnobody %[1]s\n\t}\n", passHash)+
		"\tapikey_inject /shared/* {http.auth.user.id} {\n\t\tstrip_prefix /shared\n\t\tconnection main\n\t}\n")})
	for _, key := range []string{"acme", "other"} {
		r.integration(key, "")
		r.connection(key, "main", "key-of-"+key)
	}
	ask := func(user, path string, lines ...string) *harness.RawResponse {
		r.up.Forget()
		return harness.Exchange(t, fmt.Sprintf("127.0.0.1:%d", port), nil, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n%s\r\n",
			path, port, basic(user), strings.Join(append(lines, ""), "\r\n")))
	}
	for _, user := range []string{"acme", "other"} {
		if a := ask(user, "/shared/users", "Provider-Config-Key: other", "Connection-Id: none"); a.Status != 200 {
			t.Fatalf("%s: answered %s", user, a.Raw)
		}
		if got := r.wantKey(t, "Api-Key key-of-"+user); got.Target != "/users" {
			t.Errorf("the upstream received %s", got)
		}
	}
	if a := ask("nobody", "/shared/users"); a.Status != 404 || a.Header.Get("Apikey-Inject-Error") != "unknown_integration" || r.up.Hits() != 0 {
		t.Errorf("a user without an integration: %s", a.Raw)
	}
	r.api(http.StatusOK, http.MethodPost, "/integrations/acme/disable", "")
	if a := ask("acme", "/shared/users"); a.Status != 403 || a.Header.Get("Apikey-Inject-Error") != "disabled" || r.up.Hits() != 0 {
		t.Errorf("disabled: %s", a.Raw)
	}
	r.api(http.StatusOK, http.MethodPost, "/integrations/acme/enable", "")
	r.api(http.StatusOK, http.MethodPatch, "/integrations/acme", `{"integration_config": {"valueTemplate": "Bearer ${apiKey}"}}`)
	ask("acme", "/shared/users")
	r.wantKey(t, "Bearer key-of-acme")
	r.api(http.StatusOK, http.MethodDelete, "/integrations/acme?force=true", "")
	if a := ask("acme", "/shared/users"); a.Status != 404 || r.up.Hits() != 0 {
		t.Errorf("deleted: %s", a.Raw)
	}
}

func TestACatalogThatIsAwayAtTheStart(t *testing.T) {
	t.Parallel()
	db, err := url.Parse(pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	real := db.Host
	db.Host = fmt.Sprintf("127.0.0.1:%d", harness.Port(t))
	up := harness.NewUpstream(t, nil)
	r := newRig(t, settings{
		keys:   map[string]string{"prod": "key-of-prod"},
		global: "\t\tcatalog postgres {env.DB}\n\t\tintegration fixed " + up.URL() + " {\n\t\t\tname Authorization\n\t\t\tkey prod\n\t\t\tallow anyone\n\t\t}\n",
		site:   "\tapikey_inject /fixed/* fixed\n",
		env:    []string{"DB=" + db.String()},
	})
	a := r.proxy("acme", "c", http.MethodGet, "/", "")
	r.wantRefusal(t, a, http.StatusServiceUnavailable, "key_unavailable")
	if a.header.Get("Retry-After") == "" {
		t.Errorf("without Retry-After: %v", a.header)
	}
	if a = r.as(ops, http.MethodGet, "/integrations", ""); a.status != http.StatusServiceUnavailable || a.code(t) != "catalog_unavailable" || a.header.Get("Retry-After") == "" {
		t.Errorf("the API answered %d %v %s", a.status, a.header, a.body)
	}
	if a = r.as(ops, http.MethodPost, "/connections", entering("fixed", "c", "k")); a.status != http.StatusServiceUnavailable {
		t.Errorf("a write was answered with %d %s", a.status, a.body)
	}
	// What needs no catalog goes on.
	if a = r.as("", http.MethodGet, "/fixed/x", ""); a.status != http.StatusOK || up.Hits() != 1 {
		t.Errorf("a static route answered %d %s", a.status, a.body)
	}
	if log := r.caddy.Log.String(); strings.Contains(log, db.User.String()) {
		t.Error("the log holds the password of the database")
	}

	forward(t, db.Host, real)
	r.caddy.Log.Wait(t, "the catalog is there", 30*time.Second)
	r.integration("acme", "")
	r.connection("acme", "c", "key-of-c")
	r.up.Forget()
	r.proxy("acme", "c", http.MethodGet, "/", "")
	r.wantKey(t, "Api-Key key-of-c")
}

// forward listens at an address and passes connections on to another.
func forward(t *testing.T, from, to string) {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := new(net.Dialer).DialContext(t.Context(), "tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			go func() { defer func() { _ = out.Close() }(); _, _ = out.(*net.TCPConn).ReadFrom(in) }()
			go func() { defer func() { _ = in.Close() }(); _, _ = in.(*net.TCPConn).ReadFrom(out) }()
		}
	}()
}
