// D: nothing a client or another part of the configuration does takes the key
// off, or sends it elsewhere.

package requests

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

func TestD1D2HopByHopNamesOfTheClient(t *testing.T) {
	r := newRig(t)
	ca := harness.NewCA(t)
	u, h2 := harness.NewUpstream(t, nil), harness.NewH2Upstream(t, ca.ServerTLS())
	header := r.site(route("", u.URL(), inHeader))
	bearer := r.site(route("", u.URL(), "name Authorization", `template "Bearer ${apiKey}"`, "forward_credentials"))
	toH2 := r.site(route("", h2.URL(), inHeader, "transport http {\n\t\t\ttls_trust_pool file "+ca.File+"\n\t\t}"))
	query := r.site(route("", u.URL(), "placement query", "name X-Api-Key"))
	r.start()

	for _, lines := range [][]string{
		{"Connection: X-Api-Key"},
		{"Connection: x-API-key, Close", "X-Api-Key: mine"},
		{"Connection: keep-alive,X-Api-Key,,authorization ,\tX-Api-Key"},
		{"Connection:", "Connection: X-Api-Key, Authorization"},
		{"Connection: X-Other", "connection: x-api-key", "CONNECTION: authorization"},
		{"Connection: X_Api_Key, X-Forwarded-For, Host, Content-Length"},
		{"Connection: close", "Proxy-Connection: X-Api-Key", "Keep-Alive: X-Api-Key", "TE: X-Api-Key", "Trailer: X-Api-Key"},
		{"Connection: Upgrade, X-Api-Key, Authorization", "Upgrade: websocket"},
		{"Connection: \"X-Api-Key\", *"},
		{"Connection: Via, X-Forwarded-Proto, X-Forwarded-Host, User-Agent"},
	} {
		t.Run("D1 "+strings.Join(lines, " | "), func(t *testing.T) {
			for addr, want := range map[string]string{header: "X-Api-Key: " + key, bearer: "Authorization: Bearer " + key} {
				u.Forget()
				answer := harness.Exchange(t, addr, nil, get(addr, "/", lines...))
				name, _, _ := strings.Cut(want, ":")
				wantLines(t, u.Only(), name, want)
				if answer.Status != http.StatusOK {
					t.Errorf("answered %q", answer.Raw)
				}
				for _, f := range u.Only().Fields {
					if strings.HasPrefix(f.Name, "X-Forwarded") || f.Name == "Via" {
						t.Errorf("received %s: %s", f.Name, f.Value)
					}
				}
			}
			if !slices.Contains(lines, "Upgrade: websocket") { // which needs an upstream of HTTP/1.1
				h2.Forget()
				harness.Exchange(t, toH2, nil, get(toH2, "/", lines...))
				wantLines(t, h2.Only(), "X-Api-Key", "X-Api-Key: "+key)
			}
			u.Forget()
			harness.Exchange(t, query, nil, get(query, "/", lines...))
			if got := u.Only(); got.Target != "/?X-Api-Key="+key {
				t.Errorf("received %s", got.Target)
			}
		})
	}
	for _, lines := range [][]string{
		{"Connection: X-Other", "X-Other: 1"},
		{"Connection: close, x-OTHER", "X-Other: 1", "x-other: 2"},
		{"Connection:", "Connection: X-Api-Key,X-Other", "X-Other: 1"},
		{"Connection: X-Other, Upgrade", "Upgrade: websocket", "X-Other: 1"},
	} {
		t.Run("D2 "+strings.Join(lines, " | "), func(t *testing.T) {
			u.Forget()
			harness.Exchange(t, header, nil, get(header, "/", append(lines, "X-Kept: 1")...))
			wantLines(t, u.Only(), "X-Other")
			wantLines(t, u.Only(), "X-Kept", "X-Kept: 1")
			wantLines(t, u.Only(), "X-Api-Key", "X-Api-Key: "+key)
		})
	}
}

