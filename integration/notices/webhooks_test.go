package notices

// This file holds which webhooks are sent, where to, and signed how.

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func nangoSignature(body string) string {
	h := hmac.New(sha256.New, []byte(signing))
	_, _ = h.Write([]byte(body))
	return hex.EncodeToString(h.Sum(nil))
}

// wantHook waits for the one webhook of a connection with that operation and
// success.
func (r *rig) wantHook(v *receiver, id, operation string, success bool) got {
	r.t.Helper()
	parts := []string{fmt.Sprintf(`"connectionId":%q`, id), fmt.Sprintf(`"operation":%q`, operation), fmt.Sprintf(`"success":%t`, success)}
	until(r.t, fmt.Sprintf("a webhook with %q", parts), func() bool { return len(v.with(parts...)) > 0 })
	all := v.with(parts...)
	if len(all) != 1 {
		r.t.Errorf("%d webhooks with %q, want one", len(all), parts)
	}
	all[0].signed(r.t)
	return all[0]
}

func TestTheLifeOfAConnectionIsToldByWebhooks(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{})
	r.integration("acme")
	r.connection("acme", "cust-1", "key-1", `"tags": {"plan": "pro"}`, `"end_user": {"id": "user-7", "email": "ada@example.com", "organization": {"id": "org-3"}}`)
	g := r.wantHook(r.hooks, "cust-1", "creation", true)
	if want := `{"from":"nango","type":"auth","operation":"creation","connectionId":"cust-1","authMode":"API_KEY","providerConfigKey":"acme","provider":"private-api-generic","environment":"prod","success":true,"tags":`; !strings.HasPrefix(g.raw, want) {
		t.Errorf("the body is %s", g.raw)
	}
	if user := fmt.Sprint(g.body(t)["endUser"]); !strings.Contains(user, "user-7") || !strings.Contains(user, "org-3") {
		t.Errorf("the end user is %s", user)
	}

	r.up.Answer(refuse("key-1"))
	for range 3 {
		if status := r.call("acme", "cust-1"); status != http.StatusUnauthorized {
			t.Fatalf("answered %d", status)
		}
	}
	g = r.wantHook(r.hooks, "cust-1", "refresh", false)
	if e, _ := g.body(t)["error"].(map[string]any); e["type"] != "auth_failed" || e["description"] == "" {
		t.Errorf("the error is %v", e)
	}

	r.must(http.MethodPut, "/connections/cust-1/credentials?provider_config_key=acme", `{"apiKey": "key-2"}`)
	r.wantHook(r.hooks, "cust-1", "override", true)
	until(t, "the new key is in use", func() bool { return r.call("acme", "cust-1") == http.StatusOK })
	r.wantHook(r.hooks, "cust-1", "refresh", true)
	r.must(http.MethodDelete, "/connections/cust-1?provider_config_key=acme", "")
	r.wantHook(r.hooks, "cust-1", "deletion", true)

	all := r.hooks.got()
	ids, operations := make([]string, 0, len(all)), make([]string, 0, len(all))
	for _, g := range all {
		ids = append(ids, g.id())
		operations = append(operations, fmt.Sprint(g.body(t)["operation"]))
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 5 || len(operations) != 5 {
		t.Errorf("%d webhooks were sent: %v", len(operations), operations)
	}
}

func TestWhoWantsNoWebhooksGetsNone(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{})
	r.integration("silent", `"forward_webhooks": false`)
	r.connection("silent", "cust-1", "key-1")
	r.integration("loud")
	r.connection("loud", "cust-2", "key-1")
	r.wantHook(r.hooks, "cust-2", "creation", true) // in order: the other would have come
	if len(r.hooks.got()) != 1 {
		t.Errorf("%d came", len(r.hooks.got()))
	}
}

