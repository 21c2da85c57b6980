// What figures, replays and the log of net/http itself could show.

package integration

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// unsolicited bytes are quoted by net/http in the process's log.
func (r *leakRig) unsolicited(t *testing.T) {
	for _, p := range placements {
		mark := r.caddy.Log.Mark()
		r.ask(t, r.addrs[0], "GET", "/"+p.name+"/do/unsolicited")
		line := func() string {
			for line := range strings.Lines(r.caddy.Log.Since(mark)) {
				if strings.Contains(line, "Unsolicited response received") && strings.HasSuffix(line, "\n") {
					return line
				}
			}
			return ""
		}
		until(t, "a line of net/http", 5*time.Second, func() bool { return line() != "" })
		if !strings.Contains(line(), "its text is withheld") {
			t.Errorf("%s: %s", p.name, line())
		}
		noLeak(t, channel{p.name + ": the log of net/http", line()}, nil, r.secrets)
	}
}

// replays carry two keys, of which neither may show.
func (r *leakRig) replays(t *testing.T) {
	former := slices.Clone(r.keys)
	refused := func(q *harness.Request) bool {
		key, _ := received(q)
		return slices.ContainsFunc(former, func(c canary) bool { return c.value == key })
	}
	r.up.Answer(func(q *harness.Request) harness.Answer {
		if !strings.Contains(q.Target, "/do/rotated") || !refused(q) {
			return misbehave(q)
		}
		key, value := received(q)
		answer := harness.Text(401, "refused: "+key, "WWW-Authenticate: Key realm=\""+encodings["path"](value)+"\"")
		if strings.HasPrefix(q.Target, "/query/") { // goes out, scrubbed
			answer = harness.Interim(103, []string{"Link: <https://b.example/?key=" + encodings["query"](key) + ">; rel=preload"}, answer)
		}
		return answer
	})
	defer r.up.Answer(misbehave)
	for i, p := range placements {
		next := newCanary("the next key in " + p.name)
		r.vault.Put("leak/"+p.name, map[string]any{"apiKey": next.value})
		r.keys[i] = next
		r.secrets = append(r.secrets, next)
		r.up.Forget()
		answer := r.ask(t, r.addrs[0], "POST", "/"+p.name+"/do/rotated")
		if !strings.Contains(answer, "HTTP/1.1 200 ") || strings.Contains(answer, "refused") {
			t.Errorf("%s: not replayed:\n%s", p.name, answer)
		}
		var keys []string
		for _, q := range r.up.Requests() {
			if strings.Contains(q.Target, "/do/rotated") {
				key, _ := received(q)
				keys = append(keys, key)
			}
		}
		if !slices.Equal(keys, []string{former[i].value, next.value}) {
			t.Errorf("%s: arrived with %q", p.name, keys)
		}
		noLeak(t, channel{p.name + ": the answer to a replay", answer}, nil, r.secrets)
	}
}

// figures name integrations and stores, and nothing of a request.
func (r *leakRig) figures(t *testing.T) {
	status, text, err := r.caddy.Do(http.MethodGet, "/metrics", "")
	if err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	if !strings.Contains(text, `caddy_apikey_inject_requests_total{integration="`+r.up.Addr()) || !strings.Contains(text, `outcome="replayed"`) {
		t.Errorf("the figures lack ours:\n%.2000s", text)
	}
	noLeak(t, channel{"metrics", text}, nil, append(slices.Clone(r.secrets), r.markers...))
}
