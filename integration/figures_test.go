// Figures of keys, stores and logins, and how many series there can be.

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// figured is a gateway that logs in by AppRole and reads its keys every second.
func figured(t *testing.T) *observed {
	t.Helper()
	o := &observed{t: t, vault: vaulttest.Start(t), up: harness.NewUpstream(t, nil), port: harness.Port(t)}
	o.proxy = o.vault.Proxy(t)
	o.vault.Put("good", map[string]any{"apiKey": "good-1"})
	o.vault.Put("turned", map[string]any{"apiKey": "old"})
	o.vault.Put("customers/acme", map[string]any{"apiKey": "acme-1"})
	o.vault.Policy("reader", `path "secret/data/*" { capabilities = ["read"] }`)
	role, secret := o.vault.AppRole("figures", "reader", nil)
	o.up.Answer(func(q *harness.Request) harness.Answer {
		if key := strings.Join(q.Values("X-Api-Key"), ""); key == "old" || strings.Contains(q.Target, "refuse") {
			return harness.Text(401, "refused")
		}
		return harness.Text(200, "ok")
	})
	o.config = fmt.Sprintf("{\n\tapikey_inject {\n\t\tstore vault {\n\t\t\taddress %s\n\t\t\tttl 1s\n\t\t\tauth approle {\n\t\t\t\trole_id {env.ROLE}\n\t\t\t\tsecret_id {env.SECRET}\n\t\t\t}\n\t\t}\n\t}\n}\n", o.proxy.Addr) +
		harness.Site(o.port, "\tlog\n"+
			o.route("good", o.up.URL(), "key good")+
			o.route("turned", o.up.URL(), "key turned", "replay_buffer 2")+
			o.route("customer", o.up.URL(), "key customers/${connectionId}", "connection {http.request.header.X-Customer}", "allow anyone"))
	o.caddy = harness.StartCaddy(t, o.config, harness.Env("ROLE="+role, "SECRET="+secret))
	until(t, "the keys are read", 10*time.Second, func() bool {
		_, all := o.scrape()
		return all[`key_held{integration="good"}`] == 1 && all[`key_held{integration="turned"}`] == 1
	})
	return o
}

// comes waits until a series has reached a value.
func (o *observed) comes(series string, least float64) {
	o.t.Helper()
	var text string
	defer func() {
		if o.t.Failed() {
			o.t.Log(text)
		}
	}()
	until(o.t, fmt.Sprintf("%s reaches %v", series, least), 20*time.Second, func() bool {
		var all map[string]float64
		text, all = o.scrape()
		got, ok := all[series]
		return ok && got >= least
	})
}

