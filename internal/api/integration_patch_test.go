package api

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestAPatchIsMergedIntoWhatThereIs(t *testing.T) {
	r := newRig(t)
	r.do("POST", "/integrations", integrationBody(map[string]string{
		"display_name": `"Acme"`, "max_age": `"1d"`, "refused_after": `1000`, ".keyLabel": `"Key of Acme"`, ".valueTemplate": `"K ${apiKey}"`,
		"connect": `{"help_text":"t","help_url":"https://h.example"}`, "verification": `{"path":"/me"}`,
	})).ok()
	for _, step := range []struct {
		body string
		want map[string]string
	}{
		{`{}`, map[string]string{"display_name": "Acme", "max_age": "1d"}},
		{`{"integration_config":{"keyName":"X-Other"}}`, map[string]string{"integration_config": `{"baseUrl":"https://a.example","keyLabel":"Key of Acme","keyName":"X-Other","keyPlacement":"header","valueTemplate":"K ${apiKey}"}`}},
		{`{"integration_config":{"keyLabel":"","valueTemplate":"","keyPlacement":""}}`, map[string]string{"integration_config": `{"baseUrl":"https://a.example","keyLabel":"API Key","keyName":"X-Other","keyPlacement":"header","valueTemplate":"${apiKey}"}`}},
		{`{"display_name":"","max_age":""}`, map[string]string{"display_name": "acme", "max_age": ""}},
		{`{"refused_statuses":[400,499]}`, map[string]string{"refused_statuses": "[400,499]", "refused_after": "1000"}},
		{`{"refused_statuses":[],"refused_after":1}`, map[string]string{"refused_statuses": "[]", "refused_after": "1"}},
		{`{"refused_statuses":null,"refused_after":null}`, map[string]string{"refused_statuses": "", "refused_after": ""}},
		{`{"connect":{"help_text":""}}`, map[string]string{"connect": `{"help_url":"https://h.example"}`}},
		{`{"connect":null,"verification":null}`, map[string]string{"connect": "", "verification": ""}},
		{`{"unique_key":"other"}`, map[string]string{"unique_key": "other", "display_name": "other"}},
	} {
		key := "acme"
		if len(r.ints) == 0 || r.ints["acme"].UniqueKey == "" {
			key = "other"
		}
		a := r.do("PATCH", "/integrations/"+key, step.body).ok()
		for field, want := range step.want {
			a.want(want, "data", field)
		}
		if again := r.do("GET", "/integrations/"+a.at("data", "unique_key"), "").ok(); string(again.body) != string(a.body) {
			t.Errorf("%s: answered %s, read %s", step.body, a.body, again.body)
		}
	}
}

func TestAPatchCannotLeaveSomethingInvalid(t *testing.T) {
	for body, want := range map[string]string{
		`{"integration_config":{"baseUrl":""}}`:                           `Base URL is required @ ["integration_config","baseUrl"]`,
		`{"integration_config":{"keyName":""}}`:                           `Key name is required @ ["integration_config","keyName"]`,
		`{"integration_config":{"keyName":"a b"}}`:                        `Key name has an invalid format @ ["integration_config","keyName"]`,
		`{"unique_key":""}`:                                               `Unique key is required @ ["unique_key"]`,
		`{"unique_key":"."}`:                                              `Unique key has an invalid format @ ["unique_key"]`,
		`{"provider":"private-api-bearer"}`:                               `Unknown field provider @ ["provider"]`,
		`{"display_name":null}`:                                           `Display name must be a string @ ["display_name"]`,
		`{"display_name":"a\u0000b"}`:                                     `Display name has an invalid format @ ["display_name"]`,
		`{"disabled":1,"integration_config":{"keyName":"","x":1}}`:        `Unknown field x @ ["integration_config","x"]`,
		`{"integration_config":{"keyPlacement":"header","keyName":"Te"}}`: `Key name has an invalid format @ ["integration_config","keyName"]`,
	} {
		r := newRig(t)
		r.integration("acme")
		before := r.ints["acme"]
		a := r.do("PATCH", "/integrations/acme", body).is(http.StatusBadRequest, "invalid_body")
		if !a.faults()[want] {
			t.Errorf("%s: got %v, want %s", body, a.faults(), want)
		}
		if after := r.ints["acme"]; !reflect.DeepEqual(after, before) {
			t.Errorf("%s: it was changed", body)
		}
	}
}

