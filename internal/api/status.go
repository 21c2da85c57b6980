package api

// This file holds GET /status: names, versions and ages, never a value.

import (
	"iter"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// statusLimit is a page when none is asked for. A page of all would take the
// longer the more customers there are.
const statusLimit = 1000

type getStatus struct {
	Integration string `query:"integration"`
	Status      string `query:"status" enum:"ok,auth_failed,missing,stale,disabled,origin_changed,unknown"`
	OlderThan   string `query:"older_than" maxLength:"32" description:"Only keys that were written longer ago: 90d, 720h."`
	Limit       int    `query:"limit" minimum:"1" maximum:"10000" default:"1000"`
	Page        int    `query:"page" minimum:"0" maximum:"1000000" default:"0" description:"From 0."`
}

type statusAnswer struct {
	Stores       []storeData         `json:"stores" required:"true" nullable:"false"`
	Totals       totals              `json:"totals" required:"true" description:"Of all connections, whatever the filter by status and the page."`
	Integrations []integrationStatus `json:"integrations" required:"true" nullable:"false"`
	Connections  []connectionStatus  `json:"connections" required:"true" nullable:"false" description:"Those that need somebody first."`
	Next         *int                `json:"next_page" required:"true" description:"Null after the last page. A page may have fewer connections than the limit, and be none the less followed by others."`
}

type storeData struct {
	Name            string  `json:"name" required:"true"`
	Module          string  `json:"module" required:"true"`
	Reachable       bool    `json:"reachable" required:"true"`
	Sealed          bool    `json:"sealed" required:"true"`
	Since           *string `json:"since" required:"true" description:"When it went away, or was back. Null: it was never away."`
	TokenTTLSeconds *int64  `json:"token_ttl_seconds" required:"true"`
}

type integrationStatus struct {
	UniqueKey string `json:"unique_key" required:"true"`
	Source    string `json:"source" required:"true" enum:"api,config"`

	state

	NextRefreshAt *string `json:"next_refresh_at" required:"true"`
	Totals        totals  `json:"totals" required:"true" description:"Of its connections."`
}

type connectionStatus struct {
	Integration  string `json:"provider_config_key" required:"true"`
	ConnectionID string `json:"connection_id" required:"true"`

	state

	NextRefreshAt *string `json:"next_refresh_at" required:"true"`
}

func (a *API) status(c *call, in *getStatus) (*statusAnswer, error) {
	all, err := a.integrations(c.r.Context())
	if err != nil {
		return nil, err
	}
	before, err := a.before(in.OlderThan)
	if err != nil {
		return nil, err
	}
	p := page{limit: in.Limit, number: in.Page}
	if p.limit == 0 {
		p.limit = statusLimit
	}
	wanted := func(status string) bool { return in.Status == "" || in.Status == status }
	o, err := a.overview(c, all, in.Integration)
	if err != nil {
		return nil, err
	}
	answer := &statusAnswer{Stores: a.stores(), Totals: o.totals, Integrations: []integrationStatus{}, Connections: []connectionStatus{}}
	n := 0
	for _, i := range all {
		if in.Integration != "" && i.UniqueKey != in.Integration || !c.token.AllowsIntegration(i.UniqueKey) {
			continue
		}
		if s := a.integrationStatus(i); wanted(s.Status) && a.writtenBefore(i, before) {
			if p.holds(n) {
				s.Totals = *o.of(i.UniqueKey)
				answer.Integrations = append(answer.Integrations, s)
			}
			n++
		}
	}
	list, more, err := a.pageOf(c, o, p, in, before, wanted)
	if err != nil {
		return nil, err
	}
	for _, conn := range list {
		next := a.cfg.Status.Connection(conn.Integration, conn.ID).NextRefresh
		answer.Connections = append(answer.Connections, connectionStatus{
			conn.Integration, conn.ID, a.stateOf(o.integrations[conn.Integration], conn), stampOrNull(next),
		})
	}
	if more || p.end() < n {
		next := in.Page + 1
		answer.Next = &next
	}
	return answer, nil
}

// page is a part of a list.
type page struct{ limit, number int }

func (p page) start() int       { return p.limit * p.number }
func (p page) end() int         { return p.start() + p.limit }
func (p page) holds(n int) bool { return p.start() <= n && n < p.end() }

// integrationStatus is the state of an integration's own key, which only those
// of the Caddy config have.
func (a *API) integrationStatus(i *catalog.Integration) integrationStatus {
	live := a.cfg.Status.Connection(i.UniqueKey, "")
	s := integrationStatus{
		UniqueKey: i.UniqueKey, Source: "api",
		state: state{
			Status: live.State, KeyVersion: live.Version, KeyAgeSeconds: a.age(live.UpdatedAt),
			LastUsedAt: stampOrNull(live.LastUsedAt), LastAuthFailureAt: stampOrNull(live.LastAuthFailureAt),
		},
		NextRefreshAt: stampOrNull(live.NextRefresh),
	}
	s.ExpiresAt, s.Expiry = a.expiry(i, live.UpdatedAt, live.ExpiresAt)
	if _, ok := a.cfg.Static.Where(i.UniqueKey); ok {
		s.Source = "config"
	}
	switch {
	case i.Disabled:
		s.Status = StateDisabled
	case s.Status == "":
		s.Status = StateUnknown
	}
	return s
}

func (a *API) stores() []storeData {
	stores := a.cfg.Status.Stores()
	list := make([]storeData, 0, len(stores))
	for _, s := range stores {
		d := storeData{Name: s.Name, Module: s.Module, Reachable: s.Reachable, Sealed: s.Sealed, Since: stampOrNull(s.Since)}
		if s.TokenTTL > 0 {
			seconds := int64(s.TokenTTL.Seconds())
			d.TokenTTLSeconds = &seconds
		}
		list = append(list, d)
	}
	return list
}

// totals are how many connections are in each state.
type totals struct {
	OK            int `json:"ok" required:"true"`
	AuthFailed    int `json:"auth_failed" required:"true"`
	Missing       int `json:"missing" required:"true"`
	Stale         int `json:"stale" required:"true"`
	Disabled      int `json:"disabled" required:"true"`
	OriginChanged int `json:"origin_changed" required:"true"`
	Unknown       int `json:"unknown" required:"true"`
}

// at returns where a state is counted.
func (t *totals) at(state string) *int {
	for name, n := range t.all() {
		if name == state {
			return n
		}
	}
	return &t.Unknown
}

// all goes over the states, those that need somebody first.
func (t *totals) all() iter.Seq2[string, *int] {
	return func(yield func(string, *int) bool) {
		_ = yield(StateAuthFailed, &t.AuthFailed) && yield(StateMissing, &t.Missing) && yield(StateOriginChanged, &t.OriginChanged) &&
			yield(StateStale, &t.Stale) && yield(StateUnknown, &t.Unknown) && yield(StateOK, &t.OK) && yield(StateDisabled, &t.Disabled)
	}
}
