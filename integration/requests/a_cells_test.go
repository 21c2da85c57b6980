// A4: the same result whatever the client and the upstream speak.

package requests

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// recorder is what both kinds of upstream can tell.
type recorder interface {
	Only() *harness.Request
	Forget()
}

func TestA4EveryPairOfProtocols(t *testing.T) {
	r := newRig(t)
	ca := harness.NewCA(t)
	h1, h1s := harness.NewUpstream(t, nil), harness.NewUpstream(t, ca.ServerTLS())
	h2c, h2s := harness.NewH2Upstream(t, nil), harness.NewH2Upstream(t, ca.ServerTLS())
	trust := "transport http {\n\t\t\ttls_trust_pool file " + ca.File + "\n\t\t}"
	upstreams := []struct {
		name, base, proto string
		rec               recorder
		transport         string
	}{
		{"h1", h1.URL(), "HTTP/1.1", h1, ""},
		{"h1 over TLS", h1s.URL(), "HTTP/1.1", h1s, trust},
		{"h2c", h2c.URL(), "HTTP/2.0", h2c, "transport http {\n\t\t\tversions h2c\n\t\t}"},
		{"h2 over TLS", h2s.URL(), "HTTP/2.0", h2s, trust},
	}
	routes := make([]string, 0, 2*len(upstreams))
	for i, u := range upstreams {
		lines := []string{"name Authorization", `template "Api-Key ${apiKey}"`, fmt.Sprintf("strip_prefix /header%d", i)}
		if u.transport != "" {
			lines = append(lines, u.transport)
		}
		routes = append(routes, route(fmt.Sprintf("/header%d/*", i), u.base+"/v1", lines...))
		lines = slices.Clone(lines)
		lines[0], lines[1], lines[2] = "placement query", "name token", fmt.Sprintf("strip_prefix /query%d", i)
		routes = append(routes, route(fmt.Sprintf("/query%d/*", i), u.base+"/v1", lines...))
	}
	plain := r.site(strings.Join(routes, "\n"))
	secure := r.secureSite(ca, strings.Join(routes, "\n"))
	r.start()

	for _, c := range []struct {
		name   string
		proto  int
		url    string
		client *http.Client
	}{
		{"h1", 1, "http://" + plain, harness.HTTP1Client(t, nil)},
		{"h2c", 2, "http://" + plain, harness.HTTP2Client(t, nil)},
		{"h1 over TLS", 1, "https://" + secure, harness.HTTP1Client(t, ca.ClientTLS())},
		{"h2 over TLS", 2, "https://" + secure, harness.HTTP2Client(t, ca.ClientTLS())},
		{"h3", 3, "https://" + secure, http3Client(t, ca.ClientTLS())},
	} {
		for i, u := range upstreams {
			for _, place := range []string{"header", "query"} {
				t.Run(c.name+" to "+u.name+" in the "+place, func(t *testing.T) {
					u.rec.Forget()
					req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
						fmt.Sprintf("%s/%s%d/a//b%%2Fc?x=1", c.url, place, i), strings.NewReader("hello"))
					if err != nil {
						t.Fatal(err)
					}
					req.Header["X-Two"] = []string{"a", "b"}
					req.Header.Set("Authorization", "Bearer of-the-client")
					req.Header.Set("User-Agent", "probe")
					resp, err := c.client.Do(req)
					if err != nil {
						t.Fatal(err)
					}
					body, err := io.ReadAll(resp.Body)
					_ = resp.Body.Close()
					if err != nil || resp.StatusCode != http.StatusOK || string(body) != "ok" || resp.ProtoMajor != c.proto {
						t.Fatalf("answered %s %s %q: %v", resp.Proto, resp.Status, body, err)
					}
					checkCell(t, u.rec.Only(), u.proto, strings.SplitN(u.base, "://", 2)[1], place)
				})
			}
		}
	}
}

func checkCell(t *testing.T, got *harness.Request, proto, host, place string) {
	t.Helper()
	target, names := "/v1/a//b%2Fc?x=1", []string{"Authorization", "Content-Length", "Host", "User-Agent", "X-Two", "X-Two"}
	if place == "query" {
		target, names = target+"&token="+key, names[1:]
		wantLines(t, got, "Authorization")
	} else {
		wantLines(t, got, "Authorization", "Authorization: Api-Key "+key)
	}
	if got.Proto != proto || got.Method != http.MethodPost || got.Target != target || got.Host() != host || string(got.Body) != "hello" {
		t.Errorf("received %s", got)
	}
	if sent := got.Values("X-Two"); !slices.Equal(sent, []string{"a", "b"}) {
		t.Errorf("X-Two = %q", sent)
	}
	if have := slices.Sorted(slices.Values(got.Names())); !slices.Equal(have, names) {
		t.Errorf("received the headers %q, want %q", have, names)
	}
}
