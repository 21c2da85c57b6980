// J7 and J8: what the environment and a connection may say of where to.

package egress

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

func TestJ7NoProxyOfTheEnvironmentSeesAKey(t *testing.T) {
	t.Parallel()
	vault, proxy, listed := vaulttest.Start(t), harness.NewUpstream(t, nil), harness.NewUpstream(t, nil)
	vault.Put("prod", map[string]any{"apiKey": "key-of-prod"})
	static := func(name, more string) string {
		return "\t\tintegration " + name + " http://up.example:1234 {\n\t\t\tname X-Api-Key\n\t\t\tkey prod\n\t\t\tallow anyone\n\t\t\tinsecure_http\n" + more + "\t\t}\n"
	}
	to := proxy.URL()
	env := []string{
		"VT=" + vault.Token,
		"HTTP_PROXY=" + to, "HTTPS_PROXY=" + to, "ALL_PROXY=" + to, "http_proxy=" + to, "https_proxy=" + to, "all_proxy=" + to,
	}
	r := newRig(t, settings{
		global: "\t\tstore vault {\n\t\t\taddress " + vault.Addr + "\n\t\t\tauth token {env.VT}\n\t\t}\n" +
			static("static", "") + static("by-proxy", "\t\t\ttransport http {\n\t\t\t\tnetwork_proxy url "+listed.URL()+"\n\t\t\t}\n"),
		site: "\tapikey_inject /static/* static\n\tapikey_inject /by-proxy/* by-proxy\n",
		// A name, and not of this machine: proxies of the environment are for such.
		names: map[string][]string{"up.example": {"203.0.113.9"}},
		env:   env,
	})
	r.made("made", "http://up.example:1234")
	for _, path := range []string{"/static/x", "/by-proxy/x"} {
		r.do(http.MethodGet, path, nil)
	}
	r.call("made", "c")
	for _, key := range []string{"static", "by-proxy"} {
		r.do(http.MethodGet, "/proxy/y", nil, "Provider-Config-Key: "+key)
	}
	if n := proxy.Connections(); n != 0 {
		t.Errorf("J7: the proxy of the environment got %d connections", n)
	}
	received := listed.Requests()
	targets := make([]string, 0, len(received))
	for _, got := range received {
		targets = append(targets, got.Target)
		if v := strings.Join(got.Values("X-Api-Key"), ""); v != "key-of-prod" {
			t.Errorf("J7: the proxy of the configuration got %s", got)
		}
	}
	if want := "http://up.example:1234/by-proxy/x http://up.example:1234/y"; strings.Join(targets, " ") != want {
		t.Errorf("J7: the proxy of the configuration got %q, want %q", targets, want)
	}
}

func TestJ8AValueOfAConnectionIsRefusedWhenItIsWrittenAndWhenItIsUsed(t *testing.T) {
	r := newRig(t, settings{allow: "127.0.0.1"})
	for place, base := range map[string]string{
		"a label":           "http://${connectionConfig.v}.0.0.1:" + strings.Split(r.up.Addr(), ":")[1],
		"a whole host":      "http://${connectionConfig.v}",
		"a port":            "http://127.0.0.1:${connectionConfig.v}",
		"a segment":         r.up.URL() + "/v1/${connectionConfig.v}/x",
		"a whole beginning": "${connectionConfig.v}/v1",
	} {
		key := strings.ReplaceAll(place, " ", "-")
		if status, body := r.create(key, base); status != http.StatusOK {
			t.Fatal(body)
		}
		late := "late-" + key // knows nothing of the value when it is written
		if status, body := r.create(late, r.up.URL()); status != http.StatusOK {
			t.Fatal(body)
		}
		values := []string{"h/../x", "a@b", "a#", "a?", "", "..", "%2e%2e", "a%2fb", `a\b`, "a b@" + r.up.Addr(), "x/", "a\u0000", "http://a?b", "http://a#b", "http://u:p@" + r.up.Addr(), r.up.Addr() + "/..", "0", "65536", "-1"}
		for n, value := range values {
			t.Run(fmt.Sprintf("J8 %s: %q", place, value), func(t *testing.T) {
				id := fmt.Sprintf("c-%d", n)
				if harmless(place, value) {
					return
				}
				if status, body := r.enter(key, id, map[string]string{"v": value}); status != http.StatusBadRequest || !strings.Contains(body, "connection_config") {
					t.Errorf("when it is written: answered %d %s", status, body)
				}
				if status, _, body := r.do(http.MethodPost, "/connections/metadata", map[string]any{"provider_config_key": key, "connection_id": id, "metadata": map[string]any{}}); status < 400 {
					t.Errorf("a connection was made: %d %s", status, body)
				}
				if status, _ := r.enter(late, id, map[string]string{"v": value}); status != http.StatusCreated {
					return // no value for anything
				}
			})
		}
		if status, _, body := r.do(http.MethodPatch, "/integrations/"+late, map[string]any{"integration_config": map[string]string{"baseUrl": base}}); status != http.StatusOK {
			t.Fatal(body)
		}
		if status, _, body := r.do(http.MethodPost, "/integrations/"+late+"/confirm_origin", nil); status != http.StatusOK {
			t.Fatal(body)
		}
		tried := 0
		for n, value := range values {
			if harmless(place, value) {
				continue
			}
			t.Run(fmt.Sprintf("J8 %s in use: %q", place, value), func(t *testing.T) {
				status, code := r.call(late, fmt.Sprintf("c-%d", n))
				switch {
				case status == http.StatusNotFound && code == "unknown_connection": // it could not be entered
				case status == http.StatusBadRequest && code == "bad_connection":
					tried++
				default:
					t.Errorf("answered %d %s", status, code)
				}
			})
		}
		if tried < 5 {
			t.Errorf("J8 %s: only %d values were tried in use", place, tried)
		}
	}
	if n := r.up.Connections(); n != 0 {
		t.Errorf("J8: %d connections were opened", n)
	}
}

// harmless tells whether a value is good in a place, or means there what it says.
func harmless(place, value string) bool {
	switch place {
	case "a label", "a whole host":
		return value == "0" || value == "65536"
	case "a segment":
		return value == "0" || value == "65536" || value == "-1"
	}
	return false
}
