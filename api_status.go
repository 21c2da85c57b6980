package apikeyinject

// This file holds what the API shows of the configuration, and how keys and
// stores are doing.

import (
	"maps"
	"slices"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/api"
	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vault"
)

// apiStatic shows the integrations of the configuration.
type apiStatic struct{ *App }

// Integrations implements [api.Static].
func (a apiStatic) Integrations() []*catalog.Integration {
	list := make([]*catalog.Integration, 0, len(a.App.Integrations))
	for _, key := range slices.Sorted(maps.Keys(a.App.Integrations)) {
		i := a.App.Integrations[key]
		list = append(list, &catalog.Integration{
			UniqueKey: key, Provider: "private-api-generic", DisplayName: firstSet(i.DisplayName, key),
			BaseURL: i.BaseURL, KeyPlacement: firstSet(i.KeyPlacement, "header"), KeyName: i.KeyName,
			ValueTemplate: firstSet(i.ValueTemplate, inject.DefaultTemplate), KeyLabel: firstSet(i.KeyLabel, "API Key"),
			Connect: i.Connect.row(), Verification: i.Verification.row(), MaxAge: time.Duration(i.MaxAge), Disabled: i.Disabled,
		})
	}
	return list
}

// Where implements [api.Static].
func (a apiStatic) Where(key string) (string, bool) {
	if !a.configures(key) {
		return "", false
	}
	return "apps.apikey_inject.integrations." + key, true
}

// apiStatus says how keys and stores are doing, by what this node knows.
type apiStatus struct{ *App }

// Connection implements [api.Status].
func (a apiStatus) Connection(integration, id string) api.KeyStatus {
	ref := a.keyOf(integration)
	if i := a.App.Integrations[integration]; id == "" {
		if i == nil || i.Key == nil || i.Key.perConnection() {
			return api.KeyStatus{}
		}
		ref = i.Key
	}
	a.mu.Lock()
	v := a.views[firstSet(ref.Store, a.DefaultStore)]
	a.mu.Unlock()
	if v == nil {
		return api.KeyStatus{State: api.StateUnknown} // nothing uses its store yet, and a look opens none
	}
	st := v.Peek(ref.address(id))
	s := api.KeyStatus{Version: st.Version, UpdatedAt: st.CreatedAt, LastAuthFailureAt: st.RejectedAt, ExpiresAt: st.Expires}
	switch {
	case st.State == "missing" && st.Class == "":
		s.State = api.StateUnknown // this node was not asked for it
	case st.State == "missing":
		s.State = api.StateMissing
	case st.Rejected:
		s.State = api.StateAuthFailed
	case st.State == "fresh":
		s.State = api.StateOK
	default:
		s.State = api.StateStale
	}
	return s
}

// Stores implements [api.Status].
func (a apiStatus) Stores() []api.StoreStatus {
	_, views := a.watched()
	list := make([]api.StoreStatus, 0, len(views))
	for _, name := range slices.Sorted(maps.Keys(views)) {
		s := api.StoreStatus{Name: name, Module: a.modules[name].CaddyModule().ID.Name(), Reachable: !views[name].Health().Down}
		if c, ok := views[name].ring.store.(*vault.Client); ok {
			st := c.Status()
			s.Sealed, s.TokenTTL = st.Sealed, st.TokenTTL
		}
		list = append(list, s)
	}
	return list
}

// Interface guards
var (
	_ api.Static = apiStatic{}
	_ api.Status = apiStatus{}
)