func TestAQueryNameMustStayGoodForAHeader(t *testing.T) {
	r := newRig(t)
	r.do("POST", "/integrations", integrationBody(map[string]string{".keyName": `"a key"`, ".keyPlacement": `"query"`})).ok()
	a := r.do("PATCH", "/integrations/acme", `{"integration_config":{"keyPlacement":"header"}}`).is(http.StatusBadRequest, "invalid_body")
	if !a.faults()[`Key name has an invalid format @ ["integration_config","keyName"]`] {
		t.Errorf("got %v", a.faults())
	}
}

func TestRenames(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	r.integration("taken")
	r.do("PATCH", "/integrations/acme", `{"unique_key":"acme"}`).ok()
	a := r.do("PATCH", "/integrations/acme", `{"unique_key":"taken"}`).is(http.StatusBadRequest, "invalid_body")
	if !a.faults()[`Unique key already exists @ ["unique_key"]`] {
		t.Errorf("got %v", a.faults())
	}
	r.connection("acme", "one")
	r.do("PATCH", "/integrations/acme", `{"unique_key":"new"}`).is(http.StatusBadRequest, "invalid_body").want(cannotRename, "error", "message")
	r.do("DELETE", "/connections/one?provider_config_key=acme", "").ok()
	r.between = func(call string) { // somebody makes one between our look and our write
		if call == "UpdateIntegration" {
			r.between = func(string) {}
			r.connection("acme", "two")
		}
	}
	r.do("PATCH", "/integrations/acme", `{"unique_key":"new"}`).is(http.StatusBadRequest, "invalid_body").want(cannotRename, "error", "message")
	r.do("DELETE", "/connections/two?provider_config_key=acme", "").ok()
	r.do("PATCH", "/integrations/acme", `{"unique_key":"new"}`).ok().want("new", "data", "unique_key").want("new", "data", "display_name")
	r.do("GET", "/integrations/acme", "").is(http.StatusNotFound, "not_found")
}

func TestOfTwoWritersOneLearnsOfTheOther(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	r.between = func(call string) {
		if call == "UpdateIntegration" {
			r.between = func(string) {}
			r.do("PATCH", "/integrations/acme", `{"integration_config":{"keyLabel":"theirs"}}`).ok()
		}
	}
	r.do("PATCH", "/integrations/acme", `{"display_name":"ours"}`).is(http.StatusConflict, "conflict")
	r.do("GET", "/integrations/acme", "").ok().want("theirs", "data", "integration_config", "keyLabel").want("acme", "data", "display_name")
}

func TestIfMatch(t *testing.T) {
	r := newRig(t)
	old := r.integration("acme").header.Get("ETag")
	now := r.do("PATCH", "/integrations/acme", `{}`, with("If-Match", old)).ok().header.Get("ETag")
	for _, tag := range []string{old, "W/" + now, `"x"`, now[1 : len(now)-1], "nonsense"} {
		for _, c := range [][3]string{
			{"PATCH", "/integrations/acme", `{"display_name":"b"}`},
			{"DELETE", "/integrations/acme", ""},
			{"POST", "/integrations/acme/disable", ""},
			{"POST", "/integrations/acme/confirm_origin", ""},
		} {
			r.do(c[0], c[1], c[2], with("If-Match", tag)).is(http.StatusPreconditionFailed, "precondition_failed")
		}
	}
	for _, tag := range []string{"*", `"x", NOW`, "NOW"} {
		a := r.do("PATCH", "/integrations/acme", `{}`, with("If-Match", strings.ReplaceAll(tag, "NOW", now))).ok()
		now = a.header.Get("ETag")
	}
}

func TestATagIsNotGoodForARowMadeAnew(t *testing.T) {
	r := newRig(t)
	old := r.integration("acme").header.Get("ETag")
	r.do("DELETE", "/integrations/acme", "").ok()
	r.clock = r.clock.Add(time.Second)
	r.integration("acme")
	r.do("DELETE", "/integrations/acme", "", with("If-Match", old)).is(http.StatusPreconditionFailed, "precondition_failed")
}

