package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

func TestAConnectionIsEnteredAndRead(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	made := r.do("POST", "/connections", `{"provider_config_key":"acme","connection_id":"cust-1","credentials":{"type":"API_KEY","apiKey":"`+canary+`"},
		"metadata":{"plan":"<pro>","big":12345678901234567890},"connection_config":{"tenant":"t1"},"tags":{"Team":"A"},"webhook_url_override":"https://w.example/x",
		"end_user":{"id":"u1","email":"u@e.example","display_name":"U","organization":{"id":"o1","display_name":"O"},"tags":{"plan":"x"}}}`).is(http.StatusCreated, "")
	r.clock = r.clock.Add(90 * time.Second)
	read := r.do("GET", "/connections/cust-1?provider_config_key=acme", "").ok()
	for path, want := range map[string]string{
		"connection_id": "cust-1", "provider_config_key": "acme", "provider": generic, "created_at": "2026-05-01T12:00:00.000Z",
		"connection_config": `{"tenant":"t1"}`, "webhook_url_override": "https://w.example/x", "errors": "[]",
		"end_user":        `{"display_name":"U","email":"u@e.example","id":"u1","organization":{"display_name":"O","id":"o1"},"tags":null}`,
		"tags":            `{"end_user_display_name":"U","end_user_email":"u@e.example","end_user_id":"u1","organization_display_name":"O","organization_id":"o1","plan":"x","team":"A"}`,
		"credentials":     fmt.Sprintf(`{"fingerprint":"fp-%d","type":"API_KEY"}`, len(canary)),
		"status":          "ok",
		"key_version":     "1",
		"last_used_at":    "",
		"key_age_seconds": "90",
	} {
		read.want(want, path)
	}
	if !strings.Contains(string(read.body), `"metadata":{"plan":"<pro>","big":12345678901234567890}`) {
		t.Errorf("metadata is not what was sent: %s", read.body)
	}
	if made.at("id") != read.at("id") || made.at("id") == "0" || made.header.Get("ETag") != read.header.Get("ETag") {
		t.Errorf("made %s, read %s", made.body, read.body)
	}
	if r.keys[pair{"acme", "cust-1"}] != canary {
		t.Error("the key is not in the store")
	}
}

func TestAnIDIsMadeUp(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	seen := map[string]bool{}
	for range 3 {
		id := r.do("POST", "/connections", `{"provider_config_key":"acme","credentials":{"type":"API_KEY","apiKey":"`+canary+`"}}`).is(http.StatusCreated, "").at("connection_id")
		if len(id) != 36 || id[14] != '4' || seen[id] {
			t.Errorf("%q is no new UUID v4", id)
		}
		seen[id] = true
	}
}

func TestAnUpsertKeepsWhatIsLeftOut(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	post := func(more string) *answer {
		return r.do("POST", "/connections", `{"provider_config_key":"acme","connection_id":"c","credentials":{"type":"API_KEY","apiKey":"`+canary+`2\n"}`+more+`}`).is(http.StatusCreated, "")
	}
	post(`,"metadata":{"a":1},"connection_config":{"t":"x"},"tags":{"k":"v"},"end_user":{"id":"u"},"webhook_url_override":"https://w.example"`)
	post(``).want(`{"a":1}`, "metadata").want(`{"t":"x"}`, "connection_config").want(`{"end_user_id":"u","k":"v"}`, "tags").
		want("https://w.example", "webhook_url_override").want("u", "end_user", "id").want("2", "key_version")
	post(`,"metadata":{},"connection_config":{},"tags":{},"webhook_url_override":""`).want(`{}`, "metadata").want(`{}`, "connection_config").
		want(`{"end_user_id":"u"}`, "tags").want("", "webhook_url_override")
	post(`,"end_user":{"id":"w"}`).want(`{"end_user_id":"w"}`, "tags")
	if got := r.keys[pair{"acme", "c"}]; got != canary+"2" {
		t.Errorf("the key in the store is %q", got)
	}
}

