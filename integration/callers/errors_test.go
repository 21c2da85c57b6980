// Whose error page answers: C11.

package callers

import (
	"fmt"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

func TestErrorPages(t *testing.T) {
	s := newStand(t)
	port, alone := harness.Port(t), harness.Port(t)
	route := "\tapikey_inject $UPSTREAM {\n\t\tname X-Api-Key\n\t\tkey acme\n\t\tallow user nobody\n\t}\n"
	page := "respond \"page for {http.apikey_inject.error} {err.status_code}\" {err.status_code}"
	config := ""
	for host, handle := range map[string]string{
		"127.0.0.1":    "",
		"localhost":    "\thandle_errors {\n\t\t" + page + "\n\t}\n",
		"five.example": "\thandle_errors 5xx {\n\t\t" + page + "\n\t}\n",
		"four.example": "\thandle_errors 4xx {\n\t\t" + page + "\n\t}\n",
	} {
		config += fmt.Sprintf("http://%s:%d {\n\tbind 127.0.0.1\n%s%s}\n", host, port, route, handle)
	}
	s.start(config + harness.Site(alone, route))

	for _, c := range []struct {
		name, host string
		port       int
		page       string // empty: our own body
	}{
		{"C11 nobody has error pages", "", alone, ""},
		{"C11 only a neighbour has error pages", fmt.Sprintf("127.0.0.1:%d", port), port, ""},
		{"C11 this site has error pages", fmt.Sprintf("localhost:%d", port), port, "page for forbidden 403"},
		{"C11 this site has pages for this error", fmt.Sprintf("four.example:%d", port), port, "page for forbidden 403"},
		{"C11 this site has pages for other errors", fmt.Sprintf("five.example:%d", port), port, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.upstream.Forget()
			var lines []string
			if c.host != "" {
				lines = append(lines, "Host: "+c.host)
			}
			a := ask(t, c.port, nil, "GET", "/v1/users", lines...)
			if hits := s.upstream.Hits(); hits != 0 {
				t.Errorf("%d hits at the upstream", hits)
			}
			if c.page == "" {
				checkOurs(t, a, 403, "forbidden")
				if a.Header.Get("Content-Type") != "application/json" {
					t.Errorf("the body is called %q", a.Header.Get("Content-Type"))
				}
				return
			}
			if a.Status != 403 || string(a.Body) != c.page || a.Header.Get("Apikey-Inject-Error") != "forbidden" {
				t.Errorf("answered %q, want %q", a.Raw, c.page)
			}
		})
	}
}
