// Secrets that stand where they must not: what is said about them does not
// repeat them. And what a Caddy says that dies with keys in use.

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// TestLeaksOfRefusedConfigurations writes secrets in clear into each place where
// somebody might. C is the secret, LEAK an environment variable that holds it.
func TestLeaksOfRefusedConfigurations(t *testing.T) {
	c := newCanary("the secret")
	c.value = c.cores[0] + "+" + c.cores[1] // one word of a Caddyfile, and part of a URL
	variable := "LEAK=" + c.value
	inApp := func(store string) string {
		return `{"apps": {"apikey_inject": {"stores": {"v": {"store": "vault", ` + store + `}}}}}`
	}
	inBlock := func(lines string) string {
		return "{\napikey_inject {\nstore vault {\naddress http://127.0.0.1:9\n" + lines + "\n}\n}\n}\n"
	}
	inRoute := func(lines string) string {
		return "http://127.0.0.1:1 {\napikey_inject http://127.0.0.1:9 {\nname X-Api-Key\nkey a\nallow anyone\n" + lines + "\n}\n}\n"
	}
	for name, config := range map[string]string{
		"token":                     inBlock("auth token C"),
		"token, filled in":          inBlock("auth token {$LEAK}"),
		"token of two words":        inBlock("auth token C and"),
		"token beside placeholder":  inBlock("auth token {env.X}C"),
		"token file's content":      inBlock("auth token C {\n}"),
		"secret_id":                 inBlock("auth approle {\nrole_id x\nsecret_id C\n}"),
		"secret_id, filled in":      inBlock("auth approle {\nrole_id x\nsecret_id {$LEAK}\n}"),
		"secret_id of two words":    inBlock("auth approle {\nrole_id x\nsecret_id C and\n}"),
		"password":                  inBlock("auth userpass {\nusername x\npassword C\n}"),
		"userinfo of the address":   "{\napikey_inject {\nstore vault {\naddress http://user:C@127.0.0.1:9\nauth token {env.X}\n}\n}\n}\n",
		"keyset":                    "{\napikey_inject {\nstore local {\nkeyset C\n}\n}\n}\n",
		"userinfo of base_url":      "http://127.0.0.1:1 {\napikey_inject https://user:C@api.example {\nname X-Api-Key\nkey a\n}\n}\n",
		"query of base_url":         "http://127.0.0.1:1 {\napikey_inject https://api.example/?key=C {\nname X-Api-Key\nkey a\n}\n}\n",
		"fragment of base_url":      "http://127.0.0.1:1 {\napikey_inject https://api.example/#C {\nname X-Api-Key\nkey a\n}\n}\n",
		"template":                  inRoute(`template "Bearer C"`),
		"template in Caddy's":       inRoute(`template "${apiKey}{env.LEAK}{C}"`),
		"template of several words": inRoute(`template Bearer C`),
		"header_up":                 inRoute("header_up X-Api-Key C"),
		"key":                       inRoute("key C and C"),
		"JSON token":                inApp(`"addresses": ["http://127.0.0.1:9"], "auth": {"method": "token", "token": "C"}`),
		"JSON secret_id":            inApp(`"addresses": ["http://127.0.0.1:9"], "auth": {"method": "approle", "role_id": "x", "secret_id": "C"}`),
		"JSON password":             inApp(`"addresses": ["http://127.0.0.1:9"], "auth": {"method": "userpass", "username": "x", "password": "C"}`),
		"JSON of another type":      inApp(`"addresses": ["http://127.0.0.1:9"], "auth": {"method": "token", "token": ["C"]}`),
		"JSON of another field":     inApp(`"addresses": ["http://127.0.0.1:9"], "auth": {"method": "token", "secret": "C"}`),
		"JSON userinfo":             inApp(`"addresses": ["http://user:C@127.0.0.1:9"], "auth": {"method": "token", "token": "{env.LEAK}"}`),
		"userinfo by placeholder":   inApp(`"addresses": ["http://user:{env.LEAK}@127.0.0.1:9"], "auth": {"method": "token", "token": "{env.LEAK}"}`),
		"address by placeholder":    inApp(`"addresses": ["{env.LEAK}"], "auth": {"method": "token", "token": "{env.LEAK}"}`),
	} {
		t.Run(name, func(t *testing.T) {
			config = strings.ReplaceAll(config, "C", c.value)
			checked := harness.Validate(t, config, harness.Env(variable, "X=x"))
			said := checked.Stdout + checked.Stderr
			if checked.Code == 0 {
				t.Errorf("was accepted:\n%s", said)
			}
			noLeak(t, channel{"caddy validate", said}, []canary{canaryOf("an error", "error")}, []canary{c})
		})
	}
	t.Run("the variables of Vault's own tools", func(t *testing.T) {
		for _, v := range []string{"VAULT_ADDR=http://user:" + c.value + "@127.0.0.1:9", "VAULT_ADDR=" + c.value, "VAULT_RATE_LIMIT=" + c.value, "VAULT_CLIENT_TIMEOUT=" + c.value, "VAULT_SKIP_VERIFY=" + c.value, "VAULT_HEADERS=" + c.value, "VAULT_PROXY_ADDR=http://%zz" + c.value} {
			checked := harness.Validate(t, `{"apps": {"apikey_inject": {}}}`, harness.Env(v, "VAULT_TOKEN="+c.value))
			noLeak(t, channel{v[:12], checked.Stdout + checked.Stderr}, []canary{canaryOf("a word of the log", "config")}, []canary{c})
		}
	})
}

// TestLeaksOfADyingCaddy makes Go dump every goroutine while requests with
// keys are under way.
func TestLeaksOfADyingCaddy(t *testing.T) {
	vault := vaulttest.Start(t)
	upstream := harness.NewUpstream(t, nil)
	upstream.Always(harness.Hang())
	key := newCanary("the key")
	vault.Put("a", map[string]any{"apiKey": key.value})
	port := harness.Port(t)
	caddy := harness.StartCaddy(t, harness.Site(port, fmt.Sprintf("apikey_inject %s {\nname X-Api-Key\nkey a\nallow anyone\n}", upstream.URL())),
		harness.Env("VAULT_ADDR="+vault.Addr, "VAULT_TOKEN="+vault.Token, "GOTRACEBACK=all"))
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	c := harness.DialRaw(t, addr, nil)
	c.Send("GET / HTTP/1.1\r\nHost: " + addr + "\r\n\r\n")
	upstream.WaitHits(1, 10*time.Second)

	status, dump, err := caddy.Do(http.MethodGet, "/debug/pprof/goroutine?debug=2", "")
	if err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	caddy.Signal(syscall.SIGABRT)
	<-caddy.Exited()
	secrets := []canary{key, canaryOf("the token", vault.Token)}
	noLeak(t, channel{"a dump", dump}, []canary{canaryOf("our transport", "(*Transport).RoundTrip")}, secrets)
	noLeak(t, channel{"the last words", caddy.Log.String()}, []canary{canaryOf("our transport", "(*Transport).RoundTrip")}, secrets)
}
