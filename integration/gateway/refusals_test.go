// What an integration made through the API says of refused keys.

package gateway

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// refuses is an upstream that takes one key, and answers others with a status.
func refuses(status int, but string) func(*harness.Request) harness.Answer {
	return func(q *harness.Request) harness.Answer {
		if strings.Join(q.Values("Authorization"), "") == "Api-Key "+but {
			return harness.Text(http.StatusOK, "ok")
		}
		return harness.Text(status, "no")
	}
}

func TestTheStatusesThatRefuseAKeyAreSetThroughTheAPI(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		patches []string
		status  int // of the upstream
		want    int
	}{
		"401 by itself":     {nil, 401, 200},
		"403 is none":       {nil, 403, 403},
		"403 that is named": {[]string{`{"refused_statuses": [401, 403]}`}, 403, 200},
		"401 in its place":  {[]string{`{"refused_statuses": [403]}`}, 401, 401},
		"none at all":       {[]string{`{"refused_statuses": []}`}, 401, 401},
		"401 again":         {[]string{`{"refused_statuses": [403]}`, `{"refused_statuses": null}`}, 401, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, settings{local: true})
			r.integration("acme", "")
			r.connection("acme", "c", "key-1")
			r.up.Always(harness.Text(http.StatusOK, "ok"))
			r.proxy("acme", "c", http.MethodGet, "/x", "") // what a request made of the integration is not kept
			for _, fields := range c.patches {
				r.api(http.StatusOK, http.MethodPatch, "/integrations/acme", fields)
			}
			r.api(http.StatusOK, http.MethodPut, strings.Replace(connectionPath("acme", "c"), "?", "/credentials?", 1), `{"apiKey": "key-2"}`)
			r.up.Answer(refuses(c.status, "key-1"))
			if a := r.proxy("acme", "c", http.MethodGet, "/x", ""); a.status != c.want {
				t.Errorf("answered %d %s, want %d", a.status, a.body, c.want)
			}
		})
	}
}

func TestRefusalsOfAKeyAreCountedAsTheAPIWasTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{local: true})
	r.integration("acme", "")
	r.integration("other", "")
	r.api(http.StatusOK, http.MethodPatch, "/integrations/acme", `{"refused_after": 3}`)
	for _, integration := range []string{"acme", "other"} {
		r.connection(integration, "c", "key-1")
	}
	r.up.Always(harness.Text(http.StatusUnauthorized, "no"))
	refuse := func(integration string) {
		t.Helper()
		if a := r.proxy(integration, "c", http.MethodGet, "/x", ""); a.status != http.StatusUnauthorized {
			t.Fatalf("answered %d %s", a.status, a.body)
		}
	}
	refuse("acme")
	refuse("acme")
	refuse("other")
	until(t, 30*time.Second, "the first refusal of the other one to count", func() bool { return r.status("other", "c") == "auth_failed" })
	if got := r.status("acme", "c"); got != "ok" {
		t.Errorf("after two refusals: %s", got)
	}
	refuse("acme")
	until(t, 30*time.Second, "the third refusal to count", func() bool { return r.status("acme", "c") == "auth_failed" })
}
