// What is said of requests: figures, fields of the access log, the audit.

package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// observed is a gateway with a route for each outcome.
type observed struct {
	t      *testing.T
	vault  *vaulttest.Server
	proxy  *vaulttest.Proxy
	up     *harness.Upstream
	caddy  *harness.Caddy
	port   int
	config string
	audit  string // the file
}

func newObserved(t *testing.T) *observed {
	o := &observed{t: t, vault: vaulttest.Start(t), up: harness.NewUpstream(t, nil), port: harness.Port(t)}
	o.proxy = o.vault.Proxy(t)
	o.audit = filepath.Join(t.TempDir(), "audit.log")
	for path, data := range map[string]map[string]any{
		"good": {"apiKey": "good-1"}, "customers/acme": {"apiKey": "good-acme"}, "rotated": {"apiKey": "old"}, "invalid": {"apiKey": 7},
	} {
		o.vault.Put(path, data)
	}
	o.up.Answer(func(q *harness.Request) harness.Answer {
		if strings.Join(q.Values("X-Api-Key"), "") == "old" {
			return harness.Text(401, "refused")
		}
		return harness.Text(200, "ok")
	})
	closed := fmt.Sprintf("http://127.0.0.1:%d", harness.Port(t))
	o.config = fmt.Sprintf(`{
	log audit {
		include apikey_inject.audit
		output file %s
	}
	apikey_inject {
		store vault main {
			address %s
		}
		store vault gone {
			address %s
		}
		integration disabled %s {
			name X-Api-Key
			key good
			audit on
			disabled
		}
		integration quiet %[4]s {
			name X-Api-Key
			key good
			audit on
		}
	}
}
`, o.audit, o.proxy.Addr, closed, o.up.URL()) + harness.Site(o.port, "\tlog\n\tapikey_inject /disabled disabled\n\tapikey_inject /quiet quiet {\n\t\taudit off\n\t}\n"+
		o.route("injected", o.up.URL(), "key good", "caller {http.request.header.Remote-User}", "allow user alice", "allow_origin https://app.example")+
		o.route("connection", o.up.URL(), "key customers/${connectionId}", "connection {http.request.header.X-Customer}", "allow anyone")+
		o.route("replayed", o.up.URL(), "key rotated")+
		o.route("down", closed, "key good")+
		o.route("missing", o.up.URL(), "key missing")+
		o.route("invalid", o.up.URL(), "key invalid")+
		o.route("away", o.up.URL(), "key good {\n\t\t\tstore gone\n\t\t}")+
		o.route("nested", o.up.URL(), "key good", "handle_response {\n\t\t\treverse_proxy "+o.up.Addr()+" {\n\t\t\t\ttransport apikey_inject\n\t\t\t}\n\t\t}"))
	o.caddy = harness.StartCaddy(t, o.config, harness.Env("VAULT_TOKEN="+o.vault.Token))
	return o
}

func (o *observed) route(name, base string, lines ...string) string {
	return fmt.Sprintf("\tapikey_inject /%[1]s* %[2]s {\n\t\tlabel_as %[1]s\n\t\tname X-Api-Key\n\t\taudit on\n\t\t%[3]s\n\t}\n", name, base, strings.Join(lines, "\n\t\t"))
}

// call sends a request and reads as much of the answer as comes.
func (o *observed) call(method, path string, lines ...string) int {
	o.t.Helper()
	req, err := http.NewRequest(method, fmt.Sprintf("http://127.0.0.1:%d%s", o.port, path), nil)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		req.Header.Set(name, value)
	}
	res, err := harness.Do(harness.HTTP1Client(o.t, nil), req)
	if err != nil {
		o.t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// scrape returns our families, as text and as values by series.
func (o *observed) scrape() (text string, series map[string]float64) {
	o.t.Helper()
	status, all, err := o.caddy.Do(http.MethodGet, "/metrics", "")
	if err != nil || status != http.StatusOK {
		o.t.Fatal(status, err)
	}
	series = make(map[string]float64)
	var ours strings.Builder
	for line := range strings.Lines(all) {
		if !strings.Contains(line, "caddy_apikey_inject_") {
			continue
		}
		ours.WriteString(line)
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "caddy_apikey_inject_"), "} ")
		var v float64
		if _, err := fmt.Sscan(value, &v); ok && err == nil {
			series[name+"}"] = v
		}
	}
	return ours.String(), series
}

