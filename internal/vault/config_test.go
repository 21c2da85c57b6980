package vault_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vault"
)

func fieldsOf(key string) map[string]secret.Value {
	return map[string]secret.Value{"apiKey": secret.New(key)}
}

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for _, p := range pairs {
			if k, v, _ := strings.Cut(p, "="); k == name {
				return v
			}
		}
		return ""
	}
}

func TestEnvironmentFillsWhatIsEmpty(t *testing.T) {
	getenv := env("VAULT_ADDR=http://env:8200", "VAULT_TOKEN=tok", "VAULT_NAMESPACE=ns", "VAULT_CLIENT_TIMEOUT=7",
		"VAULT_RATE_LIMIT=10:20", `VAULT_HEADERS={"x-a":"b"}`, "VAULT_SKIP_VERIFY=true", "VAULT_CACERT=/ca.pem")
	c, err := vault.Config{}.WithEnv(getenv)
	if err != nil {
		t.Fatal(err)
	}
	if c.Addresses[0] != "http://env:8200" || c.Auth.Token.Reveal() != "tok" || c.Namespace != "ns" || c.RequestTimeout != 7*time.Second ||
		c.RateLimit != 10 || c.RateBurst != 20 || c.Headers.Get("X-A") != "b" || !c.TLSFiles.SkipVerify || c.TLSFiles.CACert != "/ca.pem" {
		t.Errorf("%+v", c)
	}
	own := vault.Config{
		Addresses: []string{"http://own:1"}, Namespace: "mine", RequestTimeout: time.Second,
		Auth: vault.Auth{Method: vault.MethodAppRole, RoleID: secret.New("r")}, TLSFiles: vault.TLSFiles{CAPath: "/own"},
	}
	c, err = own.WithEnv(getenv)
	if err != nil {
		t.Fatal(err)
	}
	if c.Addresses[0] != "http://own:1" || c.Namespace != "mine" || c.RequestTimeout != time.Second ||
		!c.Auth.Token.IsZero() || c.TLSFiles.CACert != "" {
		t.Errorf("the environment overrides: %+v", c)
	}
}

func TestMalformedEnvironmentIsNamedWithoutItsValue(t *testing.T) {
	for _, name := range []string{"VAULT_CLIENT_TIMEOUT", "VAULT_RATE_LIMIT", "VAULT_HEADERS", "VAULT_SKIP_VERIFY", "VAULT_SRV_LOOKUP"} {
		_, err := vault.Config{}.WithEnv(env(name + "=" + canary))
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWrongConfigurationNamesItsField(t *testing.T) {
	good := withToken("http://v:8200", canary)
	for field, change := range map[string]func(*vault.Config){
		"address":          func(c *vault.Config) { c.Addresses = []string{"v:8200"} },
		"user or password": func(c *vault.Config) { c.Addresses = []string{"http://u:" + canary + "@v"} },
		"mount":            func(c *vault.Config) { c.Mount = "a/../b" },
		"namespace":        func(c *vault.Config) { c.Namespace = "a//b" },
		"request_timeout":  func(c *vault.Config) { c.RequestTimeout = -1 },
		"headers":          func(c *vault.Config) { c.Headers = map[string][]string{"X-Vault-Token": {canary}} },
		"tls_client_auth":  func(c *vault.Config) { c.TLSFiles.ClientCert = "c" },
		"auth: is missing": func(c *vault.Config) { c.Auth = vault.Auth{} },
		"unknown method":   func(c *vault.Config) { c.Auth.Method = "tokn" },
		"role_id":          func(c *vault.Config) { c.Auth = vault.Auth{Method: vault.MethodAppRole} },
		"username": func(c *vault.Config) {
			c.Auth = vault.Auth{Method: vault.MethodUserpass, Username: "a/b", Password: secret.New("p")}
		},
	} {
		c := good
		change(&c)
		err := c.Validate()
		if err == nil || !strings.Contains(err.Error(), field) || strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", field, err)
		}
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}

func TestIdentityIsWhoSeesWhat(t *testing.T) {
	base := vault.Config{Addresses: []string{"http://a", "http://b"}, Auth: vault.Auth{Method: vault.MethodAppRole, RoleID: secret.New("r"), SecretID: secret.New("s")}}
	same := func(change func(*vault.Config)) bool {
		c := base
		change(&c)
		return c.Identity() == base.Identity()
	}
	for name, change := range map[string]func(*vault.Config){
		"timeout":          func(c *vault.Config) { c.RequestTimeout = time.Hour },
		"secret_id":        func(c *vault.Config) { c.Auth.SecretID = secret.New("t") },
		"default mount":    func(c *vault.Config) { c.Mount = "secret/" },
		"order of address": func(c *vault.Config) { c.Addresses = []string{"http://b", "http://a"} },
	} {
		if !same(change) {
			t.Errorf("%s makes another identity", name)
		}
	}
	for name, change := range map[string]func(*vault.Config){
		"address":   func(c *vault.Config) { c.Addresses = []string{"http://a"} },
		"namespace": func(c *vault.Config) { c.Namespace = "n" },
		"mount":     func(c *vault.Config) { c.Mount = "m" },
		"role_id":   func(c *vault.Config) { c.Auth.RoleID = secret.New("q") },
		"authority": func(c *vault.Config) { c.TLSFiles.CACert = "/ca" },
	} {
		if same(change) {
			t.Errorf("%s makes no other identity", name)
		}
	}
}

func TestPrintingShowsNoCredential(t *testing.T) {
	c := withToken("http://v", canary)
	c.Auth.SecretID, c.Auth.Password, c.Auth.JWT = secret.New(canary), secret.New(canary), secret.New(canary)
	cl := open(t, c)
	for _, v := range []any{c, &c, cl, cl.Status()} {
		for _, verb := range []string{"%v", "%+v", "%#v"} {
			if strings.Contains(fmt.Sprintf(verb, v), canary) {
				t.Errorf("%s of %T shows the credential", verb, v)
			}
		}
	}
}
