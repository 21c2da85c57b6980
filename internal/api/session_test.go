package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/session"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// session makes a connect session and returns its token.
func (r *rig) session(body string) string {
	r.t.Helper()
	a := r.do("POST", "/connect/sessions", body).is(http.StatusCreated, "")
	return a.at("data", "token")
}

// forAcme is a session for acme.
const forAcme = `{"allowed_integrations":["acme"],"end_user":{"id":"u-1","email":"u@x.example","tags":{"plan":"pro"},"organization":{"id":"o-1"}},"tags":{"Team":"blue"}}`

// by sends the token of a session.
func by(token string) func(*ask) {
	return with("Authorization", "Bearer "+token)
}

// enters sends a key by a session.
func (r *rig) enters(token, integration, key string) *answer {
	r.t.Helper()
	body, _ := json.Marshal(map[string]string{"apiKey": key})
	return r.do("POST", "/api-auth/api-key/"+integration, string(body), by(token))
}

func TestAConnectSessionMakesOneConnection(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	made := r.do("POST", "/connect/sessions", strings.Replace(forAcme, `"tags":{"Team"`, `"integrations_config_defaults":{"acme":{"connection_config":{"tenant":"t-1"},"user_scopes":"x"}},"webhook_url_override":"https://x.example/hook","tags":{"Team"`, 1)).is(201, "")
	token := made.at("data", "token")
	made.want("https://connect.example#session_token="+token, "data", "connect_link").want(stamp(start.Add(30*time.Minute)), "data", "expires_at")

	r.do("GET", "/connect/session", "", by(token)).ok().
		want(`["acme"]`, "data", "allowed_integrations").want("u-1", "data", "endUser", "id").want("false", "data", "isReconnecting").
		want("pro", "data", "tags", "plan").want("blue", "data", "tags", "team")
	got := r.enters(token, "acme", canary).ok().want("acme", "providerConfigKey").want("", "trimmed")
	id := got.at("connectionId")
	if uuid.Validate(id) != nil {
		t.Errorf("the connection is %q", id)
	}
	conn := r.conns[pair{"acme", id}]
	if r.keys[pair{"acme", id}] != canary || conn.EndUser.Organization.ID != "o-1" || conn.Config["tenant"] != "t-1" || conn.WebhookURLOverride != "https://x.example/hook" {
		t.Errorf("entered: %+v", conn)
	}
	if want := map[string]string{"team": "blue", "plan": "pro", "end_user_id": "u-1", "end_user_email": "u@x.example", "organization_id": "o-1"}; fmt.Sprint(conn.Tags) != fmt.Sprint(want) {
		t.Errorf("tags %v, want %v", conn.Tags, want)
	}

	r.enters(token, "acme", "another").is(401, "connect_session_used")
	r.do("GET", "/connect/session", "", by(token)).is(401, "connect_session_used")
	r.do("DELETE", "/connect/session", "", by(token)).is(401, "connect_session_used")
	r.do("DELETE", "/connections/"+id+"?provider_config_key=acme", "").ok()
	r.enters(token, "acme", "another").is(401, "connect_session_used")
	if len(r.conns) > 0 {
		t.Errorf("there are %d connections", len(r.conns))
	}
}

func TestAKeyIsEnteredAsNangosClientsDo(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	token := r.session(`{"tags":{"a":"1"},"integrations_config_defaults":{"acme":{"connection_config":{"a":"ours"}}}}`)
	target := "/api-auth/api-key/acme?connect_session_token=" + token + "&params[a]=theirs&params[b]=theirs"
	got := r.do("POST", target, `{"apiKey":"`+canary+`"}`, func(a *ask) { a.token = "" }).ok()
	if c := r.conns[pair{"acme", got.at("connectionId")}].Config; c["a"] != "ours" || c["b"] != "theirs" {
		t.Errorf("the connection_config is %v", c)
	}
	next := "/api-auth/api-key/acme?connect_session_token=" + r.session(forAcme) + "&params[a]=%01"
	r.do("POST", next, `{"apiKey":"`+canary+`"}`, func(a *ask) { a.token = "" }).is(400, "invalid_body")
}

