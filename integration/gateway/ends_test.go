// Keys that are entered with the time when they run out.

package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestAKeyIsEnteredWithTheTimeWhenItRunsOut(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]settings{"vault": {}, "local": {local: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, s)
			r.integration("acme", "")
			ends := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
			body := strings.Replace(entering("acme", "c", "canary-1"), `"type"`, fmt.Sprintf(`"expires_at": %q, "type"`, ends.Format(time.RFC3339)), 1)
			shows := func(what string, a *reply, state string) {
				t.Helper()
				v := a.json(t)
				at, _ := v["expires_at"].(string)
				expiry, _ := v["expiry"].(string)
				if got, _ := time.Parse(time.RFC3339, at); !got.Equal(ends) || expiry != state {
					t.Errorf("%s: it runs out at %q, %q", what, at, expiry)
				}
			}
			get := func() *reply { return r.api(http.StatusOK, http.MethodGet, connectionPath("acme", "c"), "") }
			shows("entered", r.api(http.StatusCreated, http.MethodPost, "/connections", body), "expired")
			r.wantLog(t, "apikey_inject", 1, "a key has run out, and stays in use", "key_expired", "acme/c", "ends_at")
			if a := r.proxy("acme", "c", http.MethodGet, "/x", ""); a.status != http.StatusOK {
				t.Errorf("a key that has run out: %d %s", a.status, a.body)
			}
			r.wantKey(t, "Api-Key canary-1")

			forget := func() {
				t.Helper()
				if status, body, err := r.caddy.Do(http.MethodPost, "/apikey_inject/invalidate", `{"integration": "acme", "connection": "c"}`); err != nil || status != http.StatusOK {
					t.Fatalf("%d %s %v", status, body, err)
				}
			}
			forget()
			shows("by the catalog alone", get(), "expired")
			if status, body, err := r.caddy.Do(http.MethodPost, "/apikey_inject/refresh", `{"integration": "acme", "connection": "c"}`); err != nil || status != http.StatusOK {
				t.Fatalf("%d %s %v", status, body, err)
			}
			shows("by the document", get(), "expired")
			r.wantLog(t, "apikey_inject", 2, "a key has run out, and stays in use", "key_expired", "acme/c", "ends_at")

			ends = time.Now().Add(13 * 24 * time.Hour).UTC().Truncate(time.Second)
			if res := r.command(1, "canary-2", "rotate", "acme", "c", "--expires-at", "soon"); !strings.Contains(res.Stderr, "Expires at must be an RFC 3339 time such as 2027-01-31T00:00:00Z") {
				t.Errorf("a time that is none: %+v", res)
			}
			r.command(0, "canary-2", "rotate", "acme", "c", "--expires-at", ends.Format(time.RFC3339))
			forget()
			shows("rotated", get(), "") // of 13 days a quarter is not yet left
			if out := r.command(0, "", "connections", "show", "acme", "c").Stdout; !strings.Contains(out, "Runs out") || !strings.Contains(out, "1 week from now") {
				t.Errorf("it is shown as\n%s", out)
			}
			r.command(0, "canary-3", "rotate", "acme", "c")
			for _, when := range []string{"held", "not held"} {
				if at := get().json(t)["expires_at"]; at != nil {
					t.Errorf("%s: another key runs out at %v", when, at)
				}
				forget()
			}
			line := fmt.Sprintf(`{"connection": {"provider_config_key": "acme", "connection_id": "d", "credentials": {"apiKey": "canary-4", "expires_at": %q}}}`, ends.Format(time.RFC3339))
			r.command(0, line, "import", "-")
			shows("imported", r.api(http.StatusOK, http.MethodGet, connectionPath("acme", "d"), ""), "")
			r.command(0, "canary-5", "connections", "create", "acme", "e", "--expires-at", ends.Format(time.RFC3339))
			shows("made by the command", r.api(http.StatusOK, http.MethodGet, connectionPath("acme", "e"), ""), "")
		})
	}
}