func TestAKeyAloneIsRotated(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	tag := r.connection("acme", "c").header.Get("ETag")
	put := func(body string, opts ...func(*ask)) *answer {
		return r.do("PUT", "/connections/c/credentials?provider_config_key=acme", body, opts...)
	}
	put(`{"type":"API_KEY","apiKey":"`+canary+`-new"}`, with("If-Match", tag)).ok().want("2", "key_version")
	if got := r.keys[pair{"acme", "c"}]; got != canary+"-new" {
		t.Errorf("the key is %q", got)
	}
	put(`{"apiKey":"`+canary+`-lost"}`, with("If-Match", tag)).is(http.StatusPreconditionFailed, "precondition_failed")
	r.between = func(call string) {
		if call == "Enter" {
			r.between = func(string) {}
			put(`{"apiKey":"` + canary + `-theirs"}`).ok()
		}
	}
	put(`{"apiKey":"`+canary+`-lost"}`).is(http.StatusConflict, "conflict")
	if got := r.keys[pair{"acme", "c"}]; got != canary+"-theirs" {
		t.Errorf("the key is %q", got)
	}
	r.do("PUT", "/connections/zzz/credentials?provider_config_key=acme", `{"apiKey":"`+canary+`"}`).is(http.StatusNotFound, "not_found")
	r.do("PUT", "/connections/c/credentials?provider_config_key=zzz", `{"apiKey":"`+canary+`"}`).is(http.StatusNotFound, "unknown_provider_config")
}

func TestAnUpsertForAnotherStateIsRefused(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	body := `{"provider_config_key":"acme","connection_id":"c","credentials":{"type":"API_KEY","apiKey":"` + canary + `"}}`
	r.do("POST", "/connections", body, with("If-Match", "*")).is(http.StatusPreconditionFailed, "precondition_failed")
	tag := r.do("POST", "/connections", body).is(http.StatusCreated, "").header.Get("ETag")
	r.do("POST", "/connections", body, with("If-Match", tag)).is(http.StatusCreated, "")
	r.do("POST", "/connections", body, with("If-Match", tag)).is(http.StatusPreconditionFailed, "precondition_failed")
}

func TestAPatchOfAConnection(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	tag := r.connection("acme", "c").header.Get("ETag")
	patch := func(body string, opts ...func(*ask)) *answer {
		return r.do("PATCH", "/connections/c?provider_config_key=acme", body, opts...)
	}
	patch(`{"tags":{"A":"1"},"end_user":{"id":"u","email":"e"},"connection_config":{"x":"1","y":"2"},"webhook_url_override":"https://w.example"}`, with("If-Match", tag)).ok().
		want("true", "success").want(`{"a":"1","end_user_email":"e","end_user_id":"u"}`, "tags").want("1", "key_version")
	patch(`{}`, with("If-Match", tag)).is(http.StatusPreconditionFailed, "precondition_failed")
	patch(`{"connection_config":{"x":"","z":"3"}}`).ok().want(`{"y":"2","z":"3"}`, "connection_config").want("https://w.example", "webhook_url_override")
	patch(`{"end_user":{"id":"v"}}`).ok().want(`{"a":"1","end_user_id":"v"}`, "tags")
	patch(`{"tags":{}}`).ok().want(`{"end_user_id":"v"}`, "tags")
	patch(`{"tags":{"end_user_id":"mine"}}`).ok().want(`{"end_user_id":"mine"}`, "tags")
	patch(`{"webhook_url_override":"","disabled":true}`).ok().want("", "webhook_url_override").want("disabled", "status")
	r.do("POST", "/connections/c/enable?provider_config_key=acme", "").ok().want("true", "success")
	r.do("GET", "/connections/c?provider_config_key=acme", "").ok().want("ok", "status")
	r.do("POST", "/connections/c/disable?provider_config_key=acme", "").ok()
	r.do("GET", "/connections/c?provider_config_key=acme", "").ok().want("disabled", "status")
	r.between = func(call string) {
		if call == "UpdateConnection" {
			r.between = func(string) {}
			patch(`{"tags":{"theirs":"1"}}`).ok()
		}
	}
	patch(`{"tags":{"ours":"1"}}`).is(http.StatusConflict, "conflict")
	r.do("GET", "/connections/c?provider_config_key=acme", "").ok().want(`{"end_user_id":"v","theirs":"1"}`, "tags")
}