func TestAConnectionMayHaveAReceiverOfItsOwn(t *testing.T) {
	t.Parallel()
	r, own := newRig(t, settings{}), newReceiver(t)
	r.integration("acme")
	r.connection("acme", "own", "key-1", fmt.Sprintf(`"webhook_url_override": %q`, own.srv.URL+"/theirs"))
	r.connection("acme", "other", "key-1")
	r.wantHook(r.hooks, "other", "creation", true)
	if g := r.wantHook(own, "own", "creation", true); g.path != "/theirs" {
		t.Errorf("it went to %s", g.path)
	}
	if len(r.hooks.got()) != 1 {
		t.Errorf("%d came to the common receiver", len(r.hooks.got()))
	}
}

func TestAnAddressThatEgressDeniesGetsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{egress: "10.0.0.0/8"})
	r.integration("acme")
	r.connection("acme", "cust-1", "key-1")
	r.connection("acme", "cloud", "key-1", `"webhook_url_override": "http://169.254.169.254/latest/meta-data"`)
	r.connection("acme", "admin", "key-1", fmt.Sprintf(`"webhook_url_override": %q`, r.caddy.Admin+"/stop"))
	r.connection("acme", "public", "key-1", `"webhook_url_override": "http://redirect.invalid/"`)
	until(t, "the log says so", func() bool {
		return len(r.caddy.Log.Entries("apikey_inject.webhooks", "does not take them", "denied")) >= 3
	})
	if all := r.hooks.got(); len(all) != 0 {
		t.Errorf("%d came", len(all))
	}
	if strings.Contains(r.caddy.Log.String(), "meta-data") {
		t.Error("the log has the path of a receiver")
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	r, elsewhere := newRig(t, settings{}), newReceiver(t)
	r.hooks.srv.Config.Handler = http.RedirectHandler(elsewhere.srv.URL, http.StatusTemporaryRedirect)
	r.integration("acme")
	r.connection("acme", "cust-1", "key-1")
	until(t, "the log says so", func() bool {
		return len(r.caddy.Log.Entries("apikey_inject.webhooks", "does not take them", "307")) == 1
	})
	if all := elsewhere.got(); len(all) != 0 {
		t.Errorf("%d came", len(all))
	}
}

func TestAReloadChangesWhereToAndWhatSigns(t *testing.T) {
	t.Parallel()
	r, other := newRig(t, settings{}), newReceiver(t)
	r.integration("acme")
	r.hooks.set(func(int) int { return http.StatusServiceUnavailable })
	r.connection("acme", "cust-1", "key-1")
	until(t, "one attempt", func() bool { return len(r.hooks.got()) > 0 })
	if err := r.caddy.Load(strings.ReplaceAll(r.config, r.hooks.srv.URL, other.srv.URL)); err != nil {
		t.Fatal(err)
	}
	g := r.wantHook(other, "cust-1", "creation", true)
	if g.id() != r.hooks.got()[0].id() {
		t.Error("the second attempt has another id")
	}
	if err := r.caddy.Load(strings.ReplaceAll(r.config, "\t\tsecret {env.WEBHOOK_SECRET}\n", "\t\tsecret {env.MISSING}\n")); err == nil {
		t.Error("a secret that is not there was accepted")
	}
	r.connection("acme", "cust-2", "key-1")
	r.wantHook(other, "cust-2", "creation", true)

	// Who is no longer named is told nothing; it waits for who is.
	block := "\t\twebhook " + r.hooks.srv.URL + "/hooks {\n\t\t\tsecret {env.WEBHOOK_SECRET}\n\t\t}\n"
	if !strings.Contains(r.config, block) {
		t.Fatalf("the configuration is %s", r.config)
	}
	if err := r.caddy.Load(strings.Replace(r.config, block, "", 1)); err != nil {
		t.Fatal(err)
	}
	r.connection("acme", "cust-3", "key-1")
	r.hooks.set(func(int) int { return http.StatusOK })
	if err := r.caddy.Load(r.config); err != nil {
		t.Fatal(err)
	}
	r.wantHook(r.hooks, "cust-3", "creation", true)
	if all := other.with(`"connectionId":"cust-3"`); len(all) != 0 {
		t.Errorf("who is not named any longer was told %v", all)
	}
}
