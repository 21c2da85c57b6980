// What of an upstream's answer does not reach the caller: C7.

package callers

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// withheld are lines that must not come back, in several casings.
var withheld = []string{"Set-Cookie: sid=upstream", "set-cookie: b=upstream", "Apikey-Inject-Error: upstream", "APIKEY-INJECT-ERROR: upstream"}

func TestAnswer(t *testing.T) {
	s := newStand(t)
	port, open := harness.Port(t), harness.Port(t)
	route := "\tapikey_inject $UPSTREAM {\n\t\tname X-Api-Key\n\t\tkey acme\n\t\tallow anyone\n"
	s.start(harness.Site(port, route+"\t}") + harness.Site(open, route+"\t\tforward_credentials\n\t}"))

	chunked := func(trailers ...string) harness.Answer {
		names := make([]string, 0, len(trailers))
		for _, l := range trailers {
			name, _, _ := strings.Cut(l, ":")
			names = append(names, name)
		}
		return harness.Raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: " + strings.Join(names, ", ") + "\r\n\r\n" +
			"2\r\nok\r\n0\r\n" + strings.Join(trailers, "\r\n") + "\r\n\r\n")
	}
	for _, c := range []struct {
		name   string
		answer harness.Answer
		status int
	}{
		{"C7 in an answer", harness.Text(200, "ok", append(withheld, "X-Kept: 1")...), 200},
		{"C7 in an error", harness.Text(503, "ok", append(withheld, "X-Kept: 1")...), 503},
		{"C7 in an answer without a body", harness.Text(204, "", append(withheld, "X-Kept: 1")...), 204},
		{"C7 in a redirect", harness.Text(302, "ok", append(withheld, "X-Kept: 1", "Location: /next")...), 302},
		{"C7 in a trailer", chunked(append(withheld, "X-Kept: 1")...), 200},
		{
			"C7 in a trailer that was not declared",
			harness.Raw("HTTP/1.1 200 OK\r\nX-Kept: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n" + strings.Join(withheld, "\r\n") + "\r\n\r\n"),
			200,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.upstream.Always(c.answer)
			a := ask(t, port, nil, "GET", "/v1/users")
			if a.Status != c.status || !strings.Contains(a.Raw, "X-Kept: 1\r\n") {
				t.Fatalf("answered %q", a.Raw)
			}
			if strings.Contains(a.Raw, "upstream") {
				t.Errorf("the caller received %q", a.Raw)
			}
		})
	}

	t.Run("C7 in an interim answer", func(t *testing.T) {
		s.upstream.Always(harness.Interim(103, append(withheld, "X-Kept: 1"), harness.Text(200, "ok", withheld...)))
		conn := harness.DialRaw(t, addr(port), nil)
		conn.Send(rawRequest(port, "GET", "/v1/users"))
		early, final := conn.Receive("GET"), conn.Receive("GET")
		if early.Status != 103 || early.Header.Get("X-Kept") != "1" || final.Status != 200 {
			t.Fatalf("answered %q and %q", early.Raw, final.Raw)
		}
		if strings.Contains(early.Raw+final.Raw, "upstream") {
			t.Errorf("the caller received %q and %q", early.Raw, final.Raw)
		}
	})
	t.Run("C7 in the answer to an upgrade", func(t *testing.T) {
		lines := append([]string{"Connection: Upgrade", "Upgrade: websocket", "X-Kept: 1"}, withheld...)
		s.upstream.Always(harness.Tunnel(lines, func(r io.Reader, w io.Writer) { _, _ = io.Copy(w, r) }))
		conn := harness.DialRaw(t, addr(port), nil)
		conn.Send("GET /v1/users HTTP/1.1\r\nHost: " + addr(port) + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		a := conn.Receive("GET")
		if a.Status != http.StatusSwitchingProtocols || a.Header.Get("X-Kept") != "1" || strings.Contains(a.Raw, "upstream") {
			t.Errorf("the caller received %q", a.Raw)
		}
		conn.Send("ping")
		conn.ReadUntil("ping")
	})
	t.Run("C7 forward_credentials returns the cookies and nothing else", func(t *testing.T) {
		s.upstream.Always(harness.Text(200, "ok", withheld...))
		a := ask(t, open, nil, "GET", "/v1/users")
		if len(a.Header.Values("Set-Cookie")) != 2 || a.Header.Get("Apikey-Inject-Error") != "" {
			t.Errorf("the caller received %q", a.Raw)
		}
	})
}