// requests returns the counts of requests that are not 0.
func (o *observed) requests() map[string]float64 {
	_, all := o.scrape()
	maps.DeleteFunc(all, func(name string, v float64) bool { return v == 0 || !strings.HasPrefix(name, "requests_total{") })
	return all
}

// until waits until ok; what it looks at comes a moment after an answer.
func until(t *testing.T, what string, d time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, d)
		}
	}
}

// audited returns the lines of the audit that hold part.
func (o *observed) audited(part string) []map[string]any {
	o.t.Helper()
	text, err := os.ReadFile(o.audit)
	if err != nil && !os.IsNotExist(err) {
		o.t.Fatal(err)
	}
	var out []map[string]any
	for line := range bytes.Lines(text) {
		var entry map[string]any
		if bytes.Contains(line, []byte(part)) && json.Unmarshal(line, &entry) == nil {
			out = append(out, entry)
		}
	}
	return out
}

// said is a request and what is said of it.
type said struct {
	method, path string
	lines        []string
	status       int
	integration  string
	outcome      string
	connection   string
	version      float64
	caller       string
	silent       bool // no audit
}

func TestEveryRequestIsAccountedForOnce(t *testing.T) {
	o := newObserved(t)
	until(t, "the keys are read", 10*time.Second, func() bool {
		_, all := o.scrape()
		return all[`key_held{integration="replayed"}`] == 1 && all[`key_held{integration="injected"}`] == 1
	})
	const asAlice = "Remote-User: alice"
	o.vault.Put("rotated", map[string]any{"apiKey": "new"})
	cases := []said{
		{method: "GET", path: "/injected", lines: []string{asAlice}, status: 200, integration: "injected", outcome: "injected", version: 1, caller: "alice"},
		{method: "POST", path: "/connection", lines: []string{"X-Customer: acme"}, status: 200, integration: "connection", outcome: "injected", connection: "acme", version: 1},
		{method: "GET", path: "/replayed", status: 200, integration: "replayed", outcome: "replayed", version: 2},
		{method: "GET", path: "/quiet", status: 200, integration: "quiet", outcome: "injected", version: 1, silent: true},
		{method: "GET", path: "/down", status: 502, integration: "down", outcome: "upstream_failed", version: 1},
		{method: "GET", path: "/injected/bob", lines: []string{"Remote-User: bob"}, status: 403, integration: "injected", outcome: "forbidden", caller: "bob"},
		{method: "GET", path: "/injected/page", lines: []string{asAlice, "Origin: https://evil.example"}, status: 403, integration: "injected", outcome: "forbidden", caller: "alice"},
		{method: "GET", path: "/disabled", status: 403, integration: "disabled", outcome: "disabled"},
		{method: "TRACE", path: "/injected", lines: []string{asAlice}, status: 405, integration: "injected", outcome: "method_not_allowed", caller: "alice"},
		{method: "GET", path: "/injected/a/%2e%2e/b", lines: []string{asAlice}, status: 400, integration: "injected", outcome: "bad_path", caller: "alice"},
		{method: "GET", path: "/connection/none", status: 400, integration: "connection", outcome: "bad_connection"},
		{method: "GET", path: "/connection/unknown", lines: []string{"X-Customer: nobody"}, status: 404, integration: "connection", outcome: "unknown_connection", connection: "nobody"},
		{method: "GET", path: "/missing", status: 502, integration: "missing", outcome: "key_not_found"},
		{method: "GET", path: "/invalid", status: 502, integration: "invalid", outcome: "key_invalid"},
		{method: "GET", path: "/away", status: 503, integration: "away", outcome: "key_unavailable"},
		{method: "GET", path: "/nested", status: 502, integration: "nested", outcome: "no_injection"},
	}
	want := map[string]float64{}
	for n, c := range cases {
		query := fmt.Sprintf("?n=case-%d-secret", n)
		if status := o.call(c.method, c.path+query, c.lines...); status != c.status {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, status, c.status)
		}
		want[fmt.Sprintf(`requests_total{integration="%s",outcome="%s"}`, c.integration, c.outcome)]++
		o.checkAccessLog(c, query+`"`)
		o.checkAudit(c)
	}
	t.Run("an answer that breaks off", func(t *testing.T) {
		o.up.Answer(func(*harness.Request) harness.Answer { return harness.Truncated(200, "half of", 100) })
		o.call("GET", "/injected/half", asAlice)
		want[`requests_total{integration="injected",outcome="injected"}`]++
		half := said{method: "GET", path: "/injected/half", status: 200, integration: "injected", outcome: "injected", version: 1, caller: "alice"}
		o.checkAccessLog(half, `"uri":"/injected/half"`)
		o.checkAudit(half)
		o.up.Answer(nil)
	})
	until(t, "the counters", 5*time.Second, func() bool { return maps.Equal(o.requests(), want) })

	t.Run("a reload resets nothing", func(t *testing.T) {
		if err := o.caddy.Load(strings.Replace(o.config, "\tlog\n", "\tlog\n\theader X-Reloaded yes\n", 1)); err != nil {
			t.Fatal(err)
		}
		if got := o.requests(); !maps.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		o.call("GET", "/injected", asAlice)
		want[`requests_total{integration="injected",outcome="injected"}`]++
		until(t, "the counters", 5*time.Second, func() bool { return maps.Equal(o.requests(), want) })
	})
	t.Run("no line of the audit is written twice, or elsewhere", func(t *testing.T) {
		if got, want := len(o.audited("apikey_inject.audit")), len(cases)+1; got != want { // one case is silent; two requests came after
			t.Errorf("%d lines, want %d", got, want)
		}
		if strings.Contains(o.caddy.Log.String(), "apikey_inject.audit") {
			t.Error("the default log has the audit too")
		}
	})
}

