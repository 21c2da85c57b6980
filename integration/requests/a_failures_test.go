// A11: an upstream that cannot be reached or does not answer, told to the
// client as reverse_proxy tells it.

package requests

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

func TestA11FailuresAreThoseOfReverseProxy(t *testing.T) {
	r := newRig(t)
	u := harness.NewUpstream(t, nil)
	ca := harness.NewCA(t)
	secure := harness.NewUpstream(t, ca.ServerTLS()) // whose authority Caddy does not know
	closed := fmt.Sprintf("127.0.0.1:%d", harness.Port(t))
	timeouts := "transport http {\n\t\t\tresponse_header_timeout 300ms\n\t\t}"
	trust := "transport http {\n\t\t\ttls_server_name localhost\n\t\t}"

	cases := []struct {
		name, base, transport string
		answer                harness.Answer
		status                int
		ours, plain           string // sites
	}{
		{name: "refuses the connection", base: "http://" + closed, status: 502},
		{name: "resets", base: u.URL(), answer: harness.Reset(), status: 502},
		{name: "closes", base: u.URL(), answer: harness.Close(), status: 502},
		{name: "speaks no HTTP", base: u.URL(), answer: harness.Raw("nonsense\r\n\r\n"), status: 502},
		{name: "times out", base: u.URL(), transport: timeouts, answer: harness.Hang(), status: 504},
		{name: "has a certificate of nobody we know", base: secure.URL(), transport: trust, status: 502},
	}
	for i := range cases {
		c := &cases[i]
		lines := []string{inHeader}
		block := ""
		if c.transport != "" {
			lines = append(lines, c.transport)
			block = " {\n\t\t" + c.transport + "\n\t}"
		}
		c.ours = r.site(route("", c.base, lines...))
		c.plain = r.site("\treverse_proxy " + c.base + block)
	}
	r.start()

	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.answer != nil {
				u.Always(c.answer)
			}
			began := time.Now()
			ours := harness.Exchange(t, c.ours, nil, request("POST", c.ours, "/", "x", "Content-Length: 1"))
			took := time.Since(began)
			plain := harness.Exchange(t, c.plain, nil, request("POST", c.plain, "/", "x", "Content-Length: 1"))
			if ours.Status != c.status || plain.Status != c.status {
				t.Errorf("answered %d, reverse_proxy %d, want %d", ours.Status, plain.Status, c.status)
			}
			if string(ours.Body) != string(plain.Body) || ours.Header.Get("Apikey-Inject-Error") != "" {
				t.Errorf("answered %q, reverse_proxy %q", ours.Raw, plain.Raw)
			}
			if took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
	t.Run("truncates its answer", func(t *testing.T) {
		u.Always(harness.Truncated(http.StatusOK, "half", 4, "Content-Type: text/plain"))
		conn := harness.DialRaw(t, cases[1].ours, nil)
		conn.Send(get(cases[1].ours, "/"))
		if answer, err := conn.TryReceive("GET"); err == nil {
			t.Errorf("a whole answer: %q", answer.Raw)
		}
	})
	t.Run("recovers", func(t *testing.T) {
		u.Always(harness.Text(http.StatusOK, "back"))
		if answer := harness.Exchange(t, cases[1].ours, nil, get(cases[1].ours, "/")); string(answer.Body) != "back" {
			t.Errorf("answered %q", answer.Raw)
		}
	})
}
