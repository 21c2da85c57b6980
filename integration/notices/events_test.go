package notices

// This file holds what a handler of Caddy's events app gets, in a Caddy that runs
// in this process: no handler comes with Caddy itself.

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/apikeyinject/caddy-apikey-inject"
	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

func init() { caddy.RegisterModule(new(recorder)) }

// recorder is an event handler that notes what it gets, and may be slow.
type recorder struct{}

var recorded struct {
	sync.Mutex
	lines []string
	hold  chan struct{} // nil: it is not slow
}

func (*recorder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.recorder", New: func() caddy.Module { return new(recorder) }}
}

func (*recorder) Handle(_ context.Context, e caddy.Event) error {
	if !strings.HasPrefix(e.Name(), "apikey_") {
		return nil
	}
	recorded.Lock()
	hold := recorded.hold
	recorded.lines = append(recorded.lines, fmt.Sprint(e.Name(), " ", e.Data["integration"], " ", e.Data["connection"], " ", e.Data["key_version"], " by ", e.Origin().CaddyModule().ID))
	recorded.Unlock()
	if hold != nil {
		<-hold
	}
	return nil
}

var _ caddyevents.Handler = (*recorder)(nil)

func recordedLines() []string {
	recorded.Lock()
	defer recorded.Unlock()
	return slices.Clone(recorded.lines)
}

func TestAHandlerOfCaddysEventsGetsEachOnce(t *testing.T) {
	recorded.lines, recorded.hold = nil, nil
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, "config"))
	t.Setenv("XDG_DATA_HOME", filepath.Join(home, "data"))
	t.Setenv("OPS", ops)
	r := &rig{t: t, up: harness.NewUpstream(t, nil), port: harness.Port(t), http: harness.HTTP1Client(t, nil)}
	text := fmt.Sprintf("{\n\tadmin off\n\tpersist_config off\n\tapikey_inject {\n\t\tstore local\n\t\tegress {\n\t\t\tallow 127.0.0.1\n\t\t}\n\t}\n}\n%s",
		harness.Site(r.port, "\tapikey_inject_api {\n\t\ttoken ops {env.OPS}\n\t}\n"))
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	load := func(more string) {
		t.Helper()
		config := strings.Replace(string(adapted), `"apps":{`, `"apps":{"events":{"subscriptions":[{"handlers":[{"handler":"recorder"}]`+more+`}]},`, 1)
		if err := caddy.Load([]byte(config), true); err != nil {
			t.Fatal(err)
		}
		r.http.CloseIdleConnections() // the reload closes them
	}
	load("")
	t.Cleanup(func() { _ = caddy.Stop() })

	r.integration("acme")
	r.connection("acme", "cust-1", "key-1")
	r.up.Answer(refuse("key-1"))
	for range 3 {
		if status := r.call("acme", "cust-1"); status != http.StatusUnauthorized {
			t.Fatalf("answered %d", status)
		}
	}
	want := func(lines ...string) {
		t.Helper()
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("came: %q", recordedLines())
			}
		})
		until(t, lines[len(lines)-1], func() bool { return slices.Contains(recordedLines(), lines[len(lines)-1]) })
		for _, line := range lines {
			if n := len(slices.DeleteFunc(recordedLines(), func(l string) bool { return l != line })); n != 1 {
				t.Errorf("%q came %d times: %q", line, n, recordedLines())
			}
		}
	}
	want("apikey_integration_created acme <nil> <nil> by apikey_inject.events", "apikey_connection_created acme cust-1 1 by apikey_inject.events", "apikey_auth_failed acme cust-1 1 by apikey_inject.events")

	load(`,"events":[""]`) // a reload: the handler of the new configuration, and that alone
	r.must(http.MethodPut, "/connections/cust-1/credentials?provider_config_key=acme", `{"apiKey": "key-2"}`)
	if status := r.call("acme", "cust-1"); status != http.StatusOK {
		t.Fatalf("answered %d", status)
	}
	want("apikey_connection_updated acme cust-1 2 by apikey_inject.events", "apikey_rotated acme cust-1 2 by apikey_inject.events", "apikey_auth_recovered acme cust-1 2 by apikey_inject.events")

	if status, answer := r.do(http.MethodDelete, "/integrations/acme", ""); status/100 == 2 { // is no event, once
		t.Fatalf("deleted with its connections: %s", answer)
	}
	// A handler that hangs delays no request.
	recorded.Lock()
	recorded.hold = make(chan struct{})
	recorded.Unlock()
	for i := range 20 {
		r.connection("acme", fmt.Sprint("many-", i), "key-1")
	}
	if status := r.call("acme", "cust-1"); status != http.StatusOK {
		t.Errorf("answered %d", status)
	}
	close(recorded.hold)
	r.must(http.MethodDelete, "/connections/cust-1?provider_config_key=acme", "")
	r.must(http.MethodDelete, "/integrations/acme?force=true", "")
	want("apikey_connection_created acme many-19 1 by apikey_inject.events", "apikey_connection_deleted acme cust-1 <nil> by apikey_inject.events",
		"apikey_connection_deleted acme many-7 <nil> by apikey_inject.events", "apikey_integration_deleted acme <nil> <nil> by apikey_inject.events")
}