func TestAConnectSessionExpires(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	token := r.session(forAcme)
	r.clock = r.clock.Add(30 * time.Minute)
	r.enters(token, "acme", canary).is(401, "connect_session_expired")
	r.do("GET", "/connect/session", "", by(token)).is(401, "connect_session_expired")
}

func TestWhoHoldsNoTokenOfASessionIsRefused(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	token := r.session(forAcme)
	for _, c := range [][2]string{{"GET", "/connect/session"}, {"DELETE", "/connect/session"}, {"POST", "/api-auth/api-key/acme"}} {
		body := ""
		if c[0] == "POST" {
			body = `{"apiKey":"x"}`
		}
		r.do(c[0], c[1], body, func(a *ask) { a.token = "" }).is(401, "missing_auth_header")
		r.do(c[0], c[1], body).is(401, "unknown_connect_session_token") // a token of the API is none
		r.do(c[0], c[1], body, by(token+"x")).is(401, "unknown_connect_session_token")
	}
	for _, c := range everyCall { // and the other way round
		r.do(c[0], c[1], c[2], by(token)).is(401, "unknown_account")
	}
}

func TestAConnectSessionIsForItsIntegrations(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	r.integration("other")
	token := r.session(forAcme)
	r.enters(token, "other", canary).is(400, "integration_not_allowed")
	r.enters(token, "zzz", canary).is(400, "integration_not_allowed")
	all := r.session(`{"tags":{}}`)
	r.enters(all, "zzz", canary).is(404, "unknown_provider_config")
	r.enters(all, "other", canary).ok()
	r.enters(token, "acme", canary).ok()
}

