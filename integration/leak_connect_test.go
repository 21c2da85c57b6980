// What is seen of a key that an end user enters, and of the token that lets
// them.

package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// entryRig is a Caddy at whose Connect page's site keys are entered, and all
// that it has answered.
type entryRig struct {
	t         *testing.T
	caddy     *harness.Caddy
	api, site string
	answers   strings.Builder
}

const entryToken = "ops-token-of-the-leak-suite"

func newEntryRig(t *testing.T, up *harness.Upstream) *entryRig {
	t.Helper()
	vault := vaulttest.Start(t)
	api, site := harness.Port(t), harness.Port(t)
	config := fmt.Sprintf("{\n\tdebug\n\tmetrics\n\tservers 127.0.0.1:%d {\n\t\ttrace\n\t}\n\tapikey_inject {\n\t\tstore vault {\n\t\t\taddress %s\n\t\t\tauth token {env.VT}\n\t\t}\n\t\tegress {\n\t\t\tallow 127.0.0.1\n\t\t}\n\t}\n}\n", site, vault.Addr) +
		harness.Site(api, fmt.Sprintf("\tlog\n\tapikey_inject_api {\n\t\ttoken ops {env.OPS}\n\t\tconnect_url http://127.0.0.1:%d/\n\t}\n", site)) +
		harness.Site(site, "\tlog\n\tlog_append seen \""+seen+"\"\n\tapikey_inject_connect\n\thandle_errors {\n\t\trespond \"{http.error}|"+seen+"\"\n\t}\n")
	return &entryRig{
		t: t, caddy: harness.StartCaddy(t, config, harness.Env("VT="+vault.Token, "OPS="+entryToken)),
		api: fmt.Sprintf("http://127.0.0.1:%d", api), site: fmt.Sprintf("http://127.0.0.1:%d", site),
	}
}

// send returns the body of an answer, and what is in it.
func (r *entryRig) send(method, url, token string, body any) map[string]any {
	r.t.Helper()
	b, _ := json.Marshal(body)
	req, err := http.NewRequestWithContext(r.t.Context(), method, url, strings.NewReader(string(b)))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := harness.HTTP1Client(r.t, nil).Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	if !strings.HasPrefix(url, r.api+"/connect/") { // which gives the token away, to whom it is for
		fmt.Fprintf(&r.answers, "%s %v %s\n", res.Status, res.Header, text)
	}
	var v map[string]any
	_ = json.Unmarshal(text, &v)
	return v
}

func (r *entryRig) session() canary {
	r.t.Helper()
	data, _ := r.send("POST", r.api+"/connect/sessions", entryToken, map[string]any{"allowed_integrations": []string{"acme"}, "end_user": map[string]string{"id": "u-1"}})["data"].(map[string]any)
	token, _ := data["token"].(string)
	if len(token) < 100 {
		r.t.Fatalf("the token is %q", token)
	}
	// Whatever part of it is shown: the middle of what is sealed.
	return canary{name: "a session's token", value: token, cores: []string{token, token[len(token)/2:][:24]}}
}

func TestLeakOfWhatAnEndUserEnters(t *testing.T) {
	t.Parallel()
	up := harness.NewUpstream(t, nil)
	r := newEntryRig(t, up)
	r.send("POST", r.api+"/integrations", entryToken, map[string]any{
		"provider": "private-api-generic", "unique_key": "acme", "display_name": "Acme", "verification": map[string]string{"path": "/me"},
		"integration_config": map[string]string{"baseUrl": up.URL(), "keyName": "X-Api-Key"},
	})
	right, wrong, inner := newCanary("the key"), newCanary("a key that the upstream refuses"), newCanary("a key with a control character")
	up.Answer(func(q *harness.Request) harness.Answer {
		if strings.Join(q.Values("X-Api-Key"), "") == right.value {
			return harness.Text(http.StatusOK, "welcome")
		}
		return harness.Text(http.StatusUnauthorized, strings.Join(q.Values("X-Api-Key"), "")) // says whom it refuses
	})
	token, asQuery, spelled := r.session(), r.session(), r.session()
	enter := r.site + "/api-auth/api-key/acme"
	query := enter + "?connect_session_token=" + url.QueryEscape(asQuery.value)
	r.send("GET", r.site+"/connect/session", token.value, nil)
	r.send("GET", r.site+"/integrations", token.value, nil)
	r.send("POST", enter, token.value, map[string]string{"apiKey": inner.value + "\x00"})
	r.send("POST", enter, token.value, map[string]string{"apiKey": wrong.value})
	r.send("POST", enter, token.value, map[string]string{"key": inner.value})
	id, _ := r.send("POST", enter, token.value, map[string]string{"apiKey": " " + right.value + "\n"})["connectionId"].(string)
	r.send("POST", query, "", map[string]string{"apiKey": wrong.value})
	r.send("POST", query, "", map[string]string{"apiKey": right.value})
	r.send("POST", query, "", map[string]string{"apiKey": right.value}) // is used
	r.send("POST", r.api+"/api-auth/api-key/acme?connect_session_token="+asQuery.value, "", map[string]string{"apiKey": right.value})
	r.send("GET", r.site+"/?session_token="+token.value, "", nil)
	for _, at := range []string{r.site, r.api} { // the same parameter, in other letters
		q := "?connect_session%5Ftoken=" + url.QueryEscape(spelled.value)
		r.send("GET", at+"/connect/session"+q, "", nil)
		r.send("POST", at+"/api-auth/api-key/acme"+q, "", map[string]string{"apiKey": wrong.value})
		r.send("POST", at+"/api%2Dauth/api-key/acme"+q, "", map[string]string{"apiKey": wrong.value})
	}
	r.send("GET", r.api+"/connections/"+id+"?provider_config_key=acme", entryToken, nil)

	used := 0
	for _, q := range up.Requests() {
		if strings.Join(q.Values("X-Api-Key"), "") == right.value {
			used++
		}
	}
	if id == "" || used != 2 {
		t.Fatalf("connection %q, %d keys were tried: %s", id, used, r.answers.String())
	}
	secrets := []canary{right, wrong, inner, token, asQuery, spelled}
	marker := []canary{canaryOf("the connection", id)}
	noLeak(t, channel{"the answers", r.answers.String()}, marker, secrets)
	for _, path := range []string{"/config/", "/metrics", "/debug/pprof/goroutine?debug=2", "/debug/pprof/cmdline", "/apikey_inject/status"} {
		_, body, err := r.caddy.Do("GET", path, "")
		if err != nil || body == "" {
			t.Fatalf("%s: %q %v", path, body, err)
		}
		noLeak(t, channel{"GET " + path, body}, nil, secrets)
	}
	r.caddy.Stop()
	noLeak(t, channel{"the log", r.caddy.Log.String()}, marker, secrets)
	names, text := homeFiles(t, r.caddy.Home)
	if !strings.Contains(names, "autosave.json") || !strings.Contains(names, ".db") {
		t.Errorf("the files are %s", names)
	}
	noLeak(t, channel{"the files in Caddy's home", text}, marker, secrets)
}
