// What the management API and the gateway leave behind: keys that were entered
// by API, and the tokens of who entered them.

package integration

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/pgtest"
	"github.com/apikeyinject/caddy-apikey-inject/internal/seal"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// gatewayRig is a Caddy with the API between a store and an upstream that sends
// keys back.
type gatewayRig struct {
	up    *harness.Upstream
	caddy *harness.Caddy
	url   string
	db    string // of postgres

	ops     canary            // the token
	keys    map[string]canary // by placement, the key in use
	secrets []canary          // all there were
	answers strings.Builder   // of Caddy, header and body
}

// wayIn is how an integration of each placement is described.
var wayIn = map[string]string{
	"header": `"keyName": "X-Api-Key"`,
	"bearer": `"keyName": "Authorization", "valueTemplate": "Bearer ${apiKey}"`,
	"basic":  `"keyName": "Authorization", "valueTemplate": "Basic ${base64(user:${apiKey})}"`,
	"query":  `"keyName": "key", "keyPlacement": "query"`,
}

// newGatewayRig starts one on Vault and sqlite, or on sealed keys in postgres.
// Its log has everything that Caddy can write, credentials in requests apart.
func newGatewayRig(t *testing.T, sealed bool) *gatewayRig {
	t.Helper()
	r := &gatewayRig{up: harness.NewUpstream(t, nil), keys: map[string]canary{}}
	r.ops = canaryOf("the API token", "ops"+strings.ToLower(newCanary("").cores[0]))
	agents := canaryOf("the limited API token", "agents"+strings.ToLower(newCanary("").cores[0]))
	r.secrets = append(r.secrets, r.ops, agents)
	env := []string{"OPS=" + r.ops.value, "AGENTS=" + agents.value}
	var stores string
	if sealed {
		r.db = pgtest.Database(t)
		u, err := url.Parse(r.db)
		if err != nil {
			t.Fatal(err)
		}
		password, _ := u.User.Password()
		keyset, text := newKeyset(t)
		r.secrets = append(r.secrets, canaryOf("the password of the database", password), keyset)
		env = append(env, "DB="+r.db, "KEYSET="+text)
		stores = "\t\tstore local {\n\t\t\tkeyset {env.KEYSET}\n\t\t}\n\t\tcatalog postgres {env.DB}\n"
	} else {
		vault := vaulttest.Start(t)
		r.secrets = append(r.secrets, canaryOf("the Vault token", vault.Token))
		env = append(env, "LEAK_TOKEN="+vault.Token)
		stores = "\t\tstore vault {\n\t\t\taddress " + vault.Addr + "\n\t\t\tauth token {env.LEAK_TOKEN}\n\t\t}\n"
	}
	port := harness.Port(t)
	r.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	// The caller's own Authorization holds the token, and is the caller's to show.
	seen := strings.ReplaceAll(seen, "{http.request.header.Authorization}|", "")
	site := "\tlog\n\tlog_append seen \"" + seen + "\"\n\tlog_append <early \"" + seen + `"
	apikey_inject_api {
		token ops {env.OPS}
		token agents {env.AGENTS} {
			scopes proxy
			integrations header
		}
		proxy {
			header_up X-Copy "` + seen + `"
			header_down X-Down "` + seen + `"
			verbose_logs
		}
	}
	handle_errors {
		respond "{http.error}|{http.error.message}|{http.error.trace}|{http.apikey_inject.error}|` + seen + `"
	}`
	config := fmt.Sprintf("{\n\tdebug\n\tmetrics {\n\t\tper_host\n\t}\n\tservers 127.0.0.1:%d {\n\t\ttrace\n\t}\n\tapikey_inject {\n%s\t\tegress {\n\t\t\tallow 127.0.0.1\n\t\t}\n\t}\n}\n", port, stores) +
		harness.Site(port, site)
	r.caddy = harness.StartCaddy(t, config, harness.Env(env...))
	r.up.Answer(misbehave)
	return r
}

