// Key values: F6 and F7.

package keys

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

func TestValues(t *testing.T) {
	vault, upstream := vaulttest.Start(t), harness.NewUpstream(t, nil)
	vault.MountV1("kv-one")
	const key, canary = "K-1234567890", "cAnArY"
	b := &builder{t: t, upstream: upstream, ports: map[string]int{}}
	cases := []struct {
		name   string
		fields map[string]any
		field  string // as the block names it; empty: the default
		want   string // empty: refused
		reason string // what the log says then
	}{
		{"F6 a line end", map[string]any{"apiKey": key + "\n"}, "", key, ""},
		{"F6 a line end of Windows", map[string]any{"apiKey": key + "\r\n"}, "", key, ""},
		{"F6 blanks are the key's own", map[string]any{"apiKey": "a " + key}, "", "a " + key, ""},
		{"F7 two line ends", map[string]any{"apiKey": canary + "\n\n"}, "", "", "control character"},
		{"F7 a lone carriage return", map[string]any{"apiKey": canary + "\r"}, "", "", "control character"},
		{"F7 empty", map[string]any{"apiKey": ""}, "", "", "empty"},
		{"F7 only a line end", map[string]any{"apiKey": "\n"}, "", "", "empty"},
		{"F7 only a line end of Windows", map[string]any{"apiKey": "\r\n"}, "", "", "empty"},
		{"F7 an inner line end", map[string]any{"apiKey": "a\n" + canary}, "", "", "control character"},
		{"F7 a header of its own", map[string]any{"apiKey": "a\r\nX-Evil: " + canary}, "", "", "control character"},
		{"F7 a null byte", map[string]any{"apiKey": canary + "\x00"}, "", "", "control character"},
		{"F7 a tab", map[string]any{"apiKey": canary + "\tb"}, "", "", "control character"},
		{"F7 delete", map[string]any{"apiKey": canary + "\x7f"}, "", "", "control character"},
		{"F7 too long", map[string]any{"apiKey": canary + strings.Repeat("a", 8192)}, "", "", "bytes long"},
		{"F7 a number", map[string]any{"apiKey": 31415926}, "", "", "number"},
		{"F7 true", map[string]any{"apiKey": true}, "", "", "bool"},
		{"F7 an object", map[string]any{"apiKey": map[string]any{"value": canary}}, "", "", "object"},
		{"F7 a list", map[string]any{"apiKey": []string{canary}}, "", "", "list"},
		{"F7 null", map[string]any{"apiKey": nil}, "", "", "null"},
		{"F7 the default field is missing", map[string]any{"one": canary, "two": canary}, "", "", "one, two"},
		{"F7 a named field is missing", map[string]any{"apiKey": canary}, "token", "", "missing"},
		{"F7 a named field in another casing", map[string]any{"apiKey": canary}, "apikey", "", "missing"},
		{"F7 the only field is no string", map[string]any{"one": 1}, "", "", "number"},
		{"F7 no field at all", map[string]any{}, "", "", "missing"},
	}
	path := func(name string) string { return strings.ReplaceAll(strings.ToLower(name), " ", "-") }
	for _, c := range cases {
		vault.Put(path(c.name), c.fields)
		b.site(c.name, "key "+path(c.name)+" "+c.field)
		if len(c.fields) > 0 { // version 1 holds no empty document
			vault.PutV1("kv-one", path(c.name), c.fields)
			b.site(c.name+", KV version 1", "key /kv-one/"+path(c.name)+" "+c.field)
		}
	}
	caddy := harness.StartCaddy(t, b.config, harness.Env("VAULT_ADDR="+vault.Addr, "VAULT_TOKEN="+vault.Token))

	for _, c := range cases {
		for _, engine := range []string{"", ", KV version 1"} {
			port, ok := b.ports[c.name+engine]
			if !ok {
				continue
			}
			t.Run(c.name+engine, func(t *testing.T) {
				if c.want != "" {
					checkSent(t, upstream, port, "X-Api-Key: "+c.want)
					return
				}
				checkRefused(t, upstream, port, 502, "key_invalid")
				field := c.field
				for only := range c.fields {
					if field == "" && len(c.fields) == 1 {
						field = only
					}
				}
				if field == "" {
					field = "apiKey"
				}
				address := path(c.name)
				if engine != "" {
					address = "/kv-one/" + address
				}
				waitSince(t, caddy, 0, `"level":"warn"`, `"key":"`+address+`"`, `"field":"`+field+`"`, c.reason)
			})
		}
	}
	t.Run("F7 the log holds no part of a value", func(t *testing.T) {
		for _, part := range []string{canary, "31415926"} {
			if strings.Contains(caddy.Log.String(), part) {
				t.Errorf("it holds %q", part)
			}
		}
	})
}

// TestBadValueAfterAGoodOne rotates to a value that cannot be used, and on to
// a good one.
func TestBadValueAfterAGoodOne(t *testing.T) {
	vault, upstream := vaulttest.Start(t), harness.NewUpstream(t, nil)
	vault.Put("acme", map[string]any{"apiKey": "good"})
	port := harness.Port(t)
	caddy := harness.StartCaddy(t, "{\n\tapikey_inject {\n\t\tstore vault {\n\t\t\tttl 1s\n\t\t}\n\t}\n}\n"+
		harness.Site(port, "\tapikey_inject "+upstream.URL()+" {\n\t\tname X-Api-Key\n\t\tkey acme\n\t\tallow anyone\n\t}"),
		harness.Env("VAULT_ADDR="+vault.Addr, "VAULT_TOKEN="+vault.Token))
	checkSent(t, upstream, port, "X-Api-Key: good")

	for _, bad := range []struct{ name, value string }{{"empty", ""}, {"two lines", "bad\nkey"}} {
		t.Run("F7 "+bad.name+", a good value is held", func(t *testing.T) {
			mark := caddy.Log.Mark()
			vault.Put("acme", map[string]any{"apiKey": bad.value})
			line := waitSince(t, caddy, mark, "the former one stays in use")
			if !strings.Contains(line, `"key":"acme"`) || !strings.Contains(line, `"field":"apiKey"`) {
				t.Errorf("the log says %s", line)
			}
			checkSent(t, upstream, port, "X-Api-Key: good")
		})
	}
	t.Run("F7 the next good value is taken", func(t *testing.T) {
		mark := caddy.Log.Mark()
		vault.Put("acme", map[string]any{"apiKey": "better"})
		waitSince(t, caddy, mark, "a key was read")
		checkSent(t, upstream, port, "X-Api-Key: better")
	})
	t.Run("F7 the document loses the field", func(t *testing.T) {
		mark := caddy.Log.Mark()
		vault.Do(http.MethodPost, "secret/data/acme", map[string]any{"data": map[string]any{"one": "1", "two": "2"}})
		waitSince(t, caddy, mark, "the former one stays in use")
		checkSent(t, upstream, port, "X-Api-Key: better")
	})
}

// logWait is for a line that is written at once, or when a ttl of 1 s is over.
const logWait = 6 * time.Second

// waitSince waits for a line of Caddy's log, not there at mark, that holds all
// parts: a log comes through a pipe, and a new value once a second.
func waitSince(t *testing.T, caddy *harness.Caddy, mark int, parts ...string) string {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	timeout := time.NewTimer(logWait)
	defer timeout.Stop()
	for {
		for line := range strings.Lines(caddy.Log.Since(mark)) {
			if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
				return line
			}
		}
		select {
		case <-tick.C:
		case <-timeout.C:
			t.Fatalf("the log does not say %q in one line:\n%s", parts, caddy.Log.Since(mark))
		}
	}
}
