// The ways to Vault and into it, as a Caddyfile says them: logins, engines,
// mounts, TLS, sockets.

package keys

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// TestStores runs one Caddy with a store for each way to Vault, and a route for
// each key.
func TestStores(t *testing.T) {
	vault, upstream := vaulttest.Start(t), harness.NewUpstream(t, nil)
	secure := vaulttest.StartTLS(t)
	put(vault)
	secure.Put("acme", map[string]any{"apiKey": "over-tls"})

	vault.Policy("acme", `path "secret/data/acme" { capabilities = ["read"] }`)
	role, secretID := vault.AppRole("caddy", "acme", nil)
	wrapped := vault.WrappedSecretID("caddy", 10*time.Minute)
	ca, foreign := harness.NewCA(t), harness.NewCA(t)
	mutual := ca.ServerTLS("vault.internal")
	mutual.ClientAuth, mutual.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool
	client := ca.Client(pkix.Name{CommonName: "caddy"})
	mutualLn := overTCP(t, mutual)
	mutualFront := newFront(t, vault, mutualLn)
	unixLn, socket := overUnix(t)
	unixFront := newFront(t, vault, unixLn)
	login := vault.Proxy(t)

	b := &builder{t: t, upstream: upstream, ports: map[string]int{}}
	b.config = "{\n\tapikey_inject {\n"
	token := "auth token {env.TOKEN}"
	stores := map[string][]string{
		"main":        {"address " + vault.Addr, token},
		"approle":     {"address " + login.Addr, "auth approle {\n\t\t\t\trole_id {env.ROLE_ID}\n\t\t\t\tsecret_id {env.SECRET_ID}\n\t\t\t}"},
		"approle-f":   {"address " + vault.Addr, "auth approle {\n\t\t\t\trole_id " + role + "\n\t\t\t\tsecret_id_file " + file(t, secretID+"\n") + "\n\t\t\t}"},
		"approle-w":   {"address " + vault.Addr, "auth approle {\n\t\t\t\trole_id {env.ROLE_ID}\n\t\t\t\tsecret_id_file " + file(t, wrapped) + "\n\t\t\t\twrapped\n\t\t\t}"},
		"approle-bad": {"address " + vault.Addr, "auth approle {\n\t\t\t\trole_id {env.ROLE_ID}\n\t\t\t\tsecret_id {env.ROLE_ID}\n\t\t\t}"},
		"token-file":  {"address " + vault.Addr, "auth token_file " + file(t, vault.NewToken(time.Hour, "acme")+"\n")},
		"token-env":   {"address " + vault.Addr, "auth token {file." + file(t, vault.NewToken(time.Hour, "acme")+"\n") + "}"},
		"token-dead":  {"address " + vault.Addr, "auth token {env.DEAD}"},
		"tls":         {"address " + secure.Addr, "auth token {env.SECURE_TOKEN}", "tls_trust_pool file " + secure.CACert},
		"tls-foreign": {"address " + secure.Addr, "auth token {env.SECURE_TOKEN}", "tls_trust_pool file " + foreign.File},
		"tls-none":    {"address " + secure.Addr, "auth token {env.SECURE_TOKEN}"},
		"tls-name":    {"address " + secure.Addr, "auth token {env.SECURE_TOKEN}", "tls_trust_pool file " + secure.CACert, "tls_server_name other.internal"},
		"tls-mutual": {
			"address https://" + mutualLn.Addr().String(), token, "tls_trust_pool file " + ca.File,
			"tls_client_auth " + client.CertFile + " " + client.KeyFile, "tls_server_name vault.internal",
		},
		"tls-anonymous": {"address https://" + mutualLn.Addr().String(), token, "tls_trust_pool file " + ca.File},
		"unix":          {"address unix://" + socket, token, "namespace team-a"},
		"two":           {"address http://127.0.0.1:1 " + vault.Addr, token},
		"mounted":       {"address " + vault.Addr, token, "mount kv-two"},
	}
	for name, lines := range stores {
		b.store(name, lines...)
	}
	b.config += "\t}\n}\n"
	for _, c := range storeCases {
		b.site(c.name, fmt.Sprintf("key %s {\n\t\t\tstore %s\n\t\t\t%s\n\t\t}", c.key, c.store, c.more))
	}
	harness.StartCaddy(t, b.config, harness.Env(
		"TOKEN="+vault.Token, "SECURE_TOKEN="+secure.Token, "DEAD=hvs.dead", "ROLE_ID="+role, "SECRET_ID="+secretID))

	for _, c := range storeCases {
		t.Run(c.name, func(t *testing.T) {
			if c.want == "" {
				checkRefused(t, upstream, b.ports[c.name], c.status, c.code)
				return
			}
			checkSent(t, upstream, b.ports[c.name], "X-Api-Key: "+c.want)
		})
	}

	t.Run("an AppRole logs in once", func(t *testing.T) {
		if n := login.Count("auth/approle/login"); n != 1 {
			t.Errorf("%d logins: %q", n, login.Seen())
		}
	})
	t.Run("Vault hears the name and sees the certificate", func(t *testing.T) {
		if !mutualFront.sawName("vault.internal") || !mutualFront.sawName("CN=caddy") {
			t.Errorf("the handshakes named %q", mutualFront.names)
		}
	})
	t.Run("the namespaces of the store and of a key", func(t *testing.T) {
		own, all := unixFront.saw("X-Vault-Namespace", "team-a")
		keys, _ := unixFront.saw("X-Vault-Namespace", "team-b")
		if own == 0 || keys == 0 || own+keys != all { // what goes without a token, like health, needs none
			t.Errorf("of %d requests %d named the store's namespace and %d the key's", all, own, keys)
		}
	})
}