// newKeyset returns a keyset for sealed keys: what to search for, and its text.
func newKeyset(t *testing.T) (canary, string) {
	t.Helper()
	set, err := seal.Generate()
	if err != nil {
		t.Fatal(err)
	}
	text, err := set.Text()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Key []struct {
			KeyData struct {
				Value string `json:"value"`
			} `json:"keyData"`
		} `json:"key"`
	}
	if err := json.Unmarshal([]byte(text.Reveal()), &doc); err != nil || len(doc.Key) == 0 {
		t.Fatalf("reading a keyset: %v", err)
	}
	return canaryOf("the keyset", doc.Key[0].KeyData.Value), text.Reveal()
}

// do sends a request as ops, keeps the answer, and returns its status.
func (r *gatewayRig) do(t *testing.T, method, path, body string, lines ...string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.ops.value)
	req.Header.Set("Content-Type", "application/json")
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		req.Header.Set(name, value)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return 0 // cut, as some of the upstream's answers are
	}
	defer func() { _ = res.Body.Close() }()
	b, _ := io.ReadAll(res.Body)
	fmt.Fprintln(&r.answers, res.Status, res.Header, string(b), res.Trailer)
	return res.StatusCode
}

// must is do for what has to succeed.
func (r *gatewayRig) must(t *testing.T, method, path, body string, lines ...string) {
	t.Helper()
	if status := r.do(t, method, path, body, lines...); status/100 != 2 {
		t.Fatalf("%s %s: %d; the answers so far:\n%s", method, path, status, r.answers.String())
	}
}

// entered is a body that enters a new key for the connection of a placement.
func (r *gatewayRig) entered(placement string) string {
	key := newCanary("a key in " + placement)
	r.keys[placement] = key
	r.secrets = append(r.secrets, key)
	return fmt.Sprintf(`{"provider_config_key": %q, "connection_id": "marked-connection", "credentials": {"type": "API_KEY", "apiKey": %s}}`, placement, inJSON(key.value))
}

func inJSON(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestLeaksOfTheAPIAndTheGateway(t *testing.T) {
	t.Parallel()
	for name, sealed := range map[string]bool{"Vault and sqlite": false, "sealed keys and postgres": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newGatewayRig(t, sealed)
			for _, p := range placements {
				r.must(t, "POST", "/integrations", fmt.Sprintf(`{"provider": "private-api-generic", "unique_key": %q, "integration_config": {"baseUrl": %q, %s}}`, p.name, r.up.URL()+"/"+p.name, wayIn[p.name]))
				r.must(t, "POST", "/connections", r.entered(p.name))
				r.must(t, "POST", "/connections", r.entered(p.name)) // another version
				r.up.Forget()
				r.call(t, p.name, "GET", "/do/plain")
				if got, _ := received(r.up.Only()); got != r.keys[p.name].value {
					t.Fatalf("%s: the upstream received the key %q", p.name, got)
				}
			}
			r.manage(t)
			r.wrongBodies(t)
			r.traffic(t)
			r.rotated(t)
			r.channels(t)
		})
	}
}

// call goes through the gateway.
func (r *gatewayRig) call(t *testing.T, integration, method, path string, lines ...string) int {
	t.Helper()
	return r.do(t, method, "/proxy"+path, "", append(lines, "Provider-Config-Key: "+integration, "Connection-Id: marked-connection")...)
}

// manage reads and changes all there is.
func (r *gatewayRig) manage(t *testing.T) {
	for _, p := range placements {
		of := "/connections/marked-connection?provider_config_key=" + p.name
		for _, path := range []string{"/integrations", "/integrations/" + p.name, "/integrations/" + p.name + "?include=credentials", "/connections", of, of + "&force_refresh=true", "/status", "/openapi.json"} {
			r.must(t, "GET", path, "")
		}
		key := newCanary("a rotated key in " + p.name)
		r.keys[p.name], r.secrets = key, append(r.secrets, key)
		r.must(t, "PUT", strings.Replace(of, "?", "/credentials?", 1), `{"apiKey": `+inJSON(key.value)+`}`)
		r.must(t, "PATCH", of, `{"tags": {"team": "a"}, "connection_config": {"tenant": "t"}}`)
		r.must(t, "PATCH", "/integrations/"+p.name, `{"display_name": "Marked"}`)
		r.must(t, "POST", "/connections/metadata", `{"provider_config_key": "`+p.name+`", "connection_id": "marked-connection", "metadata": {"plan": "pro"}}`)
		r.must(t, "POST", strings.Replace(of, "?", "/disable?", 1), "")
		r.call(t, p.name, "GET", "/do/plain")
		r.must(t, "POST", strings.Replace(of, "?", "/enable?", 1), "")
	}
}

