package api

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

func quoted(s string) string { b, _ := json.Marshal(s); return string(b) }

// enterBody enters a key for c of acme, with more fields of JSON.
func enterBody(more string) string {
	return `{"provider_config_key":"acme","connection_id":"c","credentials":{"type":"API_KEY","apiKey":"` + canary + `"}` + more + `}`
}

func TestWhatIsWrongWithAConnection(t *testing.T) {
	tags := func(n int) string {
		m := map[string]string{}
		for i := range n {
			m["t"+strings.Repeat("x", i)] = "v"
		}
		b, _ := json.Marshal(m)
		return string(b)
	}
	key := func(k string) string {
		return `{"provider_config_key":"acme","credentials":{"type":"API_KEY","apiKey":` + k + `}}`
	}
	for name, tc := range map[string]struct {
		body string
		want []string
	}{
		"nothing":             {`{}`, []string{`credentials is required @ ["credentials"]`, `provider_config_key is required @ ["provider_config_key"]`}},
		"no key":              {`{"provider_config_key":"acme","credentials":{"type":"API_KEY"}}`, []string{`API key is required @ ["credentials","apiKey"]`}},
		"another type":        {`{"provider_config_key":"acme","credentials":{"type":"OAUTH2","apiKey":"` + canary + `","access_token":"x"}}`, []string{`Credentials type must be one of: API_KEY @ ["credentials","type"]`, `Unknown field access_token @ ["credentials","access_token"]`}},
		"no type":             {`{"provider_config_key":"acme","credentials":{"apiKey":"` + canary + `"}}`, []string{`Credentials type is required @ ["credentials","type"]`}},
		"a key of a number":   {key(`5`), []string{`API key must be a string @ ["credentials","apiKey"]`}},
		"an empty key":        {key(`""`), []string{`API key is required @ ["credentials","apiKey"]`}},
		"a key of a line end": {key(`"\n"`), []string{`API key is empty @ ["credentials","apiKey"]`}},
		"a key of two lines":  {key(`"a\nb"`), []string{`API key has a control character at byte 1 @ ["credentials","apiKey"]`}},
		"a key too long":      {key(quoted(strings.Repeat("k", 8193))), []string{`API key must have at most 8192 characters @ ["credentials","apiKey"]`}},
		"a key of too many bytes": {key(quoted(strings.Repeat("é", 5000))), []string{
			`API key is 10000 bytes long, at most 8192 are allowed @ ["credentials","apiKey"]`,
		}},
		"an id that no header carries": {`{"provider_config_key":"acme","connection_id":" c","credentials":{"type":"API_KEY","apiKey":"` + canary + `"}}`, []string{
			`connection_id has an invalid format @ ["connection_id"]`,
		}},
		"an id that is a word of the API": {`{"provider_config_key":"acme","connection_id":"metadata","credentials":{"type":"API_KEY","apiKey":"` + canary + `"}}`, []string{
			`connection_id has an invalid format @ ["connection_id"]`,
		}},
		"unknown fields":          {enterBody(`,"oauth":1,"key":"x"`), []string{`Unknown field oauth @ ["oauth"]`, `Unknown field key @ ["key"]`}},
		"metadata that is a list": {enterBody(`,"metadata":[]`), []string{`metadata must be an object @ ["metadata"]`}},
		"a config that is none": {enterBody(`,"connection_config":{"a b":"x","n":5,"e":"","c":"\u0000"}`), []string{
			`n must be a string @ ["connection_config","n"]`, `Connection config has an invalid entry @ ["connection_config","a b"]`,
			`Connection config has an invalid entry @ ["connection_config","e"]`, `Connection config has an invalid entry @ ["connection_config","c"]`,
		}},
		"eleven tags": {enterBody(`,"tags":` + tags(11)), []string{`tags must have at most 10 entries @ ["tags"]`}},
		"tags that are none": {enterBody(`,"tags":{"1a":"v","a b":"v","` + strings.Repeat("t", 65) + `":"v","e":"","l":` + quoted(strings.Repeat("é", 256)) + `,"c":"\n","n":1}`), []string{
			`Tag name has an invalid format @ ["tags","1a"]`, `Tag name has an invalid format @ ["tags","a b"]`, `Tag name has an invalid format @ ["tags","` + strings.Repeat("t", 65) + `"]`,
			`Tag value is required @ ["tags","e"]`, `Tag value must have at most 255 characters @ ["tags","l"]`, `Tag value has an invalid format @ ["tags","c"]`, `n must be a string @ ["tags","n"]`,
		}},
		"a tag in two casings": {enterBody(`,"tags":{"a":"1","A":"2"}`), []string{`Tag a is given in two casings @ ["tags"]`}},
		"an end user without id": {enterBody(`,"end_user":{"email":"x","display_name":"a\nb","tags":{"1":"x"},"organization":{"display_name":"x"}}`), []string{
			`End user id is required @ ["end_user","id"]`, `End user display name has an invalid format @ ["end_user","display_name"]`,
			`Tag name has an invalid format @ ["end_user","tags","1"]`, `Organization id is required @ ["end_user","organization","id"]`,
		}},
		"a webhook that is none": {enterBody(`,"webhook_url_override":"ftp://x"`), []string{`webhook_url_override must be a valid URL @ ["webhook_url_override"]`}},
		"one that none goes to":  {enterBody(`,"webhook_url_override":"https://x/#y"`), []string{`webhook_url_override must be a valid URL @ ["webhook_url_override"]`}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.integration("acme")
			a := r.do("POST", "/connections", tc.body).is(400, "invalid_body")
			want := map[string]bool{}
			for _, w := range tc.want {
				want[w] = true
			}
			if got := a.faults(); !maps.Equal(got, want) {
				t.Errorf("got  %v\nwant %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
			}
			if len(r.conns) > 0 {
				t.Error("it was entered all the same")
			}
		})
	}
}