func TestKeysAreTrimmed(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	for name, around := range map[string][2]string{
		"blanks": {"  ", " "}, "line ends": {"\r\n", "\r\n\n"}, "a tab": {"", "\t"}, "a blank that does not break": {"\u00a0", ""}, "marks": {"\ufeff", "\u200b"},
	} {
		got := r.enters(r.session(forAcme), "acme", around[0]+"two words"+around[1]).ok().want("true", "trimmed")
		if key := r.keys[pair{"acme", got.at("connectionId")}]; key != "two words" {
			t.Errorf("%s: stored %q", name, key)
		}
	}
	token := r.session(forAcme)
	for name, key := range map[string]string{
		"nothing": "", "blanks": " \n ", "a line end inside": "a\nb", "a tab inside": "a\tb", "a null": "a\x00b", "too long": strings.Repeat("k", 8193),
	} {
		a := r.enters(token, "acme", key).is(400, "invalid_body")
		if strings.Contains(string(a.body), "a\\nb") || a.at("error", "errors", 0, "path") != `["apiKey"]` {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	r.enters(token, "acme", "a\tb").want("API key has a control character at byte 1", "error", "message")
	r.enters(token, "acme", canary).ok()
}

func TestAConnectSessionFailsTwentyTimes(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	token := r.session(forAcme)
	r.keyDown = store.ErrUnavailable // which is no fault of the end user's
	for range 30 {
		r.enters(token, "acme", canary).is(503, "key_store_unavailable")
	}
	r.keyDown = nil
	for range 20 {
		r.enters(token, "acme", "").is(400, "invalid_body")
	}
	r.enters(token, "acme", canary).is(401, "connect_session_blocked")
	r.enters(r.session(forAcme), "acme", canary).ok()
}

func TestAnOutageDoesNotUseASession(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	token := r.session(forAcme)
	r.keyDown = store.ErrUnavailable
	r.enters(token, "acme", canary).is(503, "key_store_unavailable")
	r.keyDown = nil
	r.down = catalog.ErrUnavailable
	r.enters(token, "acme", canary).is(503, "catalog_unavailable")
	r.down = nil
	r.enters(token, "acme", canary).ok()
	if len(r.conns) != 1 {
		t.Errorf("there are %d connections", len(r.conns))
	}
}

func TestOfSessionsUsedAtOnceOneGetsThere(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	token := r.session(forAcme)
	raced := false
	r.between = func(call string) {
		if call == "Enter" && !raced {
			raced = true
			r.enters(token, "acme", "the other's").is(401, "connect_session_used")
		}
	}
	r.enters(token, "acme", canary).ok()
	if !raced || len(r.conns) != 1 {
		t.Errorf("there are %d connections", len(r.conns))
	}
}

func TestReconnectKeepsWhatTheConnectionHas(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	r.do("POST", "/connections", `{"provider_config_key":"acme","connection_id":"c","credentials":{"type":"API_KEY","apiKey":"former-key-77"},"metadata":{"m":1},"connection_config":{"tenant":"t-1"},"tags":{"team":"blue"},"end_user":{"id":"u-1","email":"old@x.example"}}`).is(201, "")
	body := `{"connection_id":"c","integration_id":"acme","end_user":{"id":"u-1","email":"new@x.example"},"tags":{"more":"1"},"integrations_config_defaults":{"acme":{"connection_config":{"tenant":"t-2","region":"eu"}}}}`
	token := r.do("POST", "/connect/sessions/reconnect", body).is(201, "").at("data", "token")
	r.do("GET", "/connect/session", "", by(token)).ok().want("true", "data", "isReconnecting").want(`["acme"]`, "data", "allowed_integrations")
	r.enters(token, "acme", canary).ok().want("c", "connectionId")
	conn := r.conns[pair{"acme", "c"}]
	want := map[string]string{"team": "blue", "more": "1", "end_user_id": "u-1", "end_user_email": "new@x.example"}
	if string(conn.Metadata) != `{"m":1}` || fmt.Sprint(conn.Config) != "map[region:eu tenant:t-1]" || fmt.Sprint(conn.Tags) != fmt.Sprint(want) {
		t.Errorf("left: %s %v %v", conn.Metadata, conn.Config, conn.Tags)
	}
	if r.keys[pair{"acme", "c"}] != canary || conn.KeyVersion != 2 {
		t.Errorf("the key's version is %d", conn.KeyVersion)
	}

	r.do("POST", "/connect/sessions/reconnect", `{"connection_id":"zzz","integration_id":"acme"}`).is(404, "not_found")
	r.do("POST", "/connect/sessions/reconnect", `{"connection_id":"c","integration_id":"zzz"}`).is(404, "unknown_provider_config")
	late := r.do("POST", "/connect/sessions/reconnect", `{"connection_id":"c","integration_id":"acme"}`).is(201, "").at("data", "token")
	r.do("DELETE", "/connections/c?provider_config_key=acme", "").ok()
	r.enters(late, "acme", canary).is(404, "not_found")
}

func TestAnEndedSessionIsUsed(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	token := r.session(forAcme)
	if a := r.do("DELETE", "/connect/session", "", by(token)).is(204, ""); len(a.body) > 0 {
		t.Errorf("answered %s", a.body)
	}
	r.enters(token, "acme", canary).is(401, "connect_session_used")
}

func TestSessionsThatCannotBeMade(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	for body, fault := range map[string]string{
		`{}`:                     `An end user or tags are required @ ["end_user"]`,
		`{"end_user":{"id":""}}`: `End user id is required @ ["end_user","id"]`,
		`{"tags":{},"allowed_integrations":["acme","zzz"]}`:                                        `Integration does not exist @ ["allowed_integrations",1]`,
		`{"tags":{},"allowed_integrations":[""]}`:                                                  `Allowed integrations is required @ ["allowed_integrations",0]`,
		`{"tags":{},"allowed_integrations":"acme"}`:                                                `Allowed integrations must be an array of strings @ ["allowed_integrations"]`,
		`{"tags":{},"integrations_config_defaults":{"zzz":{}}}`:                                    `Integration does not exist @ ["integrations_config_defaults","zzz"]`,
		`{"tags":{},"allowed_integrations":["fixed"],"integrations_config_defaults":{"acme":{}}}`:  `Integration is not allowed @ ["integrations_config_defaults","acme"]`,
		`{"tags":{},"integrations_config_defaults":{"acme":{"connection_config":{"a":1}}}}`:        `a must be a string @ ["integrations_config_defaults","acme","connection_config","a"]`,
		`{"tags":{},"integrations_config_defaults":{"acme":{"connection_config":{"a":"\u0000"}}}}`: `Connection config does not fit the integration's base URL @ ["integrations_config_defaults","acme","connection_config"]`,
		`{"tags":{},"integrations_config_defaults":{"acme":5}}`:                                    `acme must be an object @ ["integrations_config_defaults","acme"]`,
		`{"tags":{},"integrations_config_defaults":{"acme":{"more":1}}}`:                           `Unknown field more @ ["integrations_config_defaults","acme","more"]`,
		`{"tags":{},"webhook_url_override":"ftp://x"}`:                                             `webhook_url_override must be a valid URL @ ["webhook_url_override"]`,
		`{"tags":{"1":"x"}}`:                       `Tag name has an invalid format @ ["tags","1"]`,
		`{"tags":{},"organization":{"id":"a\nb"}}`: `Organization id has an invalid format @ ["organization","id"]`,
		`{"tags":{},"integrations_config_defaults":{"acme":{"connection_config":{"a":"` + strings.Repeat("x", 8000) + `"}}}}`: `The session is too large for a token @ []`,
	} {
		if a := r.do("POST", "/connect/sessions", body).is(400, "invalid_body"); !a.faults()[fault] {
			t.Errorf("%.90s: %s, want %s", body, a.body, fault)
		}
	}
}

func TestWhoMayMakeSessions(t *testing.T) {
	one := limited("one", ScopeConnectSessions)
	one.Integrations = []string{"acme"}
	alone := limited("alone", ScopeConnectSessions)
	alone.Connections = []string{"c"}
	r := newRig(t, limited("reader", ScopeIntegrationsRead), one, alone)
	for _, key := range []string{"acme", "other"} {
		r.integration(key)
		r.connection(key, "c")
		r.connection(key, "d")
	}
	again := func(integration, id string) string {
		return fmt.Sprintf(`{"connection_id":%q,"integration_id":%q}`, id, integration)
	}
	for _, c := range []struct {
		who, path, body string
		status          int
	}{
		{"reader", "", forAcme, 403},
		{"reader", "/reconnect", again("acme", "c"), 403},
		{"one", "", forAcme, 201},
		{"one", "", `{"tags":{},"allowed_integrations":["other"]}`, 403},
		{"one", "/reconnect", again("acme", "c"), 201},
		{"one", "/reconnect", again("other", "c"), 403},
		{"alone", "", forAcme, 403},
		{"alone", "/reconnect", again("acme", "c"), 201},
		{"alone", "/reconnect", again("acme", "d"), 403},
	} {
		r.do("POST", "/connect/sessions"+c.path, c.body, as(c.who)).is(c.status, map[int]string{403: "forbidden"}[c.status])
	}
	token := r.do("POST", "/connect/sessions", `{"tags":{}}`, as("one")).is(201, "").at("data", "token")
	r.enters(token, "other", canary).is(400, "integration_not_allowed") // all are the token's own
}

func TestSessionsAreAudited(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	r.audit = nil
	token := r.session(forAcme)
	r.do("GET", "/connect/session", "", by(token)).ok()
	id := r.enters(token, "acme", canary).ok().at("connectionId")
	r.enters(token, "acme", canary).is(401, "")
	r.enters("nonsense", "acme", canary).is(401, "")
	want := []string{
		"ops session.create acme/" + id + " 201 ", "connect session session.read /" + id + " 200 ", "connect session session.connect acme/" + id + " 200 ",
		"connect session session.connect acme/" + id + " 401 connect_session_used", " session.connect acme/ 401 unknown_connect_session_token",
	}
	for n, e := range r.audit {
		if got := fmt.Sprintf("%s %s %s/%s %d %s", e.Token, e.Action, e.Integration, e.Connection, e.Status, e.Code); n >= len(want) || got != want[n] {
			t.Errorf("audited %q", got)
		}
	}
	if len(r.audit) != len(want) {
		t.Errorf("%d entries", len(r.audit))
	}
}

// public asks the site of the Connect page.
func (r *rig) public(method, target, body, token string) *answer {
	r.t.Helper()
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	rec := httptest.NewRecorder()
	r.api.ServeConnect(rec, req)
	a := &answer{t: r.t, status: rec.Code, header: rec.Header(), body: rec.Body.Bytes()}
	_ = json.Unmarshal(a.body, &a.json)
	r.look(method+" "+target, a)
	return a
}

func TestThePublicSiteHasOnlyWhatASessionPermits(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	r.integration("other")
	r.do("POST", "/integrations", `{"provider":"private-api-bearer","unique_key":"third","integration_config":{"baseUrl":"https://third.example"}}`).ok()
	r.connection("acme", "c")
	token := r.session(forAcme)
	for _, c := range everyCall {
		if c[0] == "GET" && (strings.HasPrefix(c[1], "/integrations") || c[1] == "/providers/private-api-generic") {
			continue
		}
		path := "/integrations"
		if !strings.HasPrefix(c[1], path) || strings.Contains(c[1], "/confirm") || strings.Contains(c[1], "able") {
			r.public(c[0], c[1], c[2], full).is(404, "not_found")
			continue
		}
		r.public(c[0], c[1], c[2], full).is(405, "method_not_allowed")
	}
	r.public("GET", "/integrations", "", full).is(401, "unknown_connect_session_token")
	list := r.public("GET", "/integrations", "", token).ok().want("acme", "data", 0, "unique_key").want("", "data", 1)
	one := r.public("GET", "/integrations/acme", "", token).ok().want("Acme key", "data", "credentials_label", "apiKey")
	for _, a := range []*answer{list, one} {
		if strings.Contains(string(a.body), "api.acme.example") || strings.Contains(string(a.body), "Authorization") {
			t.Errorf("an end user is told where keys go: %s", a.body)
		}
	}
	r.public("GET", "/integrations/other", "", token).is(404, "not_found")
	r.public("GET", "/integrations/zzz", "", token).is(404, "not_found")
	r.public("GET", "/providers/private-api-generic", "", token).ok().want("API_KEY", "data", "auth_mode")
	r.public("GET", "/providers/private-api-bearer", "", token).is(404, "not_found")
	r.public("GET", "/connect/session", "", token).ok()
	r.public("POST", "/api-auth/api-key/acme", `{"apiKey":"`+canary+`"}`, token).ok()
	r.public("GET", "/integrations", "", token).is(401, "connect_session_used")
}

func TestALinkNeedsAPage(t *testing.T) {
	r := newRig(t)
	r.api.cfg.ConnectURL = ""
	if a := r.do("POST", "/connect/sessions", `{"tags":{}}`).is(201, ""); a.at("data", "connect_link") != "" || !strings.HasPrefix(a.at("data", "token"), session.Prefix) {
		t.Errorf("answered %s", a.body)
	}
}

// leaver is a store of keys whose client leaves while a key is entered.
type leaver struct {
	Keys

	leave context.CancelFunc
}

func (l leaver) Enter(ctx context.Context, c *catalog.Connection, key secret.Value) error {
	l.leave()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return l.Keys.Enter(ctx, c, key)
}

func TestAKeyIsEnteredThoughItsEndUserLeaves(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	token := r.session(forAcme)
	ctx, leave := context.WithCancel(t.Context())
	r.api.cfg.Keys = leaver{r.fake, leave}
	req := httptest.NewRequestWithContext(ctx, "POST", "/api-auth/api-key/acme", strings.NewReader(`{"apiKey":"`+canary+`"}`))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	r.api.ServeHTTP(httptest.NewRecorder(), req)
	if len(r.conns) != 1 {
		t.Errorf("there are %d connections", len(r.conns))
	}
}
