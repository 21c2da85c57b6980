// What requests leave behind: answers, error pages, other backends, logs of
// every level, spans.

package integration

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestLeaksOfTraffic sends every kind of request through every placement and
// then searches all that was written on the way.
func TestLeaksOfTraffic(t *testing.T) {
	r := newLeakRig(t)
	t.Run("the keys do arrive", func(t *testing.T) {
		for i, p := range placements {
			r.up.Forget()
			r.ask(t, r.addrs[0], "GET", "/"+p.name+"/do/plain")
			req := r.arrived(t)
			if got, _ := received(req); got != r.keys[i].value {
				t.Errorf("%s: the upstream received the key %q", p.name, got)
			}
		}
	})
	t.Run("upstream errors", r.upstreamErrors)
	t.Run("what directives see", r.directives)
	t.Run("redirects", r.redirects)
	t.Run("other backends", r.otherBackends)
	t.Run("health checks", r.healthChecks)
	t.Run("bytes after an answer", r.unsolicited)
	t.Run("replays", r.replays)
	t.Run("figures", r.figures)
	t.Run("admin endpoint", r.adminEndpoint)
	t.Run("files", r.files)
	t.Run("command output", r.commands)
	r.caddy.Stop() // flushes the spans
	t.Run("logs", r.logs)
}

// upstreamErrors shows no key to the caller; what is logged is searched later.
func (r *leakRig) upstreamErrors(t *testing.T) {
	kinds := []string{"truncated", "truncated-stream", "reset", "close", "timeout", "switch"}
	for name := range maps.Keys(broken) {
		kinds = append(kinds, name, name+"-value")
	}
	slices.Sort(kinds)
	for _, p := range placements {
		var answers strings.Builder
		for _, kind := range kinds {
			answers.WriteString(r.ask(t, r.addrs[0], "GET", "/"+p.name+"/do/"+kind))
			answers.WriteString(r.ask(t, r.addrs[1], "POST", "/"+p.name+"/do/"+kind))
		}
		for _, prefix := range []string{"/refused/", "/notls/", "/unknown/"} {
			answers.WriteString(r.ask(t, r.addrs[0], "GET", prefix+p.name+"/x"))
			answers.WriteString(r.ask(t, r.addrs[1], "GET", prefix+p.name+"/x"))
		}
		noLeak(t, channel{p.name + ": error pages", answers.String()}, r.markers, r.secrets)
	}
}

// directives beside ours and in our block read all they can.
func (r *leakRig) directives(t *testing.T) {
	for _, p := range placements {
		for _, what := range []string{"handle-own", "handle-next", "template", "plain"} {
			answer := r.ask(t, r.addrs[0], "GET", "/"+p.name+"/do/"+what)
			noLeak(t, channel{p.name + ": " + what, answer}, r.markers, r.secrets)
		}
		r.up.Forget()
		r.ask(t, r.addrs[1], "GET", "/"+p.name+"/do/500")
		copied := strings.Join(r.arrived(t).Values("X-Copy"), "")
		noLeak(t, channel{p.name + ": header_up", copied}, r.markers, r.secrets)
	}
	noLeak(t, channel{"respond", r.ask(t, r.addrs[0], "GET", "/own")}, r.markers, r.secrets)
}

// redirects of the query placement carry the key back.
func (r *leakRig) redirects(t *testing.T) {
	marker := newCanary("what the upstream's URL holds beside the key")
	for encoding := range maps.Keys(encodings) {
		sent := "X-Marker: " + marker.value
		answer := r.ask(t, r.addrs[0], "GET", "/query/do/redirect-"+encoding, sent)
		for _, name := range []string{"HTTP/1.1 103", "HTTP/1.1 302", "\nLocation: ", "\nContent-Location: ", "\nLink: ", "\nRefresh: "} {
			if !strings.Contains(answer, name) {
				t.Errorf("%s: the answer lacks %q:\n%s", encoding, name, answer)
			}
		}
		// The marker shows that the search finds this encoding; three rounds of
		// escaping and more are decoded for it.
		noLeak(t, channel{encoding, answer + decoded(answer)}, []canary{marker}, r.secrets)
	}
}