func TestKeysThatAreGood(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	for sent, want := range map[string]string{"k": "k", "k\r\n": "k", " k ": " k ", "é😀": "é😀", "${apiKey}{env.HOME}%s": "${apiKey}{env.HOME}%s"} {
		// A key of few letters is part of every answer: only the store is looked at.
		body := `{"provider_config_key":"acme","connection_id":"c","credentials":{"type":"API_KEY","apiKey":` + quoted(sent) + `}}`
		rec := r.quiet("POST", "/connections", body, full)
		if rec.Code != 201 || r.keys[pair{"acme", "c"}] != want {
			t.Errorf("%q: %d, stored %q", sent, rec.Code, r.keys[pair{"acme", "c"}])
		}
	}
}

func TestAConfigMustFitTheBaseURL(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	var asked []string
	r.api.cfg.CheckConfig = func(base string, config map[string]string) error {
		asked = append(asked, base)
		if config["host"] == "evil" {
			return errors.New("host leads elsewhere")
		}
		return nil
	}
	want := `Connection config does not fit the integration's base URL @ ["connection_config"]`
	if a := r.do("POST", "/connections", enterBody(`,"connection_config":{"host":"evil"}`)).is(400, "invalid_body"); !a.faults()[want] {
		t.Errorf("got %v", a.faults())
	}
	r.do("POST", "/connections", enterBody(`,"connection_config":{"host":"good"}`)).is(201, "")
	if a := r.do("PATCH", "/connections/c?provider_config_key=acme", `{"connection_config":{"host":"evil"}}`).is(400, "invalid_body"); !a.faults()[want] {
		t.Errorf("got %v", a.faults())
	}
	if got := r.conns[pair{"acme", "c"}].Config["host"]; got != "good" || len(asked) != 3 || asked[0] != "https://api.acme.example/v1" {
		t.Errorf("host is %s, asked about %v", got, asked)
	}
}

func TestABaseURLMayBeMoreThanPlain(t *testing.T) {
	r := newRig(t)
	r.api.cfg.CheckBaseURL = func(string) error { return nil }
	for _, base := range []string{"https://${connectionConfig.host}/v1", "${connectionConfig.baseUrl}/api", "https://a.example || https://b.example"} {
		r.do("POST", "/integrations", integrationBody(map[string]string{"unique_key": quoted("k" + string(rune('a'+len(r.ints)))), ".baseUrl": quoted(base)})).ok()
	}
}

func TestMetadata(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	for _, id := range []string{"a", "b"} {
		r.connection("acme", id)
	}
	post := func(method, ids, meta string) *answer {
		return r.do(method, "/connections/metadata", `{"provider_config_key":"acme","connection_id":`+ids+`,"metadata":`+meta+`}`)
	}
	is := func(id, want string) {
		t.Helper()
		if got := string(r.conns[pair{"acme", id}].Metadata); got != want {
			t.Errorf("%s has %s, want %s", id, got, want)
		}
	}
	post("POST", `"a"`, `{"x":1,"y":{"z":12345678901234567890}}`).is(201, "").want("a", "connection_id").want("acme", "provider_config_key")
	is("a", `{"x":1,"y":{"z":12345678901234567890}}`)
	post("PATCH", `["a","b"]`, `{"y":null,"\u00e9\"":[1]}`).ok().want(`["a","b"]`, "connection_id")
	is("a", `{"x":1,"y":null,"é\"":[1]}`)
	is("b", `{"y":null,"é\"":[1]}`)
	post("POST", `["b"]`, `{}`).is(201, "").want(`["b"]`, "connection_id")
	is("b", `{}`)
	post("POST", `["a","zzz"]`, `{"lost":1}`).is(404, "not_found")
	is("a", `{"x":1,"y":null,"é\"":[1]}`)
	r.between = func(call string) { // a merge loses nothing of what others write
		if call == "UpdateConnection" {
			r.between = func(string) {}
			post("PATCH", `"a"`, `{"theirs":1}`).ok()
		}
	}
	post("PATCH", `"a"`, `{"ours":1}`).ok()
	is("a", `{"x":1,"y":null,"é\"":[1],"theirs":1,"ours":1}`)
	for _, ids := range []string{`[]`, `5`, `null`, `[5]`, `""`, `"a/b"`, `["a",".."]`} {
		post("POST", ids, `{}`).is(400, "invalid_body")
	}
	for _, meta := range []string{`[]`, `null`, `"x"`, `1`} {
		post("PATCH", `"a"`, meta).is(400, "invalid_body")
	}
	post("POST", quotedList(101), `{}`).is(400, "invalid_body")
}

func quotedList(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = "c"
	}
	b, _ := json.Marshal(list)
	return string(b)
}

func TestAMergeThatAlwaysLosesSaysSo(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	r.connection("acme", "a")
	r.between = func(call string) {
		if call == "UpdateConnection" {
			r.mu.Lock()
			defer r.mu.Unlock()
			c := r.conns[pair{"acme", "a"}]
			c.Revision++
			r.conns[pair{"acme", "a"}] = c
		}
	}
	r.do("PATCH", "/connections/metadata", `{"provider_config_key":"acme","connection_id":"a","metadata":{"x":1}}`).is(409, "conflict")
	if !errors.Is(r.api.change(t.Context(), "acme", "zzz", func(*catalog.Connection) error { return nil }), catalog.ErrNotFound) {
		t.Error("a connection that is not there is not told")
	}
}