// checkAccessLog finds the object in the one line of the access log that holds
// part.
func (o *observed) checkAccessLog(c said, part string) {
	o.t.Helper()
	var lines []map[string]any
	until(o.t, "a line of the access log for "+c.path, 5*time.Second, func() bool {
		lines = o.caddy.Log.Entries("http.log.access", part)
		return len(lines) > 0
	})
	got, _ := lines[0]["apikey_inject"].(map[string]any)
	o.checkSent(c, "access log", got)
	for _, name := range []string{"attempts", "upstream_latency", "key_age_seconds"} {
		delete(got, name)
	}
	want := map[string]any{"integration": c.integration, "outcome": c.outcome}
	if c.connection != "" {
		want["connection"] = c.connection
	}
	if c.version != 0 {
		want["key_version"] = c.version
	}
	if !maps.Equal(got, want) || len(lines) != 1 {
		o.t.Errorf("%s: access log has %v in %d lines, want %v", c.path, got, len(lines), want)
	}
}

// checkSent looks at what is said of how a request was sent.
func (o *observed) checkSent(c said, where string, got map[string]any) {
	o.t.Helper()
	attempts := map[string]float64{"injected": 1, "replayed": 2, "upstream_failed": 1}[c.outcome]
	if n, _ := got["attempts"].(float64); n != attempts {
		o.t.Errorf("%s: %s has %v attempts, want %v", c.path, where, got["attempts"], attempts)
	}
	latency, _ := got["upstream_latency"].(float64)
	if (attempts > 0) != (latency > 0) || latency > 10 {
		o.t.Errorf("%s: %s has an upstream latency of %v", c.path, where, got["upstream_latency"])
	}
	if age, ok := got["key_age_seconds"].(float64); attempts > 0 && !ok || age < 0 || age > 600 {
		o.t.Errorf("%s: %s has a key age of %v", c.path, where, got["key_age_seconds"])
	}
}

// checkAudit finds the one line of the audit.
func (o *observed) checkAudit(c said) {
	o.t.Helper()
	line := fmt.Sprintf(`"method":"%s","host":"127.0.0.1:%d","path":"%s"`, c.method, o.port, c.path)
	if c.silent {
		if got := o.audited(line); len(got) != 0 {
			o.t.Errorf("%s: audited with audit off: %v", c.path, got)
		}
		return
	}
	until(o.t, "an audit line for "+c.path, 5*time.Second, func() bool { return len(o.audited(line)) > 0 })
	got := o.audited(line)
	last := got[len(got)-1]
	if ts, _ := last["ts"].(float64); time.Since(time.Unix(int64(ts), 0)) > time.Minute {
		o.t.Errorf("%s: no time in %v", c.path, last)
	}
	o.checkSent(c, "audit", last)
	for name, want := range map[string]any{
		"logger": "apikey_inject.audit", "caller": c.caller, "remote_ip": "127.0.0.1", "integration": c.integration, "connection": c.connection,
		"key_version": c.version, "status": float64(c.status), "outcome": c.outcome,
	} {
		if last[name] != want {
			o.t.Errorf("%s: audit has %s %v, want %v", c.path, name, last[name], want)
		}
	}
	if strings.Contains(fmt.Sprint(last), "secret") {
		o.t.Errorf("%s: the audit has the query: %v", c.path, last)
	}
}

