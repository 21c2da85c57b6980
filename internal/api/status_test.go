package api

import (
	"net/http"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

func TestTheStateOfAConnection(t *testing.T) {
	at := func(s string) time.Time { tm, _ := time.Parse(time.RFC3339, s); return tm }
	for name, tc := range map[string]struct {
		live KeyStatus
		row  func(*catalog.Connection)
		want string
	}{
		"not known":             {KeyStatus{}, nil, StateOK},
		"not asked for here":    {KeyStatus{State: StateUnknown}, nil, StateOK},
		"good":                  {KeyStatus{State: StateOK}, nil, StateOK},
		"missing":               {KeyStatus{State: StateMissing}, nil, StateMissing},
		"stale":                 {KeyStatus{State: StateStale}, nil, StateStale},
		"refused, seen here":    {KeyStatus{State: StateAuthFailed}, nil, StateAuthFailed},
		"refused, seen there":   {KeyStatus{State: StateOK}, func(c *catalog.Connection) { c.AuthFailedVersion = c.KeyVersion }, StateAuthFailed},
		"gone, and disabled":    {KeyStatus{State: StateMissing}, func(c *catalog.Connection) { c.Disabled = true }, StateDisabled},
		"refused, then rotated": {KeyStatus{State: StateOK}, func(c *catalog.Connection) { c.AuthFailedVersion, c.KeyVersion = 1, 2 }, StateOK},
		"moved":                 {KeyStatus{State: StateOK}, func(c *catalog.Connection) { c.Origin = "https://old:443" }, StateOriginChanged},
		"disabled":              {KeyStatus{State: StateOK}, func(c *catalog.Connection) { c.Disabled = true }, StateDisabled},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.integration("acme")
			r.connection("acme", "c")
			p := pair{"acme", "c"}
			r.status[p] = tc.live
			row := r.conns[p]
			if tc.row != nil {
				tc.row(&row)
			}
			row.LastUsedAt, row.LastAuthFailureAt = at("2026-05-01T10:00:00Z"), at("2026-05-01T09:00:00Z")
			r.conns[p] = row
			a := r.do("GET", "/connections/c?provider_config_key=acme", "").ok().want(tc.want, "status").
				want("2026-05-01T10:00:00.000Z", "last_used_at").want("2026-05-01T09:00:00.000Z", "last_auth_failure_at")
			if failed := a.at("errors") != "[]"; failed != (tc.want == StateAuthFailed) {
				t.Errorf("errors are %s", a.at("errors"))
			}
			r.do("GET", "/connections", "").ok().want(tc.want, "connections", 0, "status")
			r.do("GET", "/status?status="+tc.want+"&integration=acme", "").ok().want(tc.want, "connections", 0, "status").want("c", "connections", 0, "connection_id")
		})
	}
}

// An integration of the Caddy config is the operator's own word: its connections
// follow it, and calls with them pass.
func TestAConnectionFollowsAnIntegrationOfTheConfig(t *testing.T) {
	r := newRig(t)
	r.connection("fixed", "c")
	p := pair{"fixed", "c"}
	r.status[p] = KeyStatus{State: StateOK}
	row := r.conns[p]
	row.Origin = "https://old:443"
	r.conns[p] = row
	r.do("GET", "/connections/c?provider_config_key=fixed", "").ok().want(StateOK, "status")
}

func TestADisabledIntegrationDisablesItsConnections(t *testing.T) {
	r := newRig(t)
	r.integration("acme")
	r.connection("acme", "c")
	r.do("POST", "/integrations/acme/disable", "").ok()
	r.do("GET", "/connections/c?provider_config_key=acme", "").ok().want("disabled", "status")
}

func TestStatus(t *testing.T) {
	r := newRig(t, limited("watch", ScopeStatus), Token{Name: "some", Value: limited("some").Value, Integrations: []string{"acme"}})
	r.integration("acme")
	r.connection("acme", "c")
	r.connection("fixed", "d")
	next := r.clock.Add(time.Minute)
	r.status[pair{"fixed", ""}] = KeyStatus{State: StateOK, Version: 7, UpdatedAt: r.clock.Add(-time.Hour), NextRefresh: next}
	r.status[pair{"acme", "c"}] = KeyStatus{State: StateStale, NextRefresh: next}
	r.do("GET", "/status", "", as("watch")).ok().
		want(`{"module":"vault","name":"default","reachable":true,"sealed":false,"since":"2026-05-01T11:00:00.000Z","token_ttl_seconds":3600}`, "stores", 0).
		want("", "stores", 1, "token_ttl_seconds").
		want("unknown", "integrations", 0, "status").want("api", "integrations", 0, "source").
		want("ok", "integrations", 1, "status").want("7", "integrations", 1, "key_version").want("3600", "integrations", 1, "key_age_seconds").
		want("2026-05-01T12:01:00.000Z", "integrations", 1, "next_refresh_at").want("config", "integrations", 1, "source").
		want("stale", "connections", 0, "status").want("2026-05-01T12:01:00.000Z", "connections", 0, "next_refresh_at").want("d", "connections", 1, "connection_id")
	r.do("GET", "/status?integration=fixed", "").ok().want("fixed", "integrations", 0, "unique_key").want("", "integrations", 1).want("d", "connections", 0, "connection_id").want("", "connections", 1)
	r.do("GET", "/status?status=stale", "").ok().want("[]", "integrations").want("c", "connections", 0, "connection_id").want("", "connections", 1)
	r.do("GET", "/status?status=good", "").is(http.StatusBadRequest, "invalid_query_params")
	r.do("GET", "/status", "", as("some")).ok().want("acme", "integrations", 0, "unique_key").want("", "integrations", 1).want("", "connections", 1)
	r.do("POST", "/integrations/acme/disable", "").ok()
	r.do("GET", "/status?integration=acme", "").ok().want("disabled", "integrations", 0, "status").want("disabled", "connections", 0, "status")
}