func TestWhereKeysGoIsNotForTokensThatMayNotWriteConnections(t *testing.T) {
	r := newRig(t, limited("half", ScopeIntegrationsWrite, ScopeIntegrationsRead),
		Token{Name: "some", Value: limited("some").Value, Connections: []string{"one"}})
	r.integration("acme")
	ways := []string{
		`{"integration_config":{"baseUrl":"https://api.acme.example/v2"}}`, `{"integration_config":{"baseUrl":"https://evil.example/v1"}}`,
		`{"integration_config":{"keyPlacement":"query"}}`, `{"integration_config":{"keyName":"X-Other"}}`,
		`{"integration_config":{"valueTemplate":"x${apiKey}"}}`, `{"verification":{"path":"/mine"}}`,
	}
	for _, body := range ways {
		r.do("PATCH", "/integrations/acme", body, as("half")).ok() // no connection, no key to lose
		delete(r.ints, "acme")
		r.integration("acme")
	}
	r.connection("acme", "one")
	before := r.ints["acme"]
	for _, body := range ways {
		for _, token := range []string{"half", "some"} {
			a := r.do("PATCH", "/integrations/acme", body, as(token)).is(http.StatusForbidden, "forbidden")
			if why := map[string]string{"half": ScopeConnectionsWrite, "some": "limited to some connections"}[token]; !strings.Contains(a.at("error", "message"), why) {
				t.Errorf("%s is not told why: %s", token, a.body)
			}
		}
	}
	if !reflect.DeepEqual(r.ints["acme"], before) {
		t.Error("a refused change was made")
	}
	r.do("PATCH", "/integrations/acme", `{"display_name":"x","integration_config":{"keyLabel":"y","baseUrl":"https://api.acme.example/v1"}}`, as("half")).ok()
	for _, body := range ways {
		r.do("PATCH", "/integrations/acme", body).ok()
	}
}

func TestOlderConnectionsFollowToAnotherOriginOnlyWhenConfirmed(t *testing.T) {
	r := newRig(t, limited("half", ScopeIntegrationsWrite))
	r.integration("acme")
	r.connection("acme", "one")
	r.connection("acme", "two")
	status := func(id string) string {
		return r.do("GET", "/connections/"+id+"?provider_config_key=acme", "").ok().at("status")
	}
	r.do("PATCH", "/integrations/acme", `{"integration_config":{"baseUrl":"https://API.acme.example:443/v2"}}`).ok()
	if got := status("one"); got != StateOK {
		t.Errorf("another path of the same origin: %s", got)
	}
	r.do("PATCH", "/integrations/acme", `{"integration_config":{"baseUrl":"https://new.example"}}`).ok()
	if status("one") != StateOriginChanged || status("two") != StateOriginChanged {
		t.Error("the connections follow by themselves")
	}
	r.connection("acme", "three")
	if got := status("three"); got != StateOK {
		t.Errorf("a key entered for the new origin: %s", got)
	}
	r.do("POST", "/integrations/acme/confirm_origin", "", as("half")).is(http.StatusForbidden, "forbidden")
	r.do("POST", "/integrations/zzz/confirm_origin", "").is(http.StatusNotFound, "not_found")
	r.do("POST", "/integrations/acme/confirm_origin", "").ok().want("2", "confirmed")
	if status("one") != StateOK || status("two") != StateOK {
		t.Error("a confirmed connection does not follow")
	}
	r.do("POST", "/integrations/acme/confirm_origin", "").ok().want("0", "confirmed")
}

func TestAConfirmationBindsNothingThatWasEnteredMeanwhile(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	r.connection("acme", "one")
	r.do("PATCH", "/integrations/acme", `{"integration_config":{"baseUrl":"https://b.example"}}`).ok()
	r.between = func(call string) {
		if call == "UpdateConnection" {
			r.between = func(string) {}
			r.do("PATCH", "/integrations/acme", `{"integration_config":{"baseUrl":"https://c.example"}}`).ok()
			r.connection("acme", "one") // for c
		}
	}
	r.do("POST", "/integrations/acme/confirm_origin", "").ok()
	if got := r.conns[pair{"acme", "one"}].Origin; got != "https://c.example:443" {
		t.Errorf("bound to %s", got)
	}
}
