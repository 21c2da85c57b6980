// Package egress tests where integrations of the API, and base URLs that a
// connection fills in, may lead: through a whole Caddy. It is a package of its
// own because its test program is also the Caddy it tests: see package names.
//
// That a name is judged by the address which is dialled, not by one that was
// looked up before, is shown in internal/egress in more depth.
package egress

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/integration/names"
)

func TestMain(m *testing.M) { names.Main(m) }

// zone is what a name server knows. Of several answers to a name each is given once,
// and the last one from then on.
type zone struct {
	mu      sync.Mutex
	answers map[string][]string
	asked   map[string]int
}

func (z *zone) answer(name string, kind dnsmessage.Type) (ip netip.Addr, code dnsmessage.RCode) {
	z.mu.Lock()
	defer z.mu.Unlock()
	list := z.answers[name]
	if list == nil {
		return ip, dnsmessage.RCodeNameError
	}
	// A client asks for addresses of both kinds, once each per look.
	asked := fmt.Sprint(name, " ", kind)
	ip = netip.MustParseAddr(list[min(z.asked[asked], len(list)-1)])
	z.asked[asked]++
	return ip, dnsmessage.RCodeSuccess
}

// count tells how often a name was looked up.
func (z *zone) count(name string) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked[fmt.Sprint(name, " ", dnsmessage.TypeA)]
}

// ops may do everything.
const ops = "ops-token-7c1e"

// rig is a Caddy with the API, the local store, and a name server of its own.
type rig struct {
	t     *testing.T
	up    *harness.Upstream
	caddy *harness.Caddy
	names *zone
	http  *http.Client
	url   string
}

// settings are what a rig may vary.
type settings struct {
	allow  string // what egress allows
	global string // lines of the global option. Default: store local
	site   string // lines of the site
	names  map[string][]string
	env    []string
}

// newRig starts a Caddy.
func newRig(t *testing.T, s settings) *rig {
	t.Helper()
	port := harness.Port(t)
	r := &rig{t: t, up: harness.NewUpstream(t, nil), names: &zone{answers: s.names, asked: map[string]int{}}, http: harness.HTTP1Client(t, nil), url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	if s.global == "" {
		s.global = "\t\tstore local\n"
	}
	if s.allow != "" {
		s.global += "\t\tegress {\n\t\t\tallow " + s.allow + "\n\t\t}\n"
	}
	config := "{\n\tapikey_inject {\n" + s.global + "\t}\n}\n" + harness.Site(port, s.site+"\tapikey_inject_api {\n\t\ttoken ops {env.OPS}\n\t}")
	r.caddy = harness.StartCaddy(t, config, harness.Env(append(s.env, "OPS="+ops, names.Start(t, r.names.answer).Env())...))
	return r
}

// do calls the API or the gateway.
func (r *rig) do(method, path string, body any, lines ...string) (int, http.Header, string) {
	r.t.Helper()
	var sent string
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			r.t.Fatal(err)
		}
		sent = string(b)
	}
	return harness.Call(r.t, r.http, method, r.url+path, ops, sent, lines...)
}

// create makes an integration, and says what the API answered.
func (r *rig) create(key, baseURL string) (int, string) {
	r.t.Helper()
	status, _, body := r.do(http.MethodPost, "/integrations", map[string]any{
		"provider": "private-api-generic", "unique_key": key, "integration_config": map[string]string{"baseUrl": baseURL, "keyName": "X-Api-Key"},
	})
	return status, body
}

// enter makes a connection, and says what the API answered.
func (r *rig) enter(integration, id string, config map[string]string) (int, string) {
	r.t.Helper()
	body := map[string]any{
		"provider_config_key": integration, "connection_id": id, "credentials": map[string]string{"type": "API_KEY", "apiKey": "key-of-" + id},
	}
	if config != nil {
		body["connection_config"] = maps.Clone(config)
	}
	status, _, answer := r.do(http.MethodPost, "/connections", body)
	return status, answer
}

// made makes an integration with one connection, both of which the API takes.
func (r *rig) made(key, baseURL string) {
	r.t.Helper()
	if status, body := r.create(key, baseURL); status != http.StatusOK {
		r.t.Fatalf("%s: %d %s", baseURL, status, body)
	}
	if status, body := r.enter(key, "c", nil); status != http.StatusCreated {
		r.t.Fatalf("%s: %d %s", baseURL, status, body)
	}
}

// call goes through the gateway and returns status and code.
func (r *rig) call(integration, id string, lines ...string) (int, string) {
	r.t.Helper()
	status, header, _ := r.do(http.MethodGet, "/proxy/users", nil, append(lines, "Provider-Config-Key: "+integration, "Connection-Id: "+id)...)
	return status, header.Get("Apikey-Inject-Error")
}

// wantDenied fails unless a call is refused and no connection was opened to the
// upstream. It returns what the log says of it.
func (r *rig) wantDenied(t *testing.T, integration, id string, lines ...string) string {
	t.Helper()
	before, mark := r.up.Connections(), r.caddy.Log.Mark()
	if status, code := r.call(integration, id, lines...); status != http.StatusForbidden || code != "egress_denied" {
		t.Errorf("answered %d %s, want 403 egress_denied", status, code)
	}
	if n := r.up.Connections(); n != before {
		t.Errorf("%d connections were opened", n-before)
	}
	return r.caddy.Log.Since(mark)
}
