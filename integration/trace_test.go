// Spans of requests, at a receiver that speaks OpenTelemetry's own protocol.

package integration

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// newTraced is a gateway whose requests are traced, but for those below /untraced.
func newTraced(t *testing.T) (*observed, *harness.Collector) {
	t.Helper()
	o := &observed{t: t, vault: vaulttest.Start(t), up: harness.NewUpstream(t, nil), port: harness.Port(t)}
	o.proxy = o.vault.Proxy(t)
	for _, name := range []string{"cold", "turned", "shared", "plain"} {
		o.vault.Put(name, map[string]any{"apiKey": "old"})
	}
	c := harness.NewCollector(t)
	traced := func(route string) string {
		name := strings.Fields(route)[1]
		return "\thandle " + name + " {\n\t\ttracing {\n\t\t\tspan gateway\n\t\t}\n" + route + "\t}\n"
	}
	closed := fmt.Sprintf("http://127.0.0.1:%d", harness.Port(t))
	o.config = fmt.Sprintf("{\n\tapikey_inject {\n\t\tstore vault {\n\t\t\taddress %s\n\t\t\tstartup lazy\n\t\t}\n\t}\n}\n", o.proxy.Addr) +
		harness.Site(o.port, traced(o.route("cold", o.up.URL()+"/v1", "key cold"))+
			traced(o.route("turned", o.up.URL(), "key turned"))+
			traced(o.route("shared", o.up.URL(), "key shared"))+
			traced(o.route("private", o.up.URL(), "key cold", "header_up -Traceparent"))+
			traced(o.route("down", closed, "key cold"))+
			o.route("untraced", o.up.URL(), "key cold"))
	o.caddy = harness.StartCaddy(t, o.config, harness.Env("VAULT_TOKEN="+o.vault.Token), c.Env())
	return o, c
}

// traceID makes the trace of a caller and the header that names it.
func traceID(n int) (id, header string) {
	id = fmt.Sprintf("%032x", 0xabc0+n)
	return id, "Traceparent: 00-" + id + "-00f067aa0ba902b7-01"
}

// named returns the spans of a name.
func named(spans []harness.Span, name string) []harness.Span {
	return slices.DeleteFunc(slices.Clone(spans), func(s harness.Span) bool { return s.Name != name })
}

const waiting = "apikey_inject wait for key"