// wrongBodies hold a key where none can be read.
func (r *gatewayRig) wrongBodies(t *testing.T) {
	lost := newCanary("a key in a wrong body")
	r.secrets = append(r.secrets, lost)
	key, head := inJSON(lost.value), `{"provider_config_key": "header", "connection_id": "marked-connection", `
	credentials := func(v string) string { return head + `"credentials": {"type": "API_KEY", "apiKey": ` + v + `}}` }
	for _, body := range []string{
		credentials(key)[:len(credentials(key))-2],
		credentials(key) + key,
		credentials(key[:len(key)-1]),
		credentials(`[` + key + `]`), credentials(`{"k": ` + key + `}`),
		credentials(inJSON(lost.value + "\x01")), credentials(inJSON(lost.value + "\n" + lost.value)), credentials(inJSON(strings.Repeat(lost.value, 300))),
		head + `"credentials": ` + key + `}`,
		head + `"credentials": {"type": ` + key + `, "apiKey": ` + key + `}}`,
		head + `"credentials": {"type": "API_KEY", "apiKey": ` + key + `, "apiKey": ` + key + `}}`,
		head + `"apiKey": ` + key + `}`,
		head + `"credentials": {"type": "API_KEY", "apikey": ` + key + `}}`,
		`{"provider_config_key": "none", "credentials": {"type": "API_KEY", "apiKey": ` + key + `}}`,
		`[` + key + `]`, key,
	} {
		if status := r.do(t, "POST", "/connections", body); status < 400 || status >= 500 {
			t.Errorf("answered %d to %s", status, strings.ReplaceAll(body, key, "KEY"))
		}
	}
	r.do(t, "POST", "/connections", credentials(key), "Content-Type: text/plain")
	r.do(t, "POST", "/integrations", credentials(key))
	r.do(t, "PUT", "/connections/marked-connection/credentials?provider_config_key=header", `{"apiKey": `+key+`, "x": 1}`)
	r.do(t, "GET", "/connections", "", "Authorization: Bearer "+r.ops.value+"x") // a token that is nearly one
	r.do(t, "GET", "/proxy/x", "", "Authorization: Basic "+r.ops.value)
}

// traffic meets an upstream that sends keys back.
func (r *gatewayRig) traffic(t *testing.T) {
	kinds := slices.AppendSeq([]string{"truncated", "truncated-stream", "reset", "close", "switch", "500", "unsolicited"}, maps.Keys(broken))
	for name := range broken {
		kinds = append(kinds, name+"-value")
	}
	slices.Sort(kinds)
	for encoding := range encodings { // only a key in the query is part of a URL that an upstream may send on
		r.call(t, "query", "GET", "/do/redirect-"+encoding)
	}
	for _, p := range placements {
		for _, kind := range kinds {
			r.call(t, p.name, "GET", "/do/"+kind)
			r.call(t, p.name, "POST", "/do/"+kind, "Retries: 0")
		}
		r.call(t, p.name, "GET", "/do/500", "Retries: 1")
		r.call(t, p.name, "GET", "/do/reset", "Retries: 1", "Nango-Proxy-X-Marked: x")
		r.call(t, p.name, "GET", "/do/../x")
		r.call(t, p.name, "GET", "/do/plain", "Base-Url-Override: http://127.0.0.1:1")
		r.call(t, p.name, "GET", "/do/plain", "Connection-Id: nobody", "Retries: x")
		r.do(t, "GET", "/proxy/x", "", "Provider-Config-Key: "+p.name, "Connection-Id: nobody")
		r.call(t, p.name, "TRACE", "/do/plain")
		r.call(t, p.name, "GET", "/do/plain", "Origin: https://evil.example")
	}
}

