// Proxies out of the environment: J7. And in the same way which address a name
// leads to: a DNS server of the test's own says it.

package keys

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

func TestProxiesOfTheEnvironment(t *testing.T) {
	vault := vaulttest.Start(t)
	vault.Put("acme", map[string]any{"apiKey": "K"})
	ca := harness.NewCA(t)
	plain, secure := harness.NewUpstream(t, nil), harness.NewUpstream(t, ca.ServerTLS("api.example"))
	proxy := harness.NewUpstream(t, nil)
	resolver := newResolver(t, net.IPv4(127, 0, 0, 1))

	// Names, because nothing is ever sent to a proxy for 127.0.0.1.
	_, plainPort, _ := net.SplitHostPort(plain.Addr())
	_, securePort, _ := net.SplitHostPort(secure.Addr())
	ports := map[string]int{}
	config := "{\n\tapikey_inject {\n\t\tstore vault\n\t\tintegration named http://api.example:" + plainPort +
		" {\n\t\t\tname X-Api-Key\n\t\t\tkey acme\n\t\t\tallow anyone\n\t\t\ttransport http {\n\t\t\t\tresolvers " + resolver + "\n\t\t\t}\n\t\t}\n\t}\n}\n"
	route := func(name, argument, lines string) {
		ports[name] = harness.Port(t)
		own := "\t\tname X-Api-Key\n\t\tkey acme\n\t\tallow anyone\n"
		if !strings.Contains(argument, "://") {
			own = ""
		}
		config += harness.Site(ports[name], "\tapikey_inject "+argument+" {\n"+own+lines+"\t}")
	}
	transport := func(lines ...string) string {
		return "\t\ttransport http {\n\t\t\t" + strings.Join(lines, "\n\t\t\t") + "\n\t\t}\n"
	}
	trust := "tls_trust_pool file " + ca.File
	route("in clear", "http://api.example:"+plainPort, transport("resolvers "+resolver))
	route("named", "named", "")
	route("TLS", "https://api.example:"+securePort, transport("resolvers "+resolver, trust))
	route("written", "http://api.example:"+plainPort, transport("network_proxy url "+proxy.URL()))
	// Caddy's own shows that the environment says something.
	ports["plain reverse_proxy"] = harness.Port(t)
	config += harness.Site(ports["plain reverse_proxy"], "\treverse_proxy http://api.example:"+plainPort+" {\n\t\theader_up X-Api-Key K\n\t}")

	to := "=" + proxy.URL()
	harness.StartCaddy(t, config, harness.Env("VAULT_ADDR="+vault.Addr, "VAULT_TOKEN="+vault.Token,
		"HTTP_PROXY"+to, "HTTPS_PROXY"+to, "ALL_PROXY"+to, "http_proxy"+to, "https_proxy"+to, "all_proxy"+to))

	for _, c := range []struct {
		name, route string
		to          *harness.Upstream
		proxied     int
	}{
		{"J7 in clear", "in clear", plain, 0},
		{"J7 a named integration", "named", plain, 0},
		{"J7 over TLS", "TLS", secure, 0},
		{"J7 the proxy that the block names", "written", proxy, 1},
		{"J7 without us the environment counts", "plain reverse_proxy", proxy, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			proxy.Forget()
			checkSent(t, c.to, ports[c.route], "X-Api-Key: K")
			if hits := proxy.Hits(); hits != c.proxied {
				t.Errorf("%d hits at the proxy, want %d", hits, c.proxied)
			}
			if n := proxy.Connections(); c.proxied == 0 && n != 0 {
				t.Errorf("%d connections to the proxy", n)
			}
		})
	}
}

// newResolver runs a DNS server that has one address for every name, and
// returns where it is.
func newResolver(t *testing.T, ip net.IP) string {
	t.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer, err := resolve(buf[:n], ip); err == nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return conn.LocalAddr().String()
}

// resolve answers a question for an A record, and any other with nothing.
func resolve(query []byte, ip net.IP) ([]byte, error) {
	var q dnsmessage.Message
	if err := q.Unpack(query); err != nil {
		return nil, err
	}
	if len(q.Questions) != 1 {
		return nil, fmt.Errorf("%d questions", len(q.Questions))
	}
	a := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: q.ID, Response: true, Authoritative: true, RecursionAvailable: true},
		Questions: q.Questions,
	}
	if q.Questions[0].Type == dnsmessage.TypeA {
		a.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 1},
			Body:   &dnsmessage.AResource{A: [4]byte(ip.To4())},
		}}
	}
	return a.Pack()
}
