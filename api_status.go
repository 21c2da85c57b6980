package apikeyinject

// This file holds what the API shows of the configuration, and how keys and
// stores are doing.

import (
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/api"
	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
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
			Connect: i.Connect.row(), Verification: i.Verification.row(), MaxAge: time.Duration(i.MaxAge),
			RefusedStatuses: i.RefusedStatuses, RefusedAfter: i.RefusedAfter, Disabled: i.Disabled, ForwardWebhooks: true,
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
	v := a.viewNow(ref.Store)
	if v == nil {
		return api.KeyStatus{State: api.StateUnknown} // nothing uses its store yet, and a look opens none
	}
	s := keyStatus(v.Peek(ref.address(id)), v.Health().Down)
	if open, fail := a.openNow(); id != "" && fail == nil {
		if conn := open.dir.Peek(integration, id); conn != nil {
			s.LastUsedAt = conn.LastUsed()
		}
	}
	return s
}

// viewNow returns the view of a store, if anything uses that.
func (a *App) viewNow(name string) *heldView {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.views[firstSet(name, a.DefaultStore)]
}

// keyStatus puts what a ring knows of a key into the words of the API. A key that
// nobody asked for lately gets old, and is read again when somebody does: it is
// stale only where that was tried in vain, or would be.
func keyStatus(st keyring.Status, away bool) api.KeyStatus {
	s := api.KeyStatus{Version: st.Version, UpdatedAt: st.CreatedAt, NextRefresh: st.RefreshAt, LastAuthFailureAt: st.RejectedAt, ExpiresAt: st.Expires}
	switch {
	case st.State == "missing" && st.Class == "":
		s.State = api.StateUnknown // this node was not asked for it
	case st.State == "missing":
		s.State = api.StateMissing
	case st.Rejected:
		s.State = api.StateAuthFailed
	case st.State == "fresh", st.Class == "" && !away:
		s.State = api.StateOK
	default:
		s.State = api.StateStale
	}
	return s
}

// Held implements [api.Status].
func (a apiStatus) Held() iter.Seq2[*catalog.Connection, api.KeyStatus] {
	return func(yield func(*catalog.Connection, api.KeyStatus) bool) {
		open, fail := a.openNow()
		if fail != nil {
			return
		}
		away := make(map[*heldView]bool)
		_, views := a.inUse()
		for _, v := range views {
			away[v] = v.Health().Down
		}
		for conn := range open.dir.All {
			ref := a.keyOf(conn.Integration)
			v := views[firstSet(ref.Store, a.DefaultStore)]
			if v != nil && !yield(&conn.Connection, keyStatus(v.Peek(ref.address(conn.ID)), away[v])) {
				return
			}
		}
	}
}

// Stores implements [api.Status].
func (a apiStatus) Stores() []api.StoreStatus {
	_, views := a.inUse()
	list := make([]api.StoreStatus, 0, len(views))
	for _, name := range slices.Sorted(maps.Keys(views)) {
		h := views[name].Health()
		s := api.StoreStatus{Name: name, Module: a.modules[name].CaddyModule().ID.Name(), Reachable: !h.Down, Since: h.Since}
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