// rotated is refused with one key and taken with the next.
func (r *gatewayRig) rotated(t *testing.T) {
	for _, p := range placements {
		old := r.keys[p.name]
		r.up.Answer(func(q *harness.Request) harness.Answer {
			if key, value := received(q); key == old.value {
				return harness.Text(401, "", "WWW-Authenticate: Key realm=\"x\"", "X-Length: "+fmt.Sprint(len(value)))
			}
			return misbehave(q)
		})
		r.call(t, p.name, "GET", "/do/plain") // nothing newer is there
		r.must(t, "POST", "/connections", r.entered(p.name))
		if status := r.call(t, p.name, "GET", "/do/plain"); status != 200 {
			t.Errorf("%s: after a rotation: %d", p.name, status)
		}
	}
	r.up.Answer(misbehave)
	r.must(t, "DELETE", "/connections/marked-connection?provider_config_key=basic", "")
	r.must(t, "DELETE", "/integrations/bearer?force=true", "")
}

// channels searches all that was written and can be asked for.
func (r *gatewayRig) channels(t *testing.T) {
	connection := []canary{canaryOf("the connection", "marked-connection")}
	noLeak(t, channel{"the answers", r.answers.String()}, append(connection, canaryOf("a refusal of ours", "bad_path"), canaryOf("an answer of the upstream's", "sorry")), r.secrets)

	for path, holds := range map[string]string{
		"/config/": "env.OPS", "/metrics": "caddy_apikey_inject", "/reverse_proxy/upstreams": "", "/debug/pprof/goroutine?debug=2": "goroutine",
		"/apikey_inject/connections": "", "/apikey_inject/integrations": "", "/apikey_inject/status": "", "/apikey_inject/": "",
	} {
		_, body, err := r.caddy.Do("GET", path, "")
		if err != nil || !strings.Contains(body, holds) {
			t.Errorf("%s: %v, %.200q", path, err, body)
		}
		noLeak(t, channel{"GET " + path, body}, nil, r.secrets)
	}

	markers := append(connection, canaryOf("a token's name", `"token":"ops"`))
	if r.db != "" {
		noLeak(t, channel{"the rows of postgres", rowsOf(t, r.db)}, connection, r.secrets)
	}
	r.caddy.Stop()
	noLeak(t, channel{"the log", r.caddy.Log.String()}, markers, r.secrets)
	for _, part := range []string{`"logger":"http.log.access`, `"msg":"upstream roundtrip"`, `"logger":"http.log.trace"`, `"logger":"apikey_inject.audit"`, `"logger":"http.log.error`, "connection.rotate"} {
		if !strings.Contains(r.caddy.Log.String(), part) {
			t.Errorf("the log lacks %s", part)
		}
	}
	noLeak(t, channel{"the files in Caddy's home", filesBelow(t, r.caddy.Home)}, []canary{canaryOf("the variable", "env.OPS")}, r.secrets)
	if r.db == "" {
		noLeak(t, channel{"the database file", filesBelow(t, filepath.Join(r.caddy.Home, "data"))}, connection, r.secrets)
	}
}

// filesBelow returns the content of all files below a folder.
func filesBelow(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// rowsOf returns every row of every table of a database as text.
func rowsOf(t *testing.T, url string) string {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	texts := func(query string) (list []string) {
		rows, err := db.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				t.Fatal(err)
			}
			list = append(list, s)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return list
	}
	var all strings.Builder
	tables := texts(`SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog', 'information_schema')`)
	if len(tables) < 4 {
		t.Errorf("only the tables %q", tables)
	}
	for _, table := range tables {
		all.WriteString(strings.Join(texts("SELECT (t.*)::text FROM "+table+" t"), "\n"))
	}
	return all.String()
}
