package gateway

// This file holds the management API on the admin endpoint, without the
// commands.

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

const admin = "/apikey_inject"

// admin calls the admin endpoint, which must answer with this status.
func (r *rig) admin(status int, method, path, body string, lines ...string) string {
	r.t.Helper()
	got, answer, err := r.caddy.Do(method, admin+path, body, lines...)
	if err != nil {
		r.t.Fatal(err)
	}
	if got != status {
		r.t.Fatalf("%s %s: %d %s, want %d", method, path, got, answer, status)
	}
	return answer
}

// sent returns the key that arrives at the upstream by way of the gateway, or
// the code of the refusal.
func (r *rig) sent(integration, id string) string {
	r.t.Helper()
	r.up.Forget()
	a := r.proxy(integration, id, http.MethodGet, "/", "")
	if a.status != http.StatusOK {
		return a.code(r.t)
	}
	return strings.Join(r.up.Only().Values("Authorization"), ", ")
}

func TestOperatorsManageThroughTheAdminEndpoint(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]settings{"vault": {}, "local": {local: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, s)
			r.admin(http.StatusOK, http.MethodPost, "/integrations", fmt.Sprintf(
				`{"provider": "private-api-bearer", "unique_key": "acme", "integration_config": {"baseUrl": %q}}`, r.up.URL()))
			r.admin(http.StatusCreated, http.MethodPost, "/connections",
				`{"provider_config_key": "acme", "connection_id": "cust-1", "credentials": {"type": "API_KEY", "apiKey": "canary-1-of-admin"}}`)
			if got := r.sent("acme", "cust-1"); got != "Bearer canary-1-of-admin" {
				t.Errorf("the upstream got %q", got)
			}

			t.Run("both faces show the same", func(t *testing.T) {
				r.t = t
				if a, b := r.admin(http.StatusOK, http.MethodGet, "/integrations", ""), r.api(http.StatusOK, http.MethodGet, "/integrations", "").body; a != b {
					t.Errorf("the admin endpoint answers\n%sthe API\n%s", a, b)
				}
				if a := r.admin(http.StatusOK, http.MethodGet, "/status", ""); !strings.Contains(a, `"connection_id":"cust-1","status":"ok"`) {
					t.Errorf("status: %s", a)
				}
			})

			t.Run("a key is forgotten and read again", func(t *testing.T) {
				r.t = t
				body := `{"integration": "acme", "connection": "cust-1"}`
				for _, step := range []struct{ path, after string }{{"/invalidate", "ok"}, {"/refresh", "ok"}} {
					a := r.admin(http.StatusOK, http.MethodPost, step.path, body)
					if !strings.Contains(a, `"state":"fresh","version":1,"age_seconds":`) {
						t.Errorf("%s: %s", step.path, a)
					}
					if a := r.admin(http.StatusOK, http.MethodGet, "/status", ""); !strings.Contains(a, `"connection_id":"cust-1","status":"`+step.after+`"`) {
						t.Errorf("after %s: %s", step.path, a)
					}
				}
				if got := r.sent("acme", "cust-1"); got != "Bearer canary-1-of-admin" {
					t.Errorf("the upstream got %q", got)
				}
			})

			t.Run("a refusal says why", func(t *testing.T) {
				r.t = t
				for _, tc := range []struct {
					status       int
					method, path string
					body, want   string
				}{
					{404, http.MethodPost, "/refresh", `{"integration": "acmee", "connection": "x"}`, "there is no integration"},
					{404, http.MethodPost, "/refresh", `{"integration": "acme", "connection": "cust-2"}`, `there is no connection \"cust-2\"`},
					{400, http.MethodPost, "/invalidate", `{"integration": "acme"}`, "has no key of its own"},
					{400, http.MethodPost, "/invalidate", `{"connection": "cust-1"}`, "integration: is required"},
					{400, http.MethodPost, "/refresh", `{"integration": "acme", "connection": "a/b"}`, "connection: "},
					{400, http.MethodPost, "/refresh", `{"integration": "acme", "connections": "canary-9"}`, "did you mean"},
					{400, http.MethodPost, "/refresh", `canary-9`, "is no JSON"},
					{405, http.MethodGet, "/refresh", "", "method"},
					{404, http.MethodGet, "/refreshh", "", "there is no"},
					{404, http.MethodGet, "/integrations/nope", "", `does not exist`},
					{404, http.MethodGet, "/integrations/a/b/c", "", "nothing at this path"},
				} {
					if a := r.admin(tc.status, tc.method, tc.path, tc.body); !strings.Contains(a, tc.want) || strings.Contains(a, "canary") {
						t.Errorf("%s %s: %s, want %q", tc.path, tc.body, a, tc.want)
					}
				}
			})

			t.Run("a page of another site may not", func(t *testing.T) {
				r.t = t
				status, a, err := r.caddy.Do(http.MethodGet, admin+"/integrations", "", "Sec-Fetch-Site: cross-site")
				if err != nil || status != http.StatusForbidden || !strings.Contains(a, "other sites") {
					t.Errorf("%d %s %v", status, a, err)
				}
			})

			log := r.caddy.Log.String()
			if !strings.Contains(log, `"token":"admin","action":"connection.enter"`) || !strings.Contains(log, `"action":"key.invalidate"`) {
				t.Error("the audit lacks what was done")
			}
			if strings.Contains(log, "canary-1-of-admin") {
				t.Error("the log holds the key")
			}
		})
	}
}

