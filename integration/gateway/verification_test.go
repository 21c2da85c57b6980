// How keys are tried at their upstream before they are entered.

package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// verified makes an integration whose keys are tried by GET /me.
func (r *rig) verified(key, config, verification string) {
	r.t.Helper()
	r.api(http.StatusOK, http.MethodPost, "/integrations", fmt.Sprintf(
		`{"provider": "private-api-generic", "unique_key": %q, "integration_config": {"baseUrl": %q, "keyName": "Authorization", "valueTemplate": "Api-Key ${apiKey}"%s}, "verification": {"path": "/me"%s}}`,
		key, r.up.URL(), config, verification))
}

// status is what the API tells of a connection.
func (r *rig) status(integration, id string) string {
	r.t.Helper()
	s, _ := r.api(http.StatusOK, http.MethodGet, connectionPath(integration, id), "").json(r.t)["status"].(string)
	return s
}

// CASES.md L6.
func TestAKeyIsTriedBeforeItIsStored(t *testing.T) {
	t.Parallel()
	const refused, unknown, ok = "refused", "unknown", "ok"
	for name, c := range map[string]struct {
		answer       harness.Answer
		verification string
		want         string
	}{
		"taken":                  {harness.Text(204, ""), "", ok},
		"401":                    {harness.Text(401, "no"), "", refused},
		"403":                    {harness.Text(403, "no"), "", refused},
		"500":                    {harness.Text(500, "oops"), "", unknown},
		"404":                    {harness.Text(404, "where?"), "", unknown},
		"a redirect":             {harness.Text(302, "", "Location: /elsewhere"), "", unknown},
		"a connection that ends": {harness.Close(), "", unknown},
		"no HTTP":                {harness.Raw("220 smtp ready\r\n"), "", unknown},
		"a timeout":              {harness.Hang(), "", unknown},
		"a status of its own":    {harness.Text(404, "no such user"), `, "success": [404]`, ok},
		"another than its own":   {harness.Text(200, "login page"), `, "success": [204]`, unknown},
		"403 as its own":         {harness.Text(403, "no rights, but known"), `, "success": [403]`, ok},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, settings{local: true})
			r.verified("acme", "", c.verification)
			r.up.Always(c.answer)
			a := r.as(ops, http.MethodPost, "/connections", entering("acme", "c", "key-1"))
			if got := r.up.Hits(); got != 1 {
				t.Errorf("the upstream was asked %d times", got)
			}
			r.up.Always(harness.Text(http.StatusOK, "ok"))
			if c.want == refused {
				if a.status != http.StatusBadRequest || a.code(t) != "connection_test_failed" || !strings.Contains(a.body, `"path":["credentials","apiKey"]`) {
					t.Errorf("answered %d %s", a.status, a.body)
				}
				r.api(http.StatusNotFound, http.MethodGet, connectionPath("acme", "c"), "")
				return
			}
			if a.status != http.StatusCreated {
				t.Fatalf("answered %d %s", a.status, a.body)
			}
			if got := r.status("acme", "c"); got != c.want {
				t.Errorf("the status is %s, want %s", got, c.want)
			}
			r.up.Forget()
			if a := r.proxy("acme", "c", http.MethodGet, "/x", ""); a.status != http.StatusOK {
				t.Errorf("through the gateway: %d %s", a.status, a.body)
			}
			r.wantKey(t, "Api-Key key-1")
			until(t, 30*time.Second, "the status ok after the upstream took the key", func() bool { return r.status("acme", "c") == ok })
		})
	}
}

func TestADisabledConnectionIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{local: true})
	r.integration("acme", "")
	r.connection("acme", "off", "key-1")
	path := connectionPath("acme", "off")
	r.api(http.StatusOK, http.MethodPost, strings.Replace(path, "?", "/disable?", 1), "")
	if a := r.proxy("acme", "off", http.MethodGet, "/x", ""); a.status != http.StatusForbidden || a.code(t) != "disabled" || r.up.Hits() != 0 {
		t.Errorf("%d %s, %d hits", a.status, a.body, r.up.Hits())
	}
	r.api(http.StatusOK, http.MethodPost, strings.Replace(path, "?", "/enable?", 1), "")
	if a := r.proxy("acme", "off", http.MethodGet, "/x", ""); a.status != http.StatusOK {
		t.Errorf("enabled: %d %s", a.status, a.body)
	}
}

// What refuses a key in a request refuses it in a trial, and 401 does so anyway.
func TestAStatusThatRefusesAKeyRefusesItInATrial(t *testing.T) {
	t.Parallel()
	up := harness.NewUpstream(t, nil)
	r := newRig(t, settings{local: true, global: "\t\tintegration own " + up.URL() + " {\n\t\t\tname Authorization\n\t\t\trefused_statuses 419\n\t\t\tverification /me\n\t\t}\n"})
	for _, status := range []int{419, http.StatusUnauthorized} {
		up.Always(harness.Text(status, "no"))
		if a := r.as(ops, http.MethodPost, "/connections", entering("own", "c", "key-1")); a.status != http.StatusBadRequest || a.code(t) != "connection_test_failed" {
			t.Errorf("by %d it is refused with %d %s", status, a.status, a.body)
		}
	}
}

