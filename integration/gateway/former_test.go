// What a key that was entered before leads to: the former key of a rotation, and
// the store of an integration that has one of its own.

package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// A key is bound to the origin that it was entered for, also as the former one
// of a rotation: an upstream that refuses the newest key, which is all it has to
// do, would else be sent the one of the upstream before.
func TestAFormerKeyIsNotTriedWhereItWasNotEnteredFor(t *testing.T) {
	for _, local := range []bool{true, false} {
		t.Run(fmt.Sprintf("local %v", local), func(t *testing.T) {
			r := newRig(t, settings{local: local, egress: "127.0.0.0/8"})
			elsewhere := harness.NewUpstream(t, nil)
			for _, up := range []*harness.Upstream{r.up, elsewhere} {
				up.Answer(func(q *harness.Request) harness.Answer {
					if strings.HasSuffix(strings.Join(q.Values("Authorization"), ","), "-1") {
						return harness.Text(http.StatusOK, "ok")
					}
					return harness.Text(http.StatusUnauthorized, "refused")
				})
			}
			r.integration("acme", "")
			r.connection("acme", "same", "old-key-1")
			r.connection("acme", "same", "new-key-2")
			if a := r.proxy("acme", "same", http.MethodGet, "/", ""); a.status != http.StatusOK {
				t.Errorf("in a rotation the former key is not tried: %d %s, %v", a.status, a.body, r.up.Requests())
			}

			r.connection("acme", "moved", "old-key-1")
			r.connection("acme", "confirmed", "old-key-1")
			r.connection("acme", "confirmed", "new-key-2")
			r.api(http.StatusOK, http.MethodPatch, "/integrations/acme", fmt.Sprintf(`{"integration_config": {"baseUrl": %q}}`, elsewhere.URL()))
			r.connection("acme", "moved", "new-key-2")
			r.api(http.StatusOK, http.MethodPost, "/integrations/acme/confirm_origin", "")

			r.api(http.StatusOK, http.MethodPost, "/integrations", creating("each", "${connectionConfig.base}"))
			at := func(base string) string { return fmt.Sprintf(`"connection_config": {"base": %q}`, base) }
			r.connection("each", "moved", "old-key-1", at(r.up.URL()))
			r.connection("each", "moved", "new-key-2", at(elsewhere.URL()))
			r.connection("each", "patched", "old-key-1", at(r.up.URL()))
			r.connection("each", "patched", "new-key-2")
			r.api(http.StatusOK, http.MethodPatch, connectionPath("each", "patched"), "{"+at(elsewhere.URL())+"}")
			for _, c := range []struct{ integration, id string }{{"acme", "moved"}, {"acme", "confirmed"}, {"each", "moved"}, {"each", "patched"}} {
				elsewhere.Forget()
				a := r.proxy(c.integration, c.id, http.MethodGet, "/", "")
				if a.status != http.StatusUnauthorized {
					t.Errorf("%v: answered %d %s", c, a.status, a.body)
				}
				for _, q := range elsewhere.Requests() {
					if !strings.HasSuffix(strings.Join(q.Values("Authorization"), ","), "new-key-2") {
						t.Errorf("%v: the new upstream received the key of the one before: %s", c, q)
					}
				}
			}
		})
	}
}

// What is found in the store is not sent either when it is older than the place
// it would go to: here a document that was rolled back past the API.
func TestAKeyFromBeforeAConnectionMovedIsNotSent(t *testing.T) {
	r := newRig(t, settings{})
	elsewhere := harness.NewUpstream(t, nil)
	r.integration("acme", "")
	r.connection("acme", "moved", "old-key-1")
	r.api(http.StatusOK, http.MethodPatch, "/integrations/acme", fmt.Sprintf(`{"integration_config": {"baseUrl": %q}}`, elsewhere.URL()))
	r.connection("acme", "moved", "new-key-2")
	if a := r.proxy("acme", "moved", http.MethodGet, "/", ""); a.status != http.StatusOK {
		t.Fatalf("answered %d %s", a.status, a.body)
	}
	elsewhere.Forget()
	r.vault.Do(http.MethodDelete, "secret/metadata/caddy-apikey-inject/acme/moved", nil)
	r.vault.Put("caddy-apikey-inject/acme/moved", map[string]any{"apiKey": "old-key-1"})
	if status, body, err := r.caddy.Do(http.MethodPost, "/apikey_inject/invalidate", `{"integration": "acme", "connection": "moved"}`); err != nil || status != http.StatusOK {
		t.Fatalf("invalidating: %d %s %v", status, body, err)
	}
	r.wantRefusal(t, r.proxy("acme", "moved", http.MethodGet, "/", ""), http.StatusServiceUnavailable, "key_unavailable")
	if n := elsewhere.Hits(); n != 0 {
		t.Errorf("the new upstream was hit %d times", n)
	}
}

// A request that is under way when its connection moves is not sent again with
// the key that was entered for the new place.
func TestANewKeyIsNotSentToThePlaceBefore(t *testing.T) {
	r := newRig(t, settings{local: true, egress: "127.0.0.0/8"})
	r.api(http.StatusOK, http.MethodPost, "/integrations", creating("acme", "${connectionConfig.base}"))
	enter := func(key, base string) {
		r.connection("acme", "one", key, fmt.Sprintf(`"connection_config": {"base": %q}`, base))
	}
	for _, next := range []string{r.up.URL(), "https://elsewhere.example"} {
		enter("old-key-1", r.up.URL())
		r.up.Forget()
		var once sync.Once
		r.up.Answer(func(q *harness.Request) harness.Answer {
			once.Do(func() { enter("new-key-2", next) })
			return harness.Text(http.StatusUnauthorized, "refused")
		})
		r.proxy("acme", "one", http.MethodGet, "/", "")
		got, moved := fmt.Sprint(r.up.Requests()), next != r.up.URL()
		if strings.Contains(got, "new-key-2") == moved {
			t.Errorf("moved %v: the upstream received %s", moved, got)
		}
	}
}

// The keys of connections are in the default store, wherever the integration
// has its own.
func TestConnectionsOfAnIntegrationWhoseOwnKeyIsInAnotherStore(t *testing.T) {
	v := vaulttest.Start(t)
	v.Put("prod", map[string]any{"apiKey": "key-of-prod"})
	v.Put("caddy-apikey-inject/acme/one", map[string]any{"apiKey": "astray"})
	up := harness.NewUpstream(t, nil)
	r := newRig(t, settings{
		local: true,
		env:   []string{"VT=" + v.Token},
		global: "\t\tstore vault {\n\t\t\taddress " + v.Addr + "\n\t\t\tauth token {env.VT}\n\t\t}\n" +
			"\t\tintegration acme " + up.URL() + " {\n\t\t\tname X-Api-Key\n\t\t\tkey prod {\n\t\t\t\tstore vault\n\t\t\t}\n\t\t}\n",
	})
	r.connection("acme", "one", "key-of-one")
	if a := r.proxy("acme", "one", http.MethodGet, "/", ""); a.status != http.StatusOK || strings.Join(up.Only().Values("X-Api-Key"), ",") != "key-of-one" {
		t.Errorf("answered %d %s", a.status, a.body)
	}
	up.Forget()
	a := r.as(ops, http.MethodGet, "/proxy/", "", "Provider-Config-Key: acme")
	if a.status != http.StatusOK || strings.Join(up.Only().Values("X-Api-Key"), ",") != "key-of-prod" {
		t.Errorf("without a connection: answered %d %s", a.status, a.body)
	}
}
