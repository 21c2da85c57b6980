package api

import (
	"net/http"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// atAge puts a connection there whose key was written some days ago.
func (r *rig) atAge(id string, days int) {
	at := r.clock.Add(-time.Duration(days) * 24 * time.Hour)
	r.conns[pair{"acme", id}] = catalog.Connection{
		Integration: "acme", ID: id, KeyVersion: 1, KeyUpdatedAt: at, CreatedAt: at, UpdatedAt: at, Revision: 1, Origin: "https://acme.example:443",
	}
}

func TestWhenAKeyRunsOut(t *testing.T) {
	r, _ := tryingRig(t, "")
	r.do("PATCH", "/integrations/acme", `{"max_age":"90d"}`).ok()
	for _, c := range []struct {
		id    string
		days  int
		says  int // what the document says, in days from now
		want  int // likewise
		state string
	}{
		{"young", 10, 0, 80, ""},
		{"75 days", 75, 0, 15, ""},
		{"76 days", 76, 0, 14, "expiring"},
		{"old", 90, 0, 0, "expired"},
		{"older", 100, 0, -10, "expired"},
		{"sooner by its document", 10, 3, 3, "expiring"},
		{"later by its document", 10, 300, 80, ""},
		{"over by its document", 10, -1, -1, "expired"},
	} {
		t.Run(c.id, func(t *testing.T) {
			in := func(days int) time.Time { return r.clock.Add(time.Duration(days) * 24 * time.Hour) }
			r.atAge("c", c.days)
			r.status[pair{"acme", "c"}] = KeyStatus{State: StateOK, Version: 1}
			if c.says != 0 {
				r.status[pair{"acme", "c"}] = KeyStatus{State: StateOK, Version: 1, ExpiresAt: in(c.says)}
			}
			a := r.do("GET", "/connections/c?provider_config_key=acme", "").ok()
			a.want(stamp(in(c.want)), "expires_at")
			a.want(c.state, "expiry")
			a.want("ok", "status")
		})
	}
}

func TestOldKeysAreListed(t *testing.T) {
	r, _ := tryingRig(t, "")
	r.atAge("young", 89)
	r.atAge("old", 91)
	r.status[pair{"fixed", ""}] = KeyStatus{State: StateOK, Version: 1, UpdatedAt: r.clock.Add(-91 * 24 * time.Hour)}
	a := r.do("GET", "/status?older_than=90d", "").ok()
	a.want("fixed", "integrations", 0, "unique_key").want("", "integrations", 1, "unique_key")
	a.want("old", "connections", 0, "connection_id").want("", "connections", 1, "connection_id")
	r.do("GET", "/status?older_than=92d", "").ok().want("[]", "integrations").want("[]", "connections")
	r.do("GET", "/status?older_than=old", "").is(http.StatusBadRequest, "invalid_query_params")
}
