package harness

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// proxyTo starts plain Caddy before an upstream and returns Caddy's host:port.
func proxyTo(t *testing.T, upstream string) (*Caddy, string) {
	t.Helper()
	port := Port(t)
	c := StartCaddy(t, Site(port, "\treverse_proxy "+upstream))
	return c, fmt.Sprintf("127.0.0.1:%d", port)
}

func get(addr string) string {
	return "GET / HTTP/1.1\r\nHost: " + addr + "\r\nConnection: close\r\n\r\n"
}

func TestALoadIsInForceWhenItReturns(t *testing.T) {
	port := Port(t)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	c := StartCaddy(t, Site(port, "\trespond first"))
	for n := range 30 {
		word := fmt.Sprintf("word-%d", n)
		if err := c.Load(Site(port, "\trespond "+word)); err != nil {
			t.Fatal(err)
		}
		if got := string(Exchange(t, addr, nil, get(addr)).Body); got != word {
			t.Fatalf("after load %d: %q", n, got)
		}
	}
}

func TestCaddyIsReconfiguredWhileItRuns(t *testing.T) {
	port := Port(t)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	c := StartCaddy(t, Site(port, "\trespond {env.HARNESS_WORD}"), Env("HARNESS_WORD=one"))
	if got := string(Exchange(t, addr, nil, get(addr)).Body); got != "one" {
		t.Fatalf("at the start: %q", got)
	}

	if err := c.Load(Site(port, "\trespond two")); err != nil {
		t.Fatal(err)
	}
	if got := string(Exchange(t, addr, nil, get(addr)).Body); got != "two" {
		t.Fatalf("after Load: %q", got)
	}

	if !strings.Contains(c.Config("apps/http"), `"two"`) {
		t.Fatalf("config = %s", c.Config(""))
	}
	path := bodyPath(t, c)
	if err := c.Patch(path, `"three"`); err != nil {
		t.Fatal(err)
	}
	if got := string(Exchange(t, addr, nil, get(addr)).Body); got != "three" {
		t.Fatalf("after Patch: %q", got)
	}

	if err := c.Load("not { a Caddyfile"); err == nil {
		t.Error("a broken configuration was loaded")
	}
	if err := c.Patch(path, `{"no": "string"}`); err == nil || !strings.Contains(err.Error(), "body") {
		t.Errorf("a broken value was patched in, or the error does not say why: %v", err)
	}
	if got := string(Exchange(t, addr, nil, get(addr)).Body); got != "three" {
		t.Fatalf("after broken ones: %q", got)
	}
	if c.Goroutines() < 5 || c.Heap() < 1<<20 {
		t.Errorf("%d goroutines, %d bytes of heap", c.Goroutines(), c.Heap())
	}
	if c.Metric("go_goroutines") < 5 || c.Metric("no_such_metric") != 0 {
		t.Errorf("go_goroutines = %v", c.Metric("go_goroutines"))
	}
	if code := c.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// bodyPath finds where a site of one directive has it: Caddy wraps it in a
// subroute only when the address names a host.
func bodyPath(t *testing.T, c *Caddy) string {
	t.Helper()
	for _, path := range []string{
		"/config/apps/http/servers/srv0/routes/0/handle/0/body",
		"/config/apps/http/servers/srv0/routes/0/handle/0/routes/0/handle/0/body",
	} {
		if status, body, err := c.Do(http.MethodGet, path, ""); err == nil && status == http.StatusOK && strings.TrimSpace(body) != "null" {
			return path
		}
	}
	t.Fatalf("no body in %s", c.Config(""))
	return ""
}

func TestCaddyThatDoesNotStartSaysWhy(t *testing.T) {
	_, err := TryCaddy(t, Site(Port(t), "\trespnod hello"))
	if err == nil || !strings.Contains(err.Error(), "respnod") {
		t.Fatalf("err = %v", err)
	}
}

func TestJSONIsTakenForJSON(t *testing.T) {
	port := Port(t)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	StartCaddy(t, fmt.Sprintf(`{"apps": {"http": {"servers": {"s": {"listen": [%q], "routes": [
		{"handle": [{"handler": "static_response", "body": "json"}]}]}}}}}`, addr))
	if got := string(Exchange(t, addr, nil, get(addr)).Body); got != "json" {
		t.Fatalf("body %q", got)
	}
}

func TestTheLogIsSearchedWhileCaddyRuns(t *testing.T) {
	port := Port(t)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	c := StartCaddy(t, Site(port, "\tlog\n\trespond logged"))
	mark := c.Log.Mark()
	Exchange(t, addr, nil, get(addr))
	line := c.Log.Wait(t, "handled request", 10*time.Second)
	if !strings.Contains(line, `"status":200`) || !strings.Contains(c.Log.Since(mark), line) {
		t.Errorf("line %s", line)
	}
	if n := len(c.Log.Entries("http.log.access", "handled request")); n != 1 {
		t.Errorf("%d access log entries, want 1", n)
	}
	if strings.Count(c.Log.Tail(1), "\n") != 0 || c.Log.Tail(1) == "" {
		t.Errorf("tail %q", c.Log.Tail(1))
	}
}

func TestCommands(t *testing.T) {
	good, bad := Site(Port(t), "\trespond hi"), Site(Port(t), "\trespond hi 200 300 400")
	if r := Adapt(t, good); r.Code != 0 || !strings.Contains(r.Stdout, `"static_response"`) {
		t.Errorf("adapting a good file: %+v", r)
	}
	if r := Adapt(t, bad); r.Code == 0 || !strings.Contains(r.Stderr, "Caddyfile:3") {
		t.Errorf("adapting a bad file: %+v", r)
	}
	if r := Validate(t, good); r.Code != 0 {
		t.Errorf("validating a good file: %+v", r)
	}
	if r := Validate(t, `{"apps": {"http": {"servers": {"s": {"listen": 1}}}}}`); r.Code == 0 {
		t.Errorf("validating bad JSON: %+v", r)
	}
	if r := Run(t, "a   {\n}\n", []string{"fmt", "-"}); !strings.Contains(r.Stdout, "a {") {
		t.Errorf("fmt from stdin: %+v", r)
	}
}

func TestPortsAreFreeAndDifferent(t *testing.T) {
	seen := map[int]bool{}
	for range 50 {
		p := Port(t)
		if seen[p] || !free(t, p) {
			t.Fatalf("port %d is taken", p)
		}
		seen[p] = true
	}
}
