// Who may call: C9 and C13, and that a refusal costs neither a hit nor a read.

package callers

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// basic is the line with which a user logs in to Caddy.
func basic(user string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":pass"))
}

// TestAllow asks as many callers at many routes. Every route takes the key of
// the connection that the caller names, and every caller names another, so
// that a read of Vault can be told to be his.
func TestAllow(t *testing.T) {
	s := newStand(t)
	ca, foreign := harness.NewCA(t), harness.NewCA(t)
	server := ca.Server()
	subject := pkix.Name{CommonName: "svc", Organization: []string{"Acme"}}
	cert := func(c harness.Cert) *tls.Config { return ca.ClientTLS(c) }

	// The authentication service behind forward_auth: it knows one user.
	auth := harness.NewUpstream(t, nil)
	auth.Answer(func(r *harness.Request) harness.Answer {
		switch v := r.Values("X-Session"); {
		case len(v) == 1 && v[0] == "billing":
			return harness.Text(200, "", "Remote-User: billing")
		case len(v) == 1 && v[0] == "nameless":
			return harness.Text(200, "")
		}
		return harness.Text(401, "log in")
	})

	ports := map[string]int{}
	config := fmt.Sprintf(`{
	auto_https off
	apikey_inject {
		store vault
		integration acme $UPSTREAM {
			name X-Api-Key
			key customers/${connectionId}
			allow user billing ops
		}
		integration tokens $UPSTREAM {
			name X-Api-Key
			key customers/${connectionId}
			allow token agents
		}
	}
}
(users) {
	basic_auth {
		billing %[1]s
		ops %[1]s
		intern %[1]s
	}
}
(route) {
	apikey_inject {args[0]} {
		connection {http.request.header.X-Customer}
		{block}
	}
}
(inline) {
	apikey_inject $UPSTREAM {
		name X-Api-Key
		key customers/${connectionId}
		connection {http.request.header.X-Customer}
		{block}
	}
}
`, passHash)
	site := func(name, scheme, body string) {
		ports[name] = harness.Port(t)
		config += fmt.Sprintf("%s://:%d {\n\tbind 127.0.0.1\n%s\n}\n", scheme, ports[name], body)
	}
	mutual := func(mode, who string) string {
		pool := ""
		if mode != "require" {
			pool = "trust_pool file " + ca.File
		}
		return fmt.Sprintf("\ttls %s %s {\n\t\tclient_auth {\n\t\t\tmode %s\n\t\t\t%s\n\t\t}\n\t}\n\timport inline {\n\t\tallow client_cert %s\n\t}",
			server.CertFile, server.KeyFile, mode, pool, who)
	}
	site("named", "http", "\timport users\n\timport route acme {\n\t\tallow user *\n\t}")
	site("narrowed", "http", "\timport users\n\timport route acme {\n\t\tallow user billing\n\t}")
	site("widened", "http", "\timport users\n\timport route acme {\n\t\tallow anyone\n\t}")
	site("everyone logged in", "http", "\timport users\n\timport inline {\n\t\tallow user *\n\t}")
	site("nobody logs in", "http", "\timport inline {\n\t\tallow user *\n\t}")
	site("anyone", "http", "\timport inline {\n\t\tallow anyone\n\t}")
	site("two lines", "http", "\timport users\n\timport inline {\n\t\tallow user nobody\n\t\tallow user ops\n\t}")
	site("token", "http", "\timport users\n\timport route tokens {\n\t\tallow token agents\n\t}")
	site("forward_auth", "http", fmt.Sprintf("\tforward_auth %s {\n\t\turi /check\n\t\tcopy_headers Remote-User\n\t}\n"+
		"\timport inline {\n\t\tcaller {http.request.header.Remote-User}\n\t\tallow user billing\n\t}", auth.Addr()))
	site("require", "https", mutual("require", `"CN=svc,O=Acme"`))
	site("require any", "https", mutual("require", "*"))
	site("verified", "https", mutual("require_and_verify", `"CN=svc,O=Acme"`))
	site("verified any", "https", mutual("require_and_verify", "*"))
	site("verified part", "https", mutual("require_and_verify", "CN=svc"))
	site("verified if given", "https", mutual("verify_if_given", `"CN=svc,O=Acme"`))
	s.start(config)

	right, wrong := ca.Client(subject), ca.Client(pkix.Name{CommonName: "other"})
	const yes, no = 200, 403
	for i, c := range []struct {
		name, site string
		conf       *tls.Config
		line       string
		status     int
	}{
		{"C9 a user of the list", "named", nil, basic("billing"), yes},
		{"C9 another user of the list", "named", nil, basic("ops"), yes},
		{"C9 a user not in the list", "named", nil, basic("intern"), no},
		{"C9 the route narrows the integration", "narrowed", nil, basic("ops"), no},
		{"C9 who is left by the narrowing", "narrowed", nil, basic("billing"), yes},
		{"C9 the route cannot widen the integration", "widened", nil, basic("intern"), no},
		{"C9 the integration's own callers stay", "widened", nil, basic("ops"), yes},
		{"C9 every user", "everyone logged in", nil, basic("intern"), yes},
		{"C9 every user, and nobody authenticates", "nobody logs in", nil, basic("billing"), no},
		{"C9 anyone", "anyone", nil, "X-Nothing: 1", yes},
		{"C9 the second line fits", "two lines", nil, basic("ops"), yes},
		{"C9 no line fits", "two lines", nil, basic("billing"), no},
		{"C9 tokens belong to the gateway", "token", nil, basic("agents"), 401},
		{"C9 a user is no token", "token", nil, basic("ops"), no},
		{"C9 forward_auth names the caller", "forward_auth", nil, "X-Session: billing", yes},
		{"C9 forward_auth refuses", "forward_auth", nil, "X-Session: none", 401},
		{"C9 forward_auth lets one pass that it does not name", "forward_auth", nil, "X-Session: nameless", no},
		{"C9 the caller forges what forward_auth would say", "forward_auth", nil, "X-Session: nameless\r\nRemote-User: billing", no},
		{"C9 in another casing", "forward_auth", nil, "X-Session: nameless\r\nremote-user: billing\r\nREMOTE-USER: billing", no},
		{"C13 require, self-signed with the right subject", "require", cert(ca.SelfSigned(subject)), "", no},
		{"C13 require, a foreign authority", "require", cert(foreign.Client(subject)), "", no},
		{"C13 require, our own authority, which is not asked", "require", cert(right), "", no},
		{"C13 require, any certificate", "require any", cert(ca.SelfSigned(subject)), "", no},
		{"C13 require_and_verify, the subject", "verified", cert(right), "", yes},
		{"C13 require_and_verify, another subject", "verified", cert(wrong), "", no},
		{"C13 require_and_verify, any subject", "verified any", cert(wrong), "", yes},
		{"C13 subjects are compared whole", "verified part", cert(right), "", no},
		{"C13 verify_if_given, the subject", "verified if given", cert(right), "", yes},
		{"C13 verify_if_given, no certificate", "verified if given", ca.ClientTLS(), "", no},
	} {
		t.Run(c.name, func(t *testing.T) {
			customer := fmt.Sprintf("cust-%d", i)
			s.vault.Put("customers/"+customer, map[string]any{"apiKey": "key-of-" + customer})
			s.upstream.Forget()
			lines := []string{"X-Customer: " + customer}
			if c.line != "" {
				lines = append(lines, c.line)
			}
			a := ask(t, ports[c.site], c.conf, "GET", "/v1/users", lines...)
			if c.status == yes {
				if a.Status != 200 {
					t.Fatalf("refused: %q", a.Raw)
				}
				got := s.upstream.Only()
				checkOnly(t, got, "X-Api-Key: key-of-"+customer)
				checkAbsent(t, got, "Authorization", "Remote-User", "X-Customer")
				if n := s.reads.Count("customers/" + customer); n != 1 {
					t.Errorf("%d reads of Vault, want 1", n)
				}
				return
			}
			if c.status == no {
				checkOurs(t, a, 403, "forbidden")
			} else if a.Status != c.status {
				t.Errorf("answered %d, want %d", a.Status, c.status)
			}
			if hits := s.upstream.Hits(); hits != 0 {
				t.Errorf("%d hits at the upstream", hits)
			}
			if n := s.reads.Count("customers/" + customer); n != 0 {
				t.Errorf("%d reads of Vault", n)
			}
		})
	}
}