func TestTheTraceOfARequestHasItsWaitItsReadingAndItsAttempt(t *testing.T) {
	o, c := newTraced(t)
	host, port, err := net.SplitHostPort(o.up.Addr())
	if err != nil {
		t.Fatal(err)
	}
	o.call("GET", "/turned/x") // logs in and looks at the mount
	o.up.Forget()
	id, header := traceID(1)
	if status := o.call("GET", "/cold/x?secret=y", header); status != 200 {
		t.Fatal(status)
	}
	spans := c.Wait(t, id, 4)
	server := named(spans, "gateway")
	if len(server) != 1 || server[0].Kind != "server" {
		t.Fatalf("Caddy's own span is not there: %+v", spans)
	}
	for name, kind := range map[string]string{waiting: "internal", "vault read": "client", "GET": "client"} {
		got := named(spans, name)
		if len(got) != 1 || got[0].Kind != kind || got[0].Parent != server[0].ID || got[0].Error {
			t.Errorf("%s: %+v, want one of kind %s below %s", name, got, kind, server[0].ID)
		}
	}
	attempt := named(spans, "GET")[0]
	want := map[string]string{
		"http.request.method": "GET", "server.address": host, "server.port": port, "url.scheme": "http", "http.response.status_code": "200",
		"apikey_inject.integration": "cold", "apikey_inject.key_version": "1",
	}
	if !maps.Equal(attempt.Attributes, want) {
		t.Errorf("the attempt has %v, want %v", attempt.Attributes, want)
	}
	read := named(spans, "vault read")[0]
	if read.Attributes["http.response.status_code"] != "200" || read.Attributes["apikey_inject.vault.class"] != "ok" || read.Attributes["server.address"] != "127.0.0.1" {
		t.Errorf("the reading has %v", read.Attributes)
	}
	// The upstream is below the attempt.
	got := o.up.Only().Values("Traceparent")
	if len(got) != 1 || got[0] != "00-"+id+"-"+attempt.ID+"-01" {
		t.Errorf("the upstream got the trace context %q, want the one of span %s", got, attempt.ID)
	}

	t.Run("a key that is held makes nobody wait", func(t *testing.T) {
		id, header := traceID(2)
		o.call("POST", "/cold/x", header)
		o.call("BREW", "/cold/x", header)
		spans := c.Wait(t, id, 4)
		if len(named(spans, waiting)) > 0 || len(named(spans, "vault read")) > 0 || len(named(spans, "POST")) != 1 || len(named(spans, "_OTHER")) != 1 {
			t.Errorf("got %+v", spans)
		}
	})
	t.Run("an upstream that is away", func(t *testing.T) {
		id, header := traceID(3)
		o.call("GET", "/down/x", header)
		got := named(c.Wait(t, id, 2), "GET")
		if len(got) != 1 || !got[0].Error || got[0].Attributes["error.type"] == "" {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("a trace context that the operator takes off stays off", func(t *testing.T) {
		o.up.Forget()
		_, header := traceID(4)
		o.call("GET", "/private/x", header)
		if got := o.up.Only().Values("Traceparent"); len(got) != 0 {
			t.Errorf("the upstream got %q", got)
		}
	})
	t.Run("without tracing the caller's context goes on as it came", func(t *testing.T) {
		o.up.Forget()
		id, header := traceID(5)
		o.call("GET", "/untraced/x", header)
		if got := o.up.Only().Values("Traceparent"); len(got) != 1 || "Traceparent: "+got[0] != header {
			t.Errorf("the upstream got %q, want %q", got, header)
		}
		if got := c.Traces()[id]; len(got) > 0 {
			t.Errorf("it has spans: %+v", got)
		}
	})
}

func TestTheTraceOfAReplayHasBothAttempts(t *testing.T) {
	o, c := newTraced(t)
	o.call("GET", "/turned/first")
	o.up.Answer(func(q *harness.Request) harness.Answer {
		if strings.Join(q.Values("X-Api-Key"), "") == "old" {
			return harness.Text(401, "refused")
		}
		return harness.Text(200, "ok")
	})
	o.vault.Put("turned", map[string]any{"apiKey": "new"})
	id, header := traceID(1)
	if status := o.call("GET", "/turned/x", header); status != 200 {
		t.Fatal(status)
	}
	spans := c.Wait(t, id, 5)
	attempts := named(spans, "GET")
	if len(attempts) != 2 {
		t.Fatalf("%d attempts: %+v", len(attempts), spans)
	}
	for n, want := range []map[string]string{
		{"http.response.status_code": "401", "apikey_inject.key_version": "1", "http.request.resend_count": ""},
		{"http.response.status_code": "200", "apikey_inject.key_version": "2", "http.request.resend_count": "1"},
	} {
		for name, value := range want {
			if got := attempts[n].Attributes[name]; got != value {
				t.Errorf("attempt %d has %s %q, want %q", n, name, got, value)
			}
		}
		if attempts[n].Error != (n == 0) {
			t.Errorf("attempt %d: error is %v", n, attempts[n].Error)
		}
	}
	if len(named(spans, "vault read")) != 1 || len(named(spans, waiting)) != 1 {
		t.Errorf("got %+v", spans)
	}
}

// Of many that wait for one reading, one has it in its trace, and the others say
// in which.
func TestTracesOfThoseWhoWaitLinkToTheReading(t *testing.T) {
	const n = 4
	o, c := newTraced(t)
	o.proxy.Delay("secret/data/shared", 3*time.Second)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			_, header := traceID(i)
			o.call("GET", "/shared/x", header)
		})
	}
	until(t, "all are there", 10*time.Second, func() bool { return o.caddy.Metric("caddy_apikey_inject_key_lookups_total", `state="missing"`) == n })
	all.Wait()
	var reader string
	var links []string
	for i := range n {
		id, _ := traceID(i)
		spans := c.Wait(t, id, 3)
		if len(named(spans, "vault read")) == 1 {
			reader = named(spans, "gateway")[0].ID
		}
		for _, s := range named(spans, waiting) {
			links = append(links, s.Links...)
		}
	}
	if len(links) != n-1 || slices.ContainsFunc(links, func(l string) bool { return l != reader }) {
		t.Errorf("they link to %v, want %d times %s", links, n-1, reader)
	}
}