func TestAVerificationIsSentAsConfigured(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{local: true})
	r.api(http.StatusOK, http.MethodPost, "/integrations", fmt.Sprintf(
		`{"provider": "private-api-generic", "unique_key": "acme", "integration_config": {"baseUrl": "%s/v2/${connectionConfig.tenant}", "keyName": "token", "keyPlacement": "query"},
		"verification": {"method": "POST", "path": "who%%2fami?fields=id&token=x", "headers": {"X-Version": "7", "Accept": "text/plain"}}}`, r.up.URL()))
	r.connection("acme", "c", "key/1 +", `"connection_config": {"tenant": "t-9"}`)
	q := r.up.Only()
	if got, want := q.Method+" "+q.Target, "POST /v2/t-9/who%2fami?fields=id&token=key%2F1%20%2B"; got != want {
		t.Errorf("the upstream got %s, want %s", got, want)
	}
	for name, want := range map[string]string{"X-Version": "7", "Accept": "text/plain", "User-Agent": "caddy-apikey-inject (key verification)", "Content-Length": "0", "Host": r.up.Addr()} {
		if got := strings.Join(q.Values(name), ","); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestARefusedKeyLeavesTheFormerOne(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{})
	r.verified("acme", "", "")
	r.connection("acme", "c", "key-1")
	r.up.Always(harness.Text(http.StatusUnauthorized, "the key is key-2"))
	for _, a := range []*reply{
		r.as(ops, http.MethodPut, strings.Replace(connectionPath("acme", "c"), "?", "/credentials?", 1), `{"apiKey": "key-2"}`),
		r.as(ops, http.MethodPost, "/connections", entering("acme", "c", "key-2")),
	} {
		if a.status != http.StatusBadRequest || a.code(t) != "connection_test_failed" || strings.Contains(a.body, "key-2") {
			t.Errorf("answered %d %s", a.status, a.body)
		}
	}
	r.up.Always(harness.Text(http.StatusOK, "ok"))
	r.up.Forget()
	if a := r.proxy("acme", "c", http.MethodGet, "/x", ""); a.status != http.StatusOK {
		t.Errorf("through the gateway: %d %s", a.status, a.body)
	}
	r.wantKey(t, "Api-Key key-1")
	if v := r.api(http.StatusOK, http.MethodGet, connectionPath("acme", "c"), "").json(t)["key_version"]; v != 1.0 {
		t.Errorf("the version is %v", v)
	}
}

// CASES.md J4.
func TestAVerificationReachesNoAddressThatIsNotAllowed(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{local: true, egress: "10.98.76.54"})
	r.verified("acme", "", "")
	r.api(http.StatusOK, http.MethodPost, "/integrations", `{"provider": "private-api-generic", "unique_key": "each", "integration_config": {"baseUrl": "${connectionConfig.base}", "keyName": "X-Key"}, "verification": {"path": "/"}}`)
	for _, body := range []string{
		entering("acme", "c", "key-1"),
		entering("each", "c", "key-1", fmt.Sprintf(`"connection_config": {"base": %q}`, strings.Replace(r.up.URL(), "127.0.0.1", "localhost", 1))),
	} {
		a := r.as(ops, http.MethodPost, "/connections", body)
		if a.status != http.StatusBadRequest || a.code(t) != "egress_denied" || strings.Contains(a.body, "127.0.0.1") {
			t.Errorf("answered %d %s", a.status, a.body)
		}
	}
	if n := r.up.Connections(); n != 0 {
		t.Errorf("%d connections were opened", n)
	}
	if list := r.api(http.StatusOK, http.MethodGet, "/connections", "").body; strings.Contains(list, "connection_id") {
		t.Errorf("stored: %s", list)
	}
}

func TestANodeGoesByTheIntegrationAsItIsNow(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{local: true, egress: "127.0.0.0/8"})
	elsewhere := harness.NewUpstream(t, nil)
	r.verified("acme", "", "")
	r.connection("acme", "a", "key-1")
	r.up.Forget()
	r.api(http.StatusOK, http.MethodPatch, "/integrations/acme", fmt.Sprintf(`{"integration_config": {"baseUrl": %q}}`, elsewhere.URL()))
	r.connection("acme", "b", "key-2")
	if n := r.up.Hits(); n != 0 {
		t.Errorf("the former upstream was asked %d times", n)
	}
	if n := elsewhere.Hits(); n != 1 {
		t.Errorf("the upstream was asked %d times", n)
	}
	r.api(http.StatusOK, http.MethodPatch, "/integrations/acme", `{"verification": null}`)
	r.connection("acme", "c", "key-3")
	if n := elsewhere.Hits(); n != 1 {
		t.Errorf("the upstream was asked %d times after its verification was removed", n)
	}
}
