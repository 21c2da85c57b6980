// Vault from the VAULT_* environment alone, as every Vault user has it.

package keys

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

func TestEnvironmentOnly(t *testing.T) {
	vault, upstream := vaulttest.Start(t), harness.NewUpstream(t, nil)
	vault.Put("acme", map[string]any{"apiKey": "from-env"})
	ca := harness.NewCA(t)
	client := ca.Client(pkix.Name{CommonName: "caddy"})
	mutual := ca.ServerTLS("vault.internal")
	mutual.ClientAuth, mutual.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool
	secureLn := overTCP(t, mutual)
	secure := newFront(t, vault, secureLn)
	plainLn := overTCP(t, nil)
	plain := newFront(t, vault, plainLn)
	unixLn, socket := overUnix(t)
	unix := newFront(t, vault, unixLn)

	full := []string{
		"VAULT_ADDR=https://" + secureLn.Addr().String(), "VAULT_TOKEN=" + vault.Token, "VAULT_CACERT=" + ca.File,
		"VAULT_CLIENT_CERT=" + client.CertFile, "VAULT_CLIENT_KEY=" + client.KeyFile,
		"VAULT_TLS_SERVER_NAME=vault.internal", "VAULT_NAMESPACE=team-a", `VAULT_HEADERS={"X-Team":"a"}`,
	}
	site := func(global string) (config string, port int) {
		port = harness.Port(t)
		return global + harness.Site(port, "\tapikey_inject "+upstream.URL()+" {\n\t\tname X-Api-Key\n\t\tkey acme\n\t\tallow anyone\n\t}"), port
	}

	t.Run("no global option at all, everything from the environment", func(t *testing.T) {
		config, port := site("")
		harness.StartCaddy(t, config, harness.Env(full...))
		checkSent(t, upstream, port, "X-Api-Key: from-env")
		for name, value := range map[string]string{"X-Vault-Namespace": "team-a", "X-Team": "a", "X-Vault-Token": vault.Token} {
			if with, all := secure.saw(name, value); with == 0 || with != all {
				t.Errorf("%d of %d requests to Vault had the %s of the environment", with, all, name)
			}
		}
		if !secure.sawName("vault.internal") || !secure.sawName("CN=caddy") {
			t.Errorf("the handshakes named %q", secure.names)
		}
	})
	t.Run("a store without lines is the environment's", func(t *testing.T) {
		config, port := site("{\n\tapikey_inject {\n\t\tstore vault\n\t}\n}\n")
		harness.StartCaddy(t, config, harness.Env("VAULT_ADDR=unix://"+socket, "VAULT_TOKEN="+vault.Token))
		checkSent(t, upstream, port, "X-Api-Key: from-env")
		if _, all := unix.saw("", ""); all == 0 {
			t.Error("nothing came through the socket")
		}
	})
	t.Run("what is written wins over the environment", func(t *testing.T) {
		config, port := site("{\n\tapikey_inject {\n\t\tstore vault {\n\t\t\taddress http://" + plainLn.Addr().String() +
			"\n\t\t\tauth token {env.OURS}\n\t\t\tnamespace team-b\n\t\t}\n\t}\n}\n")
		harness.StartCaddy(t, config, harness.Env(
			"VAULT_ADDR=http://127.0.0.1:1", "VAULT_TOKEN=hvs.other", "VAULT_NAMESPACE=team-a", "OURS="+vault.Token))
		checkSent(t, upstream, port, "X-Api-Key: from-env")
		if with, all := plain.saw("X-Vault-Namespace", "team-b"); with == 0 || with != all {
			t.Errorf("%d of %d requests to Vault named the namespace that was written", with, all)
		}
	})
	t.Run("nothing says which token", func(t *testing.T) {
		config, _ := site("")
		refusal := harness.Validate(t, config, harness.Env("VAULT_ADDR="+vault.Addr))
		if refusal.Code == 0 || !strings.Contains(refusal.Stderr, "VAULT_TOKEN") {
			t.Errorf("%+v", refusal)
		}
	})
	t.Run("a variable that is malformed is named without its value", func(t *testing.T) {
		config, _ := site("")
		refusal := harness.Validate(t, config, harness.Env("VAULT_ADDR="+vault.Addr, "VAULT_TOKEN="+vault.Token, "VAULT_HEADERS=s3cret"))
		if refusal.Code == 0 || !strings.Contains(refusal.Stderr, "VAULT_HEADERS") || strings.Contains(refusal.Stderr, "s3cret") {
			t.Errorf("%+v", refusal)
		}
	})
}
