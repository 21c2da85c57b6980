package api

// This file holds what is told of every change, done or refused.

import (
	"errors"
	"net/http"
	"time"
)

// AuditEntry says who asked for a change, and what became of it. It never holds
// a value.
type AuditEntry struct {
	Time time.Time

	// Token is the caller's, empty for a caller without a known one.
	Token string

	// Action is what was asked for: "integration.update".
	Action string

	Integration string
	Connection  string

	// Status and Code of the answer. Code is empty when the change was made.
	Status int
	Code   string
}

// audit tells of a call once it has ended: of each thing that it changed, also
// before it failed at another.
func (a *API) audit(c *call, o *operation, status int, err error) {
	if o.action == "" || a.cfg.Audit == nil {
		return
	}
	e := AuditEntry{Time: a.cfg.Now(), Action: o.action, Integration: clipped(c.integration), Status: o.status}
	if c.token != nil {
		e.Token = c.token.Name
	}
	for _, id := range c.changed {
		e.Connection = clipped(id)
		a.cfg.Audit(e)
	}
	e.Connection, e.Status = clipped(c.connection), status
	if refusal, ok := errors.AsType[*Error](err); ok {
		e.Code = refusal.Code
	}
	a.cfg.Audit(e)
}

// note remembers what the call is about, for its audit entry.
func (c *call) note(integration, connection string) {
	c.integration, c.connection = integration, connection
}

// noteTarget is [call.note] of what the request line names, which also a caller
// that is refused has asked for.
func (c *call) noteTarget() {
	integration := c.args["unique_key"]
	if integration == "" {
		integration = c.r.URL.Query().Get("provider_config_key")
	}
	c.note(integration, c.args["id"])
}

// crossSite tells whether a web page of another site sent the request. Only
// callers that need no token can be used so: a page cannot send one.
func crossSite(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return true
	}
	origin := r.Header.Get("Origin")
	return origin != "" && origin != "http://"+r.Host && origin != "https://"+r.Host
}