func TestD3OtherUpgradesAreNotTunnelled(t *testing.T) {
	r := newRig(t)
	u := harness.NewUpstream(t, nil)
	addr := r.site(route("", u.URL(), inHeader))
	r.start()
	for _, lines := range [][]string{
		{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"},
		{"Connection: upgrade", "Upgrade: H2C"},
		{"Connection: Upgrade", "Upgrade: TLS/1.0, HTTP/1.1"},
		{"Connection: Upgrade", "Upgrade: websocket, h2c"},
		{"Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket"},
		{"Upgrade: websocket"}, // without the Connection that makes it one
	} {
		t.Run("D3 "+strings.Join(lines, " | "), func(t *testing.T) {
			u.Forget()
			u.Always(harness.Text(http.StatusOK, "plain"))
			if answer := harness.Exchange(t, addr, nil, get(addr, "/", lines...)); string(answer.Body) != "plain" {
				t.Errorf("answered %q", answer.Raw)
			}
			for _, name := range []string{"Upgrade", "Http2-Settings", "Connection"} {
				wantLines(t, u.Only(), name)
			}
			wantLines(t, u.Only(), "X-Api-Key", "X-Api-Key: "+key)
			// An upstream that switches all the same gets no tunnel.
			u.Always(harness.Raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"))
			if answer := harness.Exchange(t, addr, nil, get(addr, "/", lines...)); answer.Status == http.StatusSwitchingProtocols {
				t.Errorf("tunnelled: %q", answer.Raw)
			}
		})
	}
}

func TestD4MethodsThatAreRefused(t *testing.T) {
	r := newRig(t)
	ca := harness.NewCA(t)
	u := harness.NewUpstream(t, nil)
	proxy := r.vault.Proxy(t)
	// Keys of connections are read when they are asked for, and not before.
	chosen := route("", u.URL(), inHeader, "key tenants/${connectionId}", "connection {env.TENANT}")
	plain, secure := r.site(chosen), r.secureSite(ca, chosen)
	r.start("TENANT=one", "GODEBUG=http2xconnect=1", "VAULT_ADDR="+proxy.Addr)

	for name, req := range map[string]string{
		"TRACE":                           request("TRACE", plain, "/", ""),
		"TRACE with hops":                 request("TRACE", plain, "/x", "", "Max-Forwards: 3"),
		"CONNECT to the upstream":         request("CONNECT", plain, u.Addr(), ""),
		"CONNECT to anybody":              request("CONNECT", "evil.example:443", "evil.example:443", ""),
		"CONNECT to a path":               request("CONNECT", plain, "/x", ""),
		"CONNECT that says it upgrades":   request("CONNECT", plain, u.Addr(), "", "Connection: Upgrade", "Upgrade: websocket", ":protocol: websocket"),
		"CONNECT with a protocol as name": request("CONNECT", plain, u.Addr(), "", "Protocol: websocket"),
	} {
		t.Run("D4 "+name, func(t *testing.T) {
			u.Forget()
			answer := harness.Exchange(t, plain, nil, req)
			if answer.Status == http.StatusBadRequest && strings.Contains(req, "\r\n:protocol") && u.Hits() == 0 {
				return // a header of that name is no header in HTTP/1.1
			}
			wantRefusal(t, answer, u.Hits(), http.StatusMethodNotAllowed, "method_not_allowed")
			if allow := answer.Header.Get("Allow"); !strings.Contains(allow, "GET") || strings.Contains(allow, "TRACE") {
				t.Errorf("Allow: %s", allow)
			}
		})
	}
	for name, fields := range map[string][]string{
		"plain CONNECT":             {":authority", secure},
		"CONNECT of another tunnel": {":protocol", "connect-udp", ":scheme", "https", ":path", "/x", ":authority", secure},
	} {
		t.Run("D4 over HTTP/2: "+name, func(t *testing.T) {
			u.Forget()
			status, header := dialH2(t, secure, ca.ClientTLS()).request(fields)
			wantRefusal(t, &harness.RawResponse{Status: status, Header: header}, u.Hits(), http.StatusMethodNotAllowed, "method_not_allowed")
		})
	}
	if n := proxy.Count("tenants"); n != 0 {
		t.Errorf("Vault was asked %d times: %q", n, proxy.Seen())
	}
}

func TestD5ATransportWithoutOurHandlerSendsNothing(t *testing.T) {
	r := newRig(t)
	u := harness.NewUpstream(t, nil)
	bare := "\treverse_proxy " + u.Addr() + " {\n\t\ttransport apikey_inject\n\t}"
	alone := r.site(bare)
	after := r.site(route("/ours/*", u.URL(), inHeader) + "\n" + bare)
	r.start()
	for addr, path := range map[string]string{alone: "/", after: "/theirs/x"} {
		t.Run("D5 "+path, func(t *testing.T) {
			u.Forget()
			answer := harness.Exchange(t, addr, nil, get(addr, path, "X-Api-Key: mine"))
			if answer.Status != http.StatusBadGateway || u.Hits() != 0 {
				t.Errorf("answered %q, %d hits", answer.Raw, u.Hits())
			}
		})
	}
}

func TestD6AProxyInsideOursHasNoKey(t *testing.T) {
	r := newRig(t)
	u, other := harness.NewUpstream(t, nil), harness.NewUpstream(t, nil)
	u.Always(harness.Text(http.StatusServiceUnavailable, "down"))
	inner := func(proxy string) string {
		return fmt.Sprintf("handle_response {\n\t\t\t%s\n\t\t}", proxy)
	}
	ours := r.site(route("", u.URL(), inHeader, inner("reverse_proxy "+other.Addr()+" {\n\t\t\t\ttransport apikey_inject\n\t\t\t}")))
	query := r.site(route("", u.URL(), "placement query", "name k", inner("reverse_proxy "+other.Addr()+" {\n\t\t\t\ttransport apikey_inject\n\t\t\t}")))
	plain := r.site(route("", u.URL(), inHeader, inner("reverse_proxy "+other.Addr())))
	plainQuery := r.site(route("", u.URL(), "placement query", "name k", inner("reverse_proxy "+other.Addr())))
	onError := r.site("\troute {\n" + route("", u.URL(), inHeader, "handle_response {\n\t\t\terror 503\n\t\t}") + "\n\t}\n\thandle_errors {\n\t\treverse_proxy " + other.Addr() + "\n\t}")
	r.start()

	for name, addr := range map[string]string{"header": ours, "query": query} {
		t.Run("D6 our transport in handle_response, key in the "+name, func(t *testing.T) {
			u.Forget()
			other.Forget()
			answer := harness.Exchange(t, addr, nil, get(addr, "/x"))
			if answer.Status != http.StatusBadGateway || other.Hits() != 0 || u.Hits() != 1 {
				t.Errorf("answered %q, %d hits at the other, %d at ours", answer.Raw, other.Hits(), u.Hits())
			}
		})
	}
	for name, addr := range map[string]string{"header": plain, "query": plainQuery, "error": onError} {
		t.Run("D6 an ordinary proxy for our answer gets no key: "+name, func(t *testing.T) {
			u.Forget()
			other.Forget()
			harness.Exchange(t, addr, nil, get(addr, "/x"))
			if u.Hits() != 1 {
				t.Errorf("%d hits at ours", u.Hits())
			}
			if got := other.Only().String(); strings.Contains(got, key) {
				t.Errorf("the other received %s", got)
			}
		})
	}
}
