package api

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// enters is a body that enters a key with these further fields of the
// credentials.
func enters(more string) string {
	return `{"provider_config_key":"acme","connection_id":"c","credentials":{"type":"API_KEY","apiKey":"` + canary + `"` + more + `}}`
}

const credentialsPath = "/connections/c/credentials?provider_config_key=acme"

func TestAKeyIsEnteredWithItsEnd(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	const soon = `,"expires_at":"2026-05-02T13:00:00.987+02:00"` // tomorrow, an hour before noon
	r.do("POST", "/connections", enters(soon)).is(http.StatusCreated, "").want("2026-05-02T11:00:00.000Z", "expires_at").want("", "expiry")
	if at := r.conns[pair{"acme", "c"}].KeyExpiresAt; !at.Equal(start.Add(23 * time.Hour)) {
		t.Errorf("entered %v", at)
	}
	r.clock = r.clock.Add(20 * time.Hour)
	r.do("PATCH", "/connections/c?provider_config_key=acme", `{"tags":{"a":"b"}}`).ok().want("2026-05-02T11:00:00.000Z", "expires_at").want("expiring", "expiry")
	r.do("PUT", credentialsPath, `{"apiKey":"`+canary+`","expires_at":"2030-01-01T00:00:00Z"}`).ok().want("2030-01-01T00:00:00.000Z", "expires_at").want("", "expiry")
	for what, step := range map[string]func() *answer{
		"PUT":  func() *answer { return r.do("PUT", credentialsPath, `{"apiKey":"`+canary+`"}`).ok() },
		"POST": func() *answer { return r.do("POST", "/connections", enters("")).is(http.StatusCreated, "") },
	} {
		r.do("POST", "/connections", enters(soon)).is(http.StatusCreated, "")
		if a := step().want("", "expires_at"); !strings.Contains(string(a.body), `"expires_at":null`) {
			t.Errorf("%s of another key leaves the end of the one before: %s", what, a.body)
		}
	}
}

// A node that holds the document knows better: it may have another key by now.
func TestTheEndInADocumentThatIsHeldCounts(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	r.do("POST", "/connections", enters(`,"expires_at":"2030-01-01T00:00:00Z"`)).is(http.StatusCreated, "")
	r.status[pair{"acme", "c"}] = KeyStatus{State: StateOK, Version: 2}
	r.do("GET", "/connections/c?provider_config_key=acme", "").ok().want("", "expires_at")
	r.status[pair{"acme", "c"}] = KeyStatus{State: StateOK, Version: 1, ExpiresAt: start}
	r.do("GET", "/connections/c?provider_config_key=acme", "").ok().want(stamp(start), "expires_at").want("expired", "expiry")
}

func TestEndsThatAreNone(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	for value, want := range map[string]string{
		`"soon"`: "Expires at must be an RFC 3339 time such as 2027-01-31T00:00:00Z", `"2027-01-31"`: "Expires at must be an RFC 3339 time such as 2027-01-31T00:00:00Z",
		`""`: "Expires at must be an RFC 3339 time such as 2027-01-31T00:00:00Z", `"0001-01-01T00:00:00Z"`: "Expires at must be an RFC 3339 time such as 2027-01-31T00:00:00Z",
		`1801440000`: "Expires at must be a string", `null`: "Expires at must be a string",
		`"` + strings.Repeat("1", 65) + `"`: "Expires at must have at most 64 characters",
	} {
		a := r.do("POST", "/connections", strings.Replace(enters(`,"expires_at":`+value), canary, `a\tb`, 1)).is(http.StatusBadRequest, "invalid_body")
		if got := a.faults(); !got[want+` @ ["credentials","expires_at"]`] || len(got) != 2 {
			t.Errorf("%s: got %v", value, got)
		}
		a = r.do("PUT", credentialsPath, `{"apiKey":"x","expires_at":`+value+`}`).is(http.StatusBadRequest, "invalid_body")
		if got := a.faults(); !got[want+` @ ["expires_at"]`] || len(got) != 1 {
			t.Errorf("%s: got %v", value, got)
		}
	}
	if len(r.conns) > 0 {
		t.Error("it was entered all the same")
	}
}