// put writes the same path into as many engines, with another key in each.
func put(vault *vaulttest.Server) {
	vault.Put("acme", map[string]any{"apiKey": "v2", "other": "v2-other"})
	vault.Put("single", map[string]any{"token": "v2-single"})
	vault.MountV1("kv-one")
	vault.PutV1("kv-one", "acme", map[string]any{"apiKey": "v1"})
	vault.Do(http.MethodPost, "sys/mounts/kv-two", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
	vault.Do(http.MethodPost, "kv-two/data/acme", map[string]any{"data": map[string]any{"apiKey": "v2-mounted"}})
	vault.Do(http.MethodPost, "sys/mounts/team/deep", map[string]any{"type": "kv", "options": map[string]string{"version": "1"}})
	vault.PutV1("team/deep", "acme", map[string]any{"apiKey": "v1-deep"})
	vault.Do(http.MethodPost, "cubbyhole/acme", map[string]any{"apiKey": "cubbyhole"})
	vault.Do(http.MethodPost, "sys/mounts/transit", map[string]any{"type": "transit"})
	vault.Do(http.MethodPost, "transit/keys/acme", map[string]any{})
}

var storeCases = []struct {
	name, key, store, more string
	want                   string // empty: refused
	status                 int
	code                   string
}{
	{name: "KV version 2, the default field", key: "acme", store: "main", want: "v2"},
	{name: "KV version 2, a named field", key: "acme other", store: "main", want: "v2-other"},
	{name: "KV version 2, the only field", key: "single", store: "main", want: "v2-single"},
	{name: "KV version 1", key: "acme", store: "main", more: "mount kv-one", want: "v1"},
	{name: "G13 the same path in another mount", key: "acme", store: "main", more: "mount kv-two", want: "v2-mounted"},
	{name: "the store's own mount", key: "acme", store: "mounted", want: "v2-mounted"},
	{name: "G13 a key's mount beside the store's own", key: "acme", store: "mounted", more: "mount secret", want: "v2"},
	{name: "a mount of two segments", key: "acme", store: "main", more: "mount team/deep", want: "v1-deep"},
	{name: "a whole path of KV version 2", key: "/secret/data/acme", store: "main", want: "v2"},
	{name: "a whole path of KV version 1", key: "/kv-one/acme", store: "main", want: "v1"},
	{name: "a whole path of another engine", key: "/cubbyhole/acme", store: "main", want: "cubbyhole"},
	{name: "a whole path that holds no string", key: "/transit/keys/acme latest_version", store: "main", status: 502, code: "key_invalid"},
	{name: "a whole path without its data/", key: "/secret/acme", store: "main", status: 503, code: "key_unavailable"},
	{name: "an engine that is no KV", key: "acme", store: "main", more: "mount transit", status: 503, code: "key_unavailable"},
	{name: "a mount that is not there", key: "acme", store: "main", more: "mount nowhere", status: 503, code: "key_unavailable"},
	{name: "a document that is not there", key: "nowhere", store: "main", status: 502, code: "key_not_found"},
	{name: "AppRole, secret_id from a placeholder", key: "acme", store: "approle", want: "v2"},
	{name: "AppRole, another key of the same login", key: "acme other", store: "approle", want: "v2-other"},
	{name: "AppRole, what its policy does not name", key: "single", store: "approle", status: 503, code: "key_unavailable"},
	{name: "AppRole, secret_id from a file", key: "acme", store: "approle-f", want: "v2"},
	{name: "AppRole, secret_id wrapped", key: "acme", store: "approle-w", want: "v2"},
	{name: "AppRole, a wrong secret_id", key: "acme", store: "approle-bad", status: 503, code: "key_unavailable"},
	{name: "token_file", key: "acme", store: "token-file", want: "v2"},
	{name: "token_file, what its policy does not name", key: "single", store: "token-file", status: 503, code: "key_unavailable"},
	{name: "token from a file's placeholder", key: "acme", store: "token-env", want: "v2"},
	{name: "a token that is dead", key: "acme", store: "token-dead", status: 503, code: "key_unavailable"},
	{name: "TLS, its authority", key: "acme", store: "tls", want: "over-tls"},
	{name: "TLS, a foreign authority", key: "acme", store: "tls-foreign", status: 503, code: "key_unavailable"},
	{name: "TLS, the system's authorities", key: "acme", store: "tls-none", status: 503, code: "key_unavailable"},
	{name: "TLS, another name", key: "acme", store: "tls-name", status: 503, code: "key_unavailable"},
	{name: "TLS, a client certificate", key: "acme", store: "tls-mutual", want: "v2"},
	{name: "TLS, no client certificate", key: "acme", store: "tls-anonymous", status: 503, code: "key_unavailable"},
	{name: "a unix socket", key: "acme", store: "unix", want: "v2"},
	{name: "a unix socket, a namespace of the key's own", key: "acme", store: "unix", more: "namespace team-b", want: "v2"},
	{name: "the second of two addresses", key: "acme", store: "two", want: "v2"},
}

// builder puts a Caddyfile together.
type builder struct {
	t        *testing.T
	upstream *harness.Upstream
	config   string
	ports    map[string]int
}

func (b *builder) store(name string, lines ...string) {
	b.config += "\t\tstore vault " + name + " {\n"
	for _, l := range lines {
		b.config += "\t\t\t" + l + "\n"
	}
	b.config += "\t\t}\n"
}

// site adds a site with one route whose block has these lines, with the
// header X-Api-Key.
func (b *builder) site(name string, lines ...string) {
	b.ports[name] = harness.Port(b.t)
	body := "\tapikey_inject " + b.upstream.URL() + " {\n\t\tname X-Api-Key\n\t\tallow anyone\n"
	for _, l := range lines {
		body += "\t\t" + l + "\n"
	}
	b.config += harness.Site(b.ports[name], body+"\t}")
}
