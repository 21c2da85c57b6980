// Templates: F1 to F5.

package keys

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

func TestTemplates(t *testing.T) {
	vault, upstream := vaulttest.Start(t), harness.NewUpstream(t, nil)
	const key = "K-1234567890"
	vault.Put("acme", map[string]any{"apiKey": key})
	// Keys that look like something to expand, to a template, to Caddy, to a
	// shell, to fmt.
	lookalikes := []string{
		"${apiKey}", "{env.HOME}", "{$HOME}", "$1", "%s%d%!", "{http.request.host}", "${base64(${apiKey})}", "${connectionConfig.tenant}",
		`a"b'c\d`, "a b;c,d", "é-ключ", "{{.}}", " surrounded ", "a\\nb",
	}
	b := &builder{t: t, upstream: upstream, ports: map[string]int{}}
	templates := []struct{ name, template, more, want string }{
		{"the default", "", "", key},
		{"F2 the key twice", "template ${apiKey}:${apiKey}", "", key + ":" + key},
		{"F2 a dollar before it", "template $${apiKey}", "", "$" + key},
		{"F2 words round it", `template "Api-Key ${apiKey}, v=1"`, "", "Api-Key " + key + ", v=1"},
		{"F2 braces round it", `template "a}${apiKey}}{"`, "", "a}" + key + "}{"},
		{"F3 Basic", `template "Basic ${base64(${apiKey}:)}"`, "", "Basic " + base64.StdEncoding.EncodeToString([]byte(key+":"))},
		{
			"F3 Basic with a name from the connection's config", `template "Basic ${base64(${connectionConfig.user}:${apiKey})}"`,
			"connection_config {\n\t\t\tuser joe\n\t\t}",
			"Basic " + base64.StdEncoding.EncodeToString([]byte("joe:"+key)),
		},
		{
			"F4 the connection's config", `template "${connectionConfig.tenant}:${apiKey}"`, "connection_config {\n\t\t\ttenant acme\n\t\t}",
			"acme:" + key,
		},
		{
			"F4 a value that looks like a placeholder", `template "${connectionConfig.tenant}:${apiKey}"`, "connection_config {\n\t\t\ttenant $1%s\n\t\t}",
			"$1%s:" + key,
		},
	}
	for _, c := range templates {
		b.site(c.name, c.template, c.more, "key acme")
	}
	for i, k := range lookalikes {
		name := "look" + string(rune('a'+i))
		vault.Put(name, map[string]any{"apiKey": k})
		b.site(name, `template "Api-Key ${apiKey}."`, "key "+name)
	}
	// The integration's config is the default of its routes, which win.
	b.config = "{\n\tapikey_inject {\n\t\tstore vault\n\t\tintegration acme " + upstream.URL() + " {\n\t\t\tname X-Api-Key\n" +
		"\t\t\ttemplate \"${connectionConfig.tenant}-${connectionConfig.region}:${apiKey}\"\n\t\t\tkey acme\n\t\t\tallow anyone\n" +
		"\t\t\tconnection_config {\n\t\t\t\ttenant theirs\n\t\t\t\tregion eu\n\t\t\t}\n\t\t}\n\t}\n}\n" + b.config
	own := harness.Port(t)
	b.config += harness.Site(own, "\tapikey_inject acme {\n\t\tconnection_config {\n\t\t\ttenant ours\n\t\t}\n\t}")
	caddy := harness.StartCaddy(t, b.config, harness.Env("VAULT_ADDR="+vault.Addr, "VAULT_TOKEN="+vault.Token))

	for _, c := range templates {
		t.Run(c.name, func(t *testing.T) { checkSent(t, upstream, b.ports[c.name], "X-Api-Key: "+c.want) })
	}
	for i, k := range lookalikes {
		t.Run("F5 "+k, func(t *testing.T) {
			checkSent(t, upstream, b.ports["look"+string(rune('a'+i))], "X-Api-Key: Api-Key "+k+".")
		})
	}
	t.Run("F4 the route's config wins over the integration's", func(t *testing.T) {
		checkSent(t, upstream, own, "X-Api-Key: ours-eu:"+key)
	})
	testRefusedTemplates(t, caddy, upstream)
}

func testRefusedTemplates(t *testing.T, caddy *harness.Caddy, upstream *harness.Upstream) {
	for _, c := range []struct{ name, template, hint string }{
		{"F1 without the key", "Api-Key", "${apiKey}"},
		{"F1 empty braces", "${}${apiKey}", "unknown placeholder"},
		{"F1 blanks", "${ apiKey }", "did you mean ${apiKey}?"},
		{"F1 another casing", "${apikey}", "did you mean ${apiKey}?"},
		{"F1 in capitals", "${APIKEY}", "did you mean ${apiKey}?"},
		{"F1 unknown", "${apiKey} ${secret}", "${secret}"},
		{"F1 unknown, like a shell", "${HOME} ${apiKey}", "${HOME}"},
		{"F1 unterminated", "${apiKey", "not closed"},
		{"F1 unterminated after a good one", "${apiKey} ${", "not closed"},
		{"F1 an unterminated function", "${base64(${apiKey}:", "not closed"},
		{"F1 an unknown function", "${hex(${apiKey})}", "unknown placeholder"},
		{"F1 a placeholder of Caddy", "${apiKey} {env.HOME}", "{env"},
		{"F1 a config without a name", "${connectionConfig.} ${apiKey}", "unknown placeholder"},
		{"F4 a config that is not there", "${connectionConfig.tenant} ${apiKey}", "tenant"},
	} {
		t.Run(c.name, func(t *testing.T) {
			refusal := load(t, caddy, "/adapt", harness.Site(1, "\tapikey_inject "+upstream.URL()+" {\n\t\tname X-Api-Key\n\t\tkey acme\n\t\tallow anyone\n\t\ttemplate \""+c.template+"\"\n\t}"))
			if !strings.Contains(refusal, "Caddyfile:") || !strings.Contains(refusal, "template") || !strings.Contains(refusal, c.hint) {
				t.Errorf("the Caddyfile is refused with %s, want a word about %s", refusal, c.hint)
			}
			refusal = load(t, caddy, "/load", `{"apps":{"http":{"servers":{"s":{"listen":["127.0.0.1:0"],"routes":[{"handle":[{"handler":"apikey_inject","base_url":"`+
				upstream.URL()+`","key_name":"X-Api-Key","key":{"path":"acme"},"value_template":"`+c.template+`"}]}]}}}}}`)
			if !strings.Contains(refusal, "value_template") || !strings.Contains(refusal, c.hint) {
				t.Errorf("the JSON is refused with %s, want a word about %s", refusal, c.hint)
			}
		})
	}
}

// load hands a configuration to Caddy that it has to refuse, and returns why.
func load(t *testing.T, caddy *harness.Caddy, path, config string) string {
	t.Helper()
	contentType := "Content-Type: application/json"
	if path == "/adapt" {
		contentType = "Content-Type: text/caddyfile"
	}
	status, body, err := caddy.Do(http.MethodPost, path, config, contentType)
	if err != nil {
		t.Fatal(err)
	}
	if status != http.StatusBadRequest {
		t.Errorf("was not refused: %d %s", status, body)
	}
	return body
}
