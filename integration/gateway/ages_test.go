// Keys that grow old, and keys that are refused once too often.

package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// expiry is what the status tells of a key's end.
func (r *rig) expiry(query string) string {
	r.t.Helper()
	body := r.api(http.StatusOK, http.MethodGet, "/status?"+query, "").body
	_, rest, _ := strings.Cut(body, `"expiry":"`)
	state, _, _ := strings.Cut(rest, `"`)
	return state
}

func TestKeysThatRunOutAreToldAndStayInUse(t *testing.T) {
	t.Parallel()
	up := harness.NewUpstream(t, nil)
	own := func(name, more string) string {
		return "\t\tintegration " + name + " " + up.URL() + " {\n\t\t\tname Authorization\n\t\t\ttemplate \"Api-Key ${apiKey}\"\n\t\t\tkey " + name + "/prod\n" + more + "\t\t}\n"
	}
	r := newRig(t, settings{
		keys:   map[string]string{"aged/prod": "key-1", "dated/prod": "key-2"},
		global: own("aged", "\t\t\tmax_age 1s\n") + own("dated", ""),
		site:   "\tapikey_inject /aged/* aged {\n\t\tallow anyone\n\t}\n\tapikey_inject /dated/* dated {\n\t\tallow anyone\n\t}\n",
	})
	r.integration("acme", "")
	r.api(http.StatusOK, http.MethodPatch, "/integrations/acme", `{"max_age": "1s"}`)
	r.connection("acme", "c", "key-3")
	for path, key := range map[string]string{"/aged/x": "key-1", "/dated/x": "key-2"} {
		up.Forget()
		if a := r.as("", http.MethodGet, path, ""); a.status != http.StatusOK || up.Only().Values("Authorization")[0] != "Api-Key "+key {
			t.Errorf("%s: %d, and the upstream got %v", path, a.status, up.Requests())
		}
	}
	until(t, 30*time.Second, "the ages", func() bool {
		return r.expiry("integration=aged") == "expired" && r.expiry("integration=acme") == "expired"
	})
	r.vault.Put("dated/prod", map[string]any{"apiKey": "key-2", "expires_at": time.Now().Add(-time.Hour).Format(time.RFC3339)})
	if status, body, err := r.caddy.Do(http.MethodPost, "/apikey_inject/refresh", `{"integration": "dated"}`); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s %v", status, body, err)
	}
	until(t, 30*time.Second, "the end of the one with an expires_at", func() bool { return r.expiry("integration=dated") == "expired" })
	// A new configuration looks at once, and tells nothing again.
	for n := range 2 {
		if err := r.caddy.Load(strings.Replace(r.config, "\tapikey_inject {", fmt.Sprintf("\tgrace_period %ds\n\tapikey_inject {", 5+n), 1)); err != nil {
			t.Fatal(err)
		}
		r.wantLog(t, "apikey_inject", 1, "the key of a connection is older than its integration's max_age", `"c"`, "ends_at")
		r.wantLog(t, "apikey_inject", 1, "a key has run out, and stays in use", "aged/prod", "key_expired")
		r.wantLog(t, "apikey_inject", 1, "a key has run out, and stays in use", "dated/prod", "key_expired")
	}
	for what, parts := range map[string][]string{
		"of the connection": {"older than its integration's max_age"}, "of the configuration": {"has run out", "aged/prod"}, "with an expires_at": {"has run out", "dated/prod"},
	} {
		if n := len(r.caddy.Log.Entries("apikey_inject", parts...)); n != 1 {
			t.Errorf("the key %s was told %d times", what, n)
		}
	}
	if a := r.proxy("acme", "c", http.MethodGet, "/x", ""); a.status != http.StatusOK {
		t.Errorf("a key that is too old: %d %s", a.status, a.body)
	}
}

func TestOldKeysAreListedForAuditors(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{local: true})
	r.integration("acme", "")
	r.api(http.StatusOK, http.MethodPatch, "/integrations/acme", `{"max_age": "90d"}`)
	r.connection("acme", "old", "canary-1")
	until(t, 30*time.Second, "a second", func() bool {
		return strings.Contains(r.command(0, "", "status", "--older-than", "1s").Stdout, "old")
	})
	r.connection("acme", "new", "canary-2")
	if out := r.command(0, "", "status", "--older-than", "1h").Stdout; !strings.Contains(out, "There is no such integration or connection") {
		t.Errorf("older than an hour: %s", out)
	}
	if out := r.command(0, "", "status").Stdout; !strings.Contains(out, "RUNS OUT") || strings.Count(out, "2 months from now") != 2 {
		t.Errorf("the table is %s", out)
	}
	if out := r.command(0, "", "status", "--older-than", "1s", "--json").Stdout; !strings.Contains(out, `"connection_id": "old"`) || !strings.Contains(out, `"expires_at": "`) {
		t.Errorf("the JSON is %s", out)
	}
	if res := r.command(1, "", "status", "--older-than", "ages"); !strings.Contains(res.Stderr, "older_than must be a duration such as 90d or 720h") {
		t.Errorf("a wrong age: %s", res.Stderr)
	}
}

func TestAKeyIsAuthFailedAfterAsManyRefusalsAsConfigured(t *testing.T) {
	t.Parallel()
	up := harness.NewUpstream(t, nil)
	r := newRig(t, settings{
		keys:   map[string]string{"own/prod": "key-1"},
		global: "\t\tintegration own " + up.URL() + " {\n\t\t\tname Authorization\n\t\t\tkey own/prod\n\t\t\trefused_after 3\n\t\t}\n",
		site:   "\tapikey_inject /own/* own {\n\t\tallow anyone\n\t}\n",
	})
	state := func() string {
		_, rest, _ := strings.Cut(r.api(http.StatusOK, http.MethodGet, "/status?integration=own", "").body, `"integrations":[{"unique_key":"own","source":"config","status":"`)
		s, _, _ := strings.Cut(rest, `"`)
		return s
	}
	call := func(status int) {
		up.Always(harness.Text(status, ""))
		if a := r.as("", http.MethodGet, "/own/x", ""); a.status != status {
			t.Fatalf("answered %d, want %d", a.status, status)
		}
	}
	call(200)
	call(401)
	call(401)
	call(200) // so they are not in a row
	call(401)
	call(401)
	if got := state(); got != "ok" {
		t.Errorf("after two in a row: %s", got)
	}
	call(401)
	if got := state(); got != "auth_failed" {
		t.Errorf("after three: %s", got)
	}
	r.connection("own", "c", "key-2")
	proxied := func(status int) {
		up.Always(harness.Text(status, ""))
		if a := r.proxy("own", "c", http.MethodGet, "/x", ""); a.status != status {
			t.Fatalf("answered %d %s, want %d", a.status, a.body, status)
		}
	}
	proxied(401)
	proxied(401)
	if got := r.status("own", "c"); got != "ok" {
		t.Errorf("a connection after two: %s", got)
	}
	proxied(401)
	until(t, 30*time.Second, "auth_failed", func() bool { return r.status("own", "c") == "auth_failed" })
	proxied(200)
	until(t, 30*time.Second, "ok", func() bool { return r.status("own", "c") == "ok" })
	call(200)
	if got := state(); got != "ok" {
		t.Errorf("after a success: %s", got)
	}
}
