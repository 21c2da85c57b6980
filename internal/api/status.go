package api

// This file holds GET /status: names, versions and ages, never a value.

import (
	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

type getStatus struct {
	Integration string `query:"integration"`
	Status      string `query:"status" enum:"ok,auth_failed,missing,stale,disabled,origin_changed,unknown"`
	OlderThan   string `query:"older_than" maxLength:"32" description:"Only keys that were written longer ago: 90d, 720h."`
	Limit       int    `query:"limit" minimum:"1" maximum:"10000" default:"10000" description:"Of connections, before they are filtered by status."`
	Page        int    `query:"page" minimum:"0" maximum:"1000000" default:"0" description:"From 0."`
}

type statusAnswer struct {
	Stores       []storeData         `json:"stores" required:"true" nullable:"false"`
	Integrations []integrationStatus `json:"integrations" required:"true" nullable:"false"`
	Connections  []connectionStatus  `json:"connections" required:"true" nullable:"false"`
}

type storeData struct {
	Name            string `json:"name" required:"true"`
	Module          string `json:"module" required:"true"`
	Reachable       bool   `json:"reachable" required:"true"`
	Sealed          bool   `json:"sealed" required:"true"`
	TokenTTLSeconds *int64 `json:"token_ttl_seconds" required:"true"`
}

type integrationStatus struct {
	UniqueKey string `json:"unique_key" required:"true"`
	Source    string `json:"source" required:"true" enum:"api,config"`

	state

	NextRefreshAt *string `json:"next_refresh_at" required:"true"`
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
	answer := &statusAnswer{Stores: a.stores(), Integrations: []integrationStatus{}, Connections: []connectionStatus{}}
	before, err := a.before(in.OlderThan)
	if err != nil {
		return nil, err
	}
	wanted := func(s state) bool { return in.Status == "" || in.Status == s.Status }
	of := make(map[string]*catalog.Integration, len(all))
	for _, i := range all {
		of[i.UniqueKey] = i
		if in.Integration != "" && i.UniqueKey != in.Integration || !c.token.AllowsIntegration(i.UniqueKey) {
			continue
		}
		if s := a.integrationStatus(i); wanted(s.state) && a.writtenBefore(i, before) {
			answer.Integrations = append(answer.Integrations, s)
		}
	}
	list, err := a.connections(c, &listConnections{Integrations: in.Integration, Limit: in.Limit, Page: in.Page, before: before})
	if err != nil {
		return nil, err
	}
	for _, conn := range list {
		s := a.stateOf(of[conn.Integration], conn)
		if !wanted(s) {
			continue
		}
		next := a.cfg.Status.Connection(conn.Integration, conn.ID).NextRefresh
		answer.Connections = append(answer.Connections, connectionStatus{conn.Integration, conn.ID, s, stampOrNull(next)})
	}
	return answer, nil
}

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
		d := storeData{Name: s.Name, Module: s.Module, Reachable: s.Reachable, Sealed: s.Sealed}
		if s.TokenTTL > 0 {
			seconds := int64(s.TokenTTL.Seconds())
			d.TokenTTLSeconds = &seconds
		}
		list = append(list, d)
	}
	return list
}
