// B5, B6: no path leads out of the base URL.

package requests

import (
	"net/http"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// climbing are spellings of a dot segment that one upstream or another reads
// as such.
var climbing = []string{
	"/../admin", "/..", "/.", "/./x", "/a/..", "/a/../../admin", "/a/../b", "/%2e%2e/admin", "/%2E%2e/admin", "/.%2e/admin", "/%2e./admin",
	"/a/..%2f..%2fadmin", "/..%2Fadmin", "/a%2f..%2f..%2fadmin", "/%2e%2e%2fadmin", "/..%5cadmin", `/..\admin`, `/a\..\..\admin`, "/a%5C..%5C..%5Cadmin",
	"/..;/x", "/..;a=b/x", "/%2e%2e;/x", "/..%3b/x", "/a/..;x=y/..;/admin", "/.;/x",
	"/%252e%252e/admin", "/%252e%252e%252fadmin", "/..%252fadmin", "/a/%2e/x", "/..%00/x", "//../admin", "/a//../../admin",
	"/%c0%ae%c0%ae/admin", "/a/..%c0%af..%c0%afadmin", "/%ef%bc%8e%ef%bc%8e/admin", "/..%20/admin",
}

// harmless look alike and are ordinary names.
var harmless = []string{"/...", "/a..b/x", "/..a", "/a../x", "/.well-known/x", "/a.;b/x", "/%2e%2ea", "/....//x", "/a;b=../c%20d"}

func TestB5NoPathLeavesTheBase(t *testing.T) {
	r := newRig(t)
	u := harness.NewUpstream(t, nil)
	other := "\n\trespond /elsewhere/* \"not ours\" 418"
	sites := []struct {
		name, prefix, addr string
		matched            bool
	}{
		{name: "without prefix", addr: r.site(route("", u.URL()+"/v1", inHeader))},
		{name: "without prefix or base path", addr: r.site(route("", u.URL(), inHeader))},
		{name: "with strip_prefix", prefix: "/p", addr: r.site(route("/p/*", u.URL()+"/v1", inHeader, "strip_prefix /p") + other), matched: true},
		{name: "with strip_prefix and no matcher", prefix: "/p", addr: r.site(route("", u.URL()+"/v1", inHeader, "strip_prefix /p"))},
		{name: "behind handle_path", prefix: "/p", addr: r.site("\thandle_path /p/* {\n" + route("", u.URL()+"/v1", inHeader) + "\n\t}" + other), matched: true},
		{name: "behind uri strip_prefix", prefix: "/p", addr: r.site("\thandle /p/* {\n\t\turi strip_prefix /p\n" + route("", u.URL()+"/v1", inHeader) + "\n\t}"), matched: true},
		{name: "in the query", addr: r.site(route("", u.URL()+"/v1", "placement query", "name k"))},
	}
	climber := r.site(route("/r/*", u.URL()+"/v1", inHeader, "rewrite {http.request.header.To}"))
	keyless := r.site("\trewrite * {http.request.header.To}\n" + route("", u.URL()+"/v1", inHeader, "key absent"))
	r.start()

	t.Run("a rewrite before us, looked at before any key", func(t *testing.T) {
		u.Forget()
		answer := harness.Exchange(t, keyless, nil, get(keyless, "/x", "To: /a/../../admin"))
		wantRefusal(t, answer, u.Hits(), http.StatusBadRequest, "bad_path")
	})
	for _, s := range sites {
		for _, path := range climbing {
			t.Run(s.name+" "+path, func(t *testing.T) {
				u.Forget()
				answer := harness.Exchange(t, s.addr, nil, get(s.addr, s.prefix+path))
				if s.matched && answer.Header.Get("Apikey-Inject-Error") == "" && answer.Status == http.StatusOK && len(answer.Body) == 0 && u.Hits() == 0 {
					return // the matcher saw a path that is not ours
				}
				if path == "/..%00/x" && answer.Status == http.StatusBadRequest && u.Hits() == 0 {
					return // refused by whoever sees it first
				}
				wantRefusal(t, answer, u.Hits(), http.StatusBadRequest, "bad_path")
			})
		}
	}
	for _, path := range harmless {
		t.Run("harmless "+path, func(t *testing.T) {
			u.Forget()
			harness.Exchange(t, sites[0].addr, nil, get(sites[0].addr, path))
			if got := u.Only(); got.Target != "/v1"+path {
				t.Errorf("received %s", got.Target)
			}
		})
	}
	for _, to := range []string{"/../admin", "/a/%2e%2e/%2e%2e/admin", "/..;/x", "//../x"} {
		t.Run("a rewrite to "+to, func(t *testing.T) {
			u.Forget()
			answer := harness.Exchange(t, climber, nil, get(climber, "/r/x", "To: "+to))
			wantRefusal(t, answer, u.Hits(), http.StatusBadRequest, "bad_path")
		})
	}
}

func TestB6AURLInThePathStaysAPath(t *testing.T) {
	r := newRig(t)
	u := harness.NewUpstream(t, nil)
	addr := r.site(route("", u.URL()+"/v1", inHeader))
	stripped := r.site(route("/p/*", u.URL()+"/v1", inHeader, "strip_prefix /p"))
	r.start()
	for _, path := range []string{
		"/https://evil/x", "/http:/evil/x", "//evil.example/x", "///evil.example", "/@evil.example/x", "/:@evil.example", "/evil.example:80/x",
		"/http%3A%2F%2Fevil%2Fx", "/x?url=https://evil/x", "/%2F%2Fevil/x",
	} {
		for name, c := range map[string]struct{ addr, prefix string }{"plain": {addr, ""}, "stripped": {stripped, "/p"}} {
			t.Run("B6 "+name+" "+path, func(t *testing.T) {
				u.Forget()
				harness.Exchange(t, c.addr, nil, get(c.addr, c.prefix+path))
				got := u.Only()
				if got.Target != "/v1"+path {
					t.Errorf("received %s", got.Target)
				}
				wantLines(t, got, "Host", "Host: "+u.Addr())
			})
		}
	}
}