func TestFiguresOfKeysFollowTheStore(t *testing.T) {
	o := figured(t)
	o.comes(`vault_logins_total{method="approle",result="ok"}`, 1)
	o.comes(`vault_token_ttl_seconds{store="vault"}`, 60)
	o.comes(`key_reads_total{result="first",store="vault"}`, 2)
	o.comes(`key_reads_total{result="unchanged",store="vault"}`, 2)
	o.comes(`keys{state="fresh",store="vault"}`, 1)

	o.call("GET", "/customer", "X-Customer: acme")
	o.comes(`key_lookups_total{state="missing",store="vault"}`, 1)
	o.call("GET", "/good")
	o.comes(`key_lookups_total{state="fresh",store="vault"}`, 1)

	t.Run("a refused key", func(t *testing.T) {
		o.call("GET", "/good/refuse")
		o.comes(`upstream_auth_failures_total{action="relayed",integration="good"}`, 1)
		o.vault.Put("turned", map[string]any{"apiKey": "new"})
		o.call("GET", "/turned") // may have been read by schedule meanwhile
		o.comes(`key_reads_total{result="changed",store="vault"}`, 1)
		o.comes(`key_version{integration="turned"}`, 2)
		o.comes(`key_refused{integration="turned"}`, 0)
		o.vault.Put("turned", map[string]any{"apiKey": "old"})
		o.comes(`key_version{integration="turned"}`, 3)
		o.call("GET", "/turned") // the former key is tried, which the upstream takes
		o.comes(`upstream_auth_failures_total{action="former",integration="turned"}`, 1)
		o.comes(`replays_total{integration="turned",result="accepted"}`, 1)
		o.call("GET", "/turned/refuse")
		o.comes(`replays_total{integration="turned",result="refused"}`, 1)
		o.comes(`key_refused{integration="turned"}`, 1)
	})
	t.Run("a reload resets nothing", func(t *testing.T) {
		_, before := o.scrape()
		if err := o.caddy.Load(strings.Replace(o.config, "\tlog\n", "\tlog\n\theader X-Reloaded yes\n", 1)); err != nil {
			t.Fatal(err)
		}
		_, after := o.scrape()
		for series, was := range before {
			if strings.Contains(series, "_total{") && after[series] < was {
				t.Errorf("%s is %v, was %v", series, after[series], was)
			}
		}
	})
	t.Run("a store that is away", func(t *testing.T) {
		o.proxy.Fault(vaulttest.Reset)
		o.comes(`breaker_state{store="vault"}`, 1)
		o.comes(`store_stale_seconds{store="vault"}`, 1)
		o.comes(`key_stale_seconds{integration="good"}`, 1)
		o.call("GET", "/good")
		o.comes(`key_lookups_total{state="stale",store="vault"}`, 1)
		o.comes(`key_reads_total{result="unavailable",store="vault"}`, 1)
		o.proxy.Fault(nil)
		o.comes(`breaker_state{store="vault"}`, 0)
		until(t, "fresh again", 20*time.Second, func() bool {
			_, all := o.scrape()
			return all[`key_stale_seconds{integration="good"}`] < 1 && all[`breaker_state{store="vault"}`] == 0
		})
	})
	t.Run("are as Prometheus wants them", func(t *testing.T) {
		text, _ := o.scrape()
		problems, err := promlint.New(strings.NewReader(text)).Lint()
		if err != nil || len(problems) > 0 {
			t.Errorf("%v %v", problems, err)
		}
	})
}

// However many integrations there are, a thousand have figures of their own.
func TestFiguresAreBoundedInNumber(t *testing.T) {
	const routes, own = 1500, 1000
	port := harness.Port(t)
	var site strings.Builder
	for n := range routes {
		fmt.Fprintf(&site, "\tapikey_inject /%d/* http://127.0.0.1:1 {\n\t\tlabel_as i-%[1]d\n\t\tname X-Api-Key\n\t\tkey keys/%[1]d\n\t}\n", n)
	}
	config := fmt.Sprintf("{\n\tapikey_inject {\n\t\tstore vault {\n\t\t\taddress http://127.0.0.1:%d\n\t\t\tstartup lazy\n\t\t}\n\t}\n}\n", harness.Port(t)) + harness.Site(port, site.String())
	o := &observed{t: t, port: port, caddy: harness.StartCaddy(t, config, harness.Env("VAULT_TOKEN=x"))}
	for _, n := range []int{0, 1, routes - 1} {
		if status := o.call("GET", fmt.Sprintf("/%d/x", n)); status != http.StatusServiceUnavailable {
			t.Fatalf("route %d answered %d", n, status)
		}
	}
	_, all := o.scrape()
	labels := map[string]map[string]bool{} // of each family
	for series := range all {
		family, rest, _ := strings.Cut(series, "{")
		if _, label, ok := strings.Cut(rest, `integration="`); ok {
			label, _, _ = strings.Cut(label, `"`)
			if labels[family] == nil {
				labels[family] = map[string]bool{}
			}
			labels[family][label] = true
		}
	}
	for _, family := range []string{"requests_total", "upstream_auth_failures_total", "key_held", "key_stale_seconds"} {
		delete(labels[family], "unknown") // is no integration
		if n := len(labels[family]); n != own+1 || !labels[family]["other"] {
			t.Errorf("%s has %d labels, want %d and other", family, n, own)
		}
	}
	// Caddy has the routes with the longest paths first.
	if got := all[`requests_total{integration="other",outcome="key_unavailable"}`]; got != 2 {
		t.Errorf("%v requests are counted as other's", got)
	}
}