func TestFigures(t *testing.T) {
	o := newObserved(t)
	alice := "Remote-User: alice"
	o.call("GET", "/injected", alice)
	o.call("GET", "/connection", "X-Customer: acme")
	o.call("GET", "/connection", "X-Customer: nobody")
	until(t, "all keys are read", 10*time.Second, func() bool {
		_, all := o.scrape()
		return all[`key_held{integration="injected"}`] == 1 && all[`key_held{integration="replayed"}`] == 1 &&
			all[`vault_requests_total{class="not_found",op="read"}`] >= 2
	})
	text, all := o.scrape()

	t.Run("are as Prometheus wants them", func(t *testing.T) {
		problems, err := promlint.New(strings.NewReader(text)).Lint()
		if err != nil || len(problems) > 0 {
			t.Errorf("%v %v", problems, err)
		}
		for _, family := range []string{
			"requests_total counter", "key_age_seconds gauge", "key_version gauge", "key_held gauge",
			"breaker_state gauge", "vault_requests_total counter", "vault_request_seconds histogram",
		} {
			if !strings.Contains(text, "# TYPE caddy_apikey_inject_"+family+"\n") {
				t.Errorf("no %s", family)
			}
		}
	})
	t.Run("keys", func(t *testing.T) {
		for series, want := range map[string]float64{
			`key_version{integration="injected"}`: 1, `key_held{integration="injected"}`: 1, `key_held{integration="missing"}`: 0,
			`key_held{integration="invalid"}`: 0, `key_held{integration="away"}`: 0,
			`breaker_state{store="main"}`: 0,
		} {
			if got, ok := all[series]; !ok || got != want {
				t.Errorf("%s is %v (%v), want %v", series, got, ok, want)
			}
		}
		if age, ok := all[`key_age_seconds{integration="injected"}`]; !ok || age <= 0 || age > 120 {
			t.Errorf("age %v (%v)", age, ok)
		}
		if _, ok := all[`key_version{integration="missing"}`]; ok {
			t.Error("a key that is not held has a version")
		}
	})
	t.Run("Vault", func(t *testing.T) {
		for _, series := range []string{
			`vault_requests_total{class="ok",op="read"}`, `vault_requests_total{class="not_found",op="read"}`,
			`vault_request_seconds_count{op="read"}`, `vault_request_seconds_sum{op="read"}`,
		} {
			if all[series] <= 0 {
				t.Errorf("%s is %v", series, all[series])
			}
		}
	})
	t.Run("labels come from the configuration only", func(t *testing.T) {
		_, before := o.scrape()
		var wg sync.WaitGroup
		for worker := range 10 {
			wg.Go(func() {
				for n := range 100 {
					o.call("GET", fmt.Sprintf("/connection/%d/%d", worker, n), fmt.Sprintf("X-Customer: c-%d-%d", worker, n))
					o.call("GET", fmt.Sprintf("/injected/%d/%d", worker, n), alice)
				}
			})
		}
		wg.Wait()
		_, after := o.scrape()
		for series := range after {
			if _, ok := before[series]; !ok && !strings.Contains(series, `op="`) { // operations and classes are a fixed set
				t.Errorf("new series %s", series)
			}
		}
		if len(after) > len(before)+30 {
			t.Errorf("%d series, were %d", len(after), len(before))
		}
	})
	t.Run("the breaker", func(t *testing.T) {
		const series = `breaker_state{store="main"}`
		state := func(want float64) func() bool {
			return func() bool {
				o.call("GET", "/connection", fmt.Sprintf("X-Customer: fresh-%d", time.Now().UnixNano()))
				_, all := o.scrape()
				return all[series] == want
			}
		}
		o.proxy.Fault(vaulttest.Reset)
		until(t, "open", 20*time.Second, state(1))
		o.proxy.Fault(nil)
		until(t, "closed", 20*time.Second, state(0))
		_, all := o.scrape()
		for _, series := range []string{`vault_requests_total{class="unavailable",op="read"}`, `vault_requests_total{class="ok",op="health"}`} {
			if all[series] < 1 {
				t.Errorf("%s is %v", series, all[series])
			}
		}
	})
}