// Who writes connections enters keys, and does not send away those that others
// entered: where one leads is said with the key, or by who may also write
// integrations.
func TestAPatchLeadsNoKeyElsewhereForATokenThatOnlyWritesConnections(t *testing.T) {
	r := newRig(t, limited("half", ScopeConnectionsWrite))
	r.api.cfg.CheckBaseURL = func(string) error { return nil }
	moving := strings.Replace(acme, "https://api.acme.example/v1", "https://${connectionConfig.host}/${connectionConfig.tenant}", 1)
	r.do("POST", "/integrations", moving).ok()
	enter := `{"provider_config_key":"acme","connection_id":"one","credentials":{"type":"API_KEY","apiKey":"` + canary + `"},` +
		`"connection_config":{"host":"a.example","tenant":"t","user":"u"}}`
	r.do("POST", "/connections", enter, as("half")).is(http.StatusCreated, "")
	patch := func(config string, opts ...func(*ask)) *answer {
		return r.do("PATCH", "/connections/one?provider_config_key=acme", `{"connection_config":`+config+`}`, opts...)
	}
	before := r.conns[pair{"acme", "one"}].Revision
	for _, config := range []string{`{"host":"evil.example"}`, `{"tenant":"mine"}`, `{"tenant":""}`, `{"host":"evil.example","user":"v"}`} {
		if a := patch(config, as("half")).is(http.StatusForbidden, "forbidden"); !strings.Contains(a.at("error", "message"), ScopeIntegrationsWrite) {
			t.Errorf("the scope is not named: %s", a.body)
		}
	}
	if got := r.conns[pair{"acme", "one"}].Revision; got != before {
		t.Error("a refused change was made")
	}
	patch(`{"user":"v","host":"a.example"}`, as("half")).ok()
	patch(`{"host":"b.example"}`).ok()
	r.do("POST", "/connections", strings.Replace(enter, "a.example", "c.example", 1), as("half")).is(http.StatusCreated, "")
}

func TestADeletedConnectionLeavesNoKey(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	tag := r.connection("acme", "c").header.Get("ETag")
	r.connection("acme", "d")
	r.do("DELETE", "/connections/c?provider_config_key=acme", "", with("If-Match", `"x"`)).is(http.StatusPreconditionFailed, "precondition_failed")
	r.do("DELETE", "/connections/c?provider_config_key=acme", "", with("If-Match", tag)).ok().want("true", "success")
	r.do("DELETE", "/connections/c?provider_config_key=acme", "").is(http.StatusNotFound, "not_found")
	if _, ok := r.keys[pair{"acme", "c"}]; ok || len(r.keys) != 1 {
		t.Errorf("the keys left are of %v", r.keys)
	}
}

func TestAConnectionOutlivesAnIntegrationOfTheCaddyConfig(t *testing.T) {
	r := newRig(t)
	r.connection("fixed", "c")
	r.static = nil
	r.do("GET", "/connections/c?provider_config_key=fixed", "").is(http.StatusNotFound, "unknown_provider_config")
	r.do("GET", "/connections", "").ok().want("c", "connections", 0, "connection_id")
	r.do("DELETE", "/connections/c?provider_config_key=fixed", "").ok()
}

func TestIDsReachTheirOwnConnection(t *testing.T) {
	r := newRig(t)
	r.integration("my api: v1@x")
	ids := []string{"Cust-1", "cust-1", "a b", "a_b", "a..b", "ab", "é", "e\u0301", "a+b", "100%", "u@x:1", "a?b", "a#b", "a;b", "\"", "a&b=c"}
	for _, id := range ids {
		r.connection("my api: v1@x", id)
	}
	if len(r.conns) != len(ids) {
		t.Fatalf("%d connections of %d ids", len(r.conns), len(ids))
	}
	for _, id := range ids {
		target := "/connections/" + url.PathEscape(id) + "?provider_config_key=" + url.QueryEscape("my api: v1@x")
		r.do("GET", target, "").ok().want(id, "connection_id")
		r.do("DELETE", target, "").ok()
		if _, ok := r.conns[pair{"my api: v1@x", id}]; ok {
			t.Errorf("%q is still there", id)
		}
	}
}