func decoded(s string) string {
	for range 4 {
		if d, err := url.PathUnescape(s); err == nil {
			s = d
		}
	}
	return s
}

// otherBackends get what error routes send them.
func (r *leakRig) otherBackends(t *testing.T) {
	for _, p := range placements {
		for _, kind := range []string{"close", "status", "timeout"} {
			r.backend.Forget()
			r.ask(t, r.addrs[0], "GET", "/"+p.name+"/do/"+kind, "X-Want: backend")
			noLeak(t, channel{p.name + ": the backend of handle_errors", r.backend.Only().String()}, r.markers, r.secrets)
		}
	}
}

// healthChecks go out without a key.
func (r *leakRig) healthChecks(t *testing.T) {
	r.up.Forget()
	r.up.WaitRequests(2*2*len(placements), 20*time.Second)
	var all strings.Builder
	for _, req := range r.up.Requests() {
		if strings.HasPrefix(req.Target, "/health") {
			all.WriteString(req.String())
		}
	}
	if !strings.Contains(all.String(), "GET /health") || !strings.Contains(all.String(), "X-Health: ") {
		t.Errorf("no health check arrived: %s", all.String())
	}
	noLeak(t, channel{"health checks", all.String()}, nil, r.secrets)
}

// logs searches the whole log, after showing that every logger wrote there
// about these requests.
func (r *leakRig) logs(t *testing.T) {
	log := r.caddy.Log.String()
	for _, want := range []struct{ name, part, other string }{
		{"access log", `"logger":"http.log.access`, `"seen":`},
		{"access log, before the route", `"logger":"http.log.access`, `"early":`},
		{"error log", `"logger":"http.log.error`, `"err_trace"`},
		{"requests to the upstream", `"msg":"upstream roundtrip"`, `"status":200`},
		{"failed requests to the upstream", `"msg":"upstream roundtrip"`, `"error":`},
		{"truncated answers", `"msg":"aborting with incomplete response"`, `"level":"warn"`},
		{"broken trailers", `"msg":"aborting with incomplete response"`, `do/trailer?`},
		{"retries", `"msg":"retrying"`, `"error":`},
		{"our object in the access log", `"logger":"http.log.access`, `"apikey_inject":{"integration":`},
		{"audit", `"logger":"apikey_inject.audit"`, `"outcome":"injected"`},
		{"audit of replays", `"logger":"apikey_inject.audit"`, `"outcome":"replayed"`},
		{"audit of failures", `"logger":"apikey_inject.audit"`, `"outcome":"upstream_failed"`},
	} {
		var lines strings.Builder
		for line := range strings.Lines(log) {
			if strings.Contains(line, want.part) && strings.Contains(line, want.other) {
				lines.WriteString(line)
			}
		}
		markers := r.markers
		if want.name == "retries" || strings.HasPrefix(want.name, "audit") {
			markers = nil // says no more than the error; has neither query nor header
		}
		if lines.Len() == 0 {
			t.Errorf("%s: the log holds no such line", want.name)
		}
		noLeak(t, channel{want.name, lines.String()}, markers, r.secrets)
	}
	for _, part := range []string{
		`"logger":"http.log.trace"`, `"logger":"http.handlers.reverse_proxy.health_checker.active"`, `"SpanContext"`, `"Name":"leaks"`, `"msg":"reading from backend"`,
		"malformed HTTP status code", "malformed MIME header", "timeout awaiting response headers",
		"connection refused", "server gave HTTP response to HTTPS client", "x509:", `"Authorization":["REDACTED"]`, `"Authorization":["Bearer `,
	} {
		if !strings.Contains(log, part) {
			t.Errorf("the log lacks %s", part)
		}
	}
	noLeak(t, channel{"the whole log", log}, r.markers, r.secrets)
}