// A configuration without the API can be managed all the same, and one that is
// only looked at gets no database.
func TestTheAdminEndpointNeedsNoAPI(t *testing.T) {
	t.Parallel()
	up := harness.NewUpstream(t, nil)
	port := harness.Port(t)
	config := fmt.Sprintf(`{
	apikey_inject {
		store local
		egress {
			allow 127.0.0.1
		}
		integration own %s {
			name Authorization
			key own/key
		}
	}
}
`, up.URL()) + harness.Site(port, `	apikey_inject {http.request.header.X-Integration} {
		connection {http.request.header.X-Connection}
		allow anyone
	}`)
	c := harness.StartCaddy(t, "{\n\tapikey_inject {\n\t\tstore local\n\t}\n}\n")
	r := &rig{t: t, up: up, caddy: c, port: port}
	db := filepath.Join(c.Home, "data", "caddy", "apikey_inject", "catalog.db")

	for _, path := range []string{"/integrations", "/connections", "/status", "/providers", "/openapi.json"} {
		r.admin(http.StatusOK, http.MethodGet, path, "")
	}
	r.admin(http.StatusNotFound, http.MethodGet, "/integrations/none", "")
	if _, err := os.Stat(db); !os.IsNotExist(err) {
		t.Fatalf("who looks made a database at %s: %v", db, err)
	}
	r.admin(http.StatusOK, http.MethodPost, "/integrations", fmt.Sprintf(
		`{"provider": "private-api-generic", "unique_key": "made", "integration_config": {"baseUrl": %q, "keyName": "Authorization"}}`, up.URL()))
	r.admin(http.StatusCreated, http.MethodPost, "/connections",
		`{"provider_config_key": "made", "connection_id": "cust-1", "credentials": {"type": "API_KEY", "apiKey": "key-before-the-route"}}`)
	if _, err := os.Stat(db); err != nil {
		t.Fatalf("no database: %v", err)
	}
	if err := c.Load(config); err != nil {
		t.Fatal(err)
	}
	a := harness.Exchange(t, fmt.Sprintf("127.0.0.1:%d", port), nil,
		fmt.Sprintf("GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX-Integration: made\r\nX-Connection: cust-1\r\nConnection: close\r\n\r\n", port))
	if a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if got := up.Only().Values("Authorization"); len(got) != 1 || got[0] != "key-before-the-route" {
		t.Errorf("the upstream got %q", got)
	}
	if a := r.admin(http.StatusConflict, http.MethodPatch, "/integrations/own", `{"display_name": "x"}`); !strings.Contains(a, "defined in the Caddy config") {
		t.Errorf("changing what the configuration defines: %s", a)
	}
	if err := c.Load("{\n}\n"); err != nil {
		t.Fatal(err)
	}
	if a := r.admin(http.StatusNotFound, http.MethodGet, "/integrations", ""); !strings.Contains(a, "has no apikey_inject app") {
		t.Errorf("without the app: %s", a)
	}
}