func TestIDsThatAreNone(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	for _, id := range []string{"", ".", "..", "a/b", "../x", "%2e%2e", "%252e%252e", "a\x00b", "a\u0085", "a%2fb", strings.Repeat("é", 200)} {
		body := `{"provider_config_key":"acme","connection_id":` + quoted(id) + `,"credentials":{"type":"API_KEY","apiKey":"` + canary + `"}}`
		a := r.do("POST", "/connections", body).is(http.StatusBadRequest, "invalid_body")
		if !a.faults()[`connection_id has an invalid format @ ["connection_id"]`] {
			t.Errorf("%q: got %v", id, a.faults())
		}
		if id != "" {
			r.do("GET", "/connections/"+url.PathEscape(id)+"?provider_config_key=acme", "").is(http.StatusBadRequest, "invalid_uri_params")
		}
	}
	if len(r.conns) > 0 {
		t.Error("one was made")
	}
}

func TestConnectionsAreFiltered(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	for _, c := range []string{
		`"connection_id":"a","provider_config_key":"acme","tags":{"team":"x"},"end_user":{"id":"u1","organization":{"id":"o1"}}`,
		`"connection_id":"b","provider_config_key":"acme","tags":{"team":"y"},"end_user":{"id":"u2"}`,
		`"connection_id":"c","provider_config_key":"fixed","tags":{"team":"x"}`,
	} {
		r.do("POST", "/connections", `{`+c+`,"credentials":{"type":"API_KEY","apiKey":"`+canary+`"}}`).is(http.StatusCreated, "")
	}
	for query, want := range map[string]string{
		"": "a b c", "connectionId=b": "b", "search=u1": "a", "endUserId=u2": "b", "endUserOrganizationId=o1": "a",
		"integrationId=fixed": "c", "integrationId=fixed,acme": "a b c", "integrationId=zzz": "",
		"tags[team]=x": "a c", "tags%5BTeam%5D=x&integrationId=acme": "a", "limit=2": "a b", "limit=2&page=1": "c", "limit=2&page=2": "",
	} {
		a := r.do("GET", "/connections?"+query, "").ok()
		got := []string{}
		for i := range len(a.json["connections"].([]any)) {
			got = append(got, a.at("connections", i, "connection_id"))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %v, want %s", query, got, want)
		}
	}
	for _, query := range []string{
		"foo=1", "limit=0", "limit=10001", "limit=x", "page=-1", "search=a&search=b", "tags=x", "tags[]=x", "search=" + strings.Repeat("x", 256), "search=%zz", "a;b",
		"tags[a]=x&tags[b]=x&tags[c]=x&tags[d]=x&tags[e]=x&tags[f]=x&tags[g]=x&tags[h]=x&tags[i]=x&tags[j]=x&tags[k]=x", "integrationId=" + strings.Repeat("x,", 1<<15) + "x",
	} {
		r.do("GET", "/connections?"+query, "").is(http.StatusBadRequest, "invalid_query_params")
	}
}

func TestATokenForSomeConnectionsReadsThoseAlone(t *testing.T) {
	r := newRig(t, Token{Name: "some", Value: limited("some").Value, Connections: []string{"b", "d", "b"}})
	r.integration("acme")
	for n, id := range []string{"a", "b", "c", "d"} {
		r.clock = start.Add(time.Duration(n) * time.Second)
		r.connection("acme", id)
	}
	r.connection("fixed", "b")
	r.read = 0
	for query, want := range map[string]string{
		"": "b d b", "?limit=2": "b d", "?limit=2&page=1": "b", "?connectionId=d": "d", "?connectionId=a": "", "?integrationId=fixed": "b",
	} {
		a := r.do("GET", "/connections"+query, "", as("some")).ok()
		got := []string{}
		for i := range len(a.json["connections"].([]any)) {
			got = append(got, a.at("connections", i, "connection_id"))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %v, want %s", query, got, want)
		}
	}
	if want := 3 + 3 + 3 + 1 + 0 + 1; r.read != want {
		t.Errorf("%d rows were read, want %d", r.read, want)
	}
	r.do("GET", "/status", "", as("some")).ok().want("3", "totals", "ok")
}

func TestNumbersOfConnections(t *testing.T) {
	seen := make([]int64, 0, 3)
	for _, id := range []string{"a", "b", "c"} {
		n := numberOf(&catalog.Connection{Integration: "i", ID: id})
		if n < 0 || n >= 1<<53 || slices.Contains(seen, n) {
			t.Errorf("%s: %d", id, n)
		}
		seen = append(seen, n)
	}
}
