package apikeyinject

// This file holds whether a node can serve what it is configured for, for load
// balancers and orchestrators.

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vault"
)

const (
	// healthPath is where the API's site tells it to everybody.
	healthPath = "/health"

	adminHealth = adminPrefix + "health"
)

// health is whether a node can serve what it is configured for. It is about this
// node, for who chooses between nodes: an outage that it bridges is no reason to
// take it out, nor is a key that was deleted in the store, which no other node has
// either.
type health struct {
	Ready bool `json:"ready"`

	// Reasons are "keys", "stores" and "catalog".
	Reasons []string `json:"reasons,omitempty"`
}

// healthDetails is health with names, for the operator.
type healthDetails struct {
	health

	Keys    []keyHealth   `json:"keys"`
	Stores  []storeHealth `json:"stores"`
	Catalog *partHealth   `json:"catalog,omitempty"` // nil where nothing needs it
}

type partHealth struct {
	Ready bool   `json:"ready"`
	State string `json:"state"`
}

type keyHealth struct {
	Integration string `json:"integration"` // or what the route is called
	partHealth
}

type storeHealth struct {
	Name string `json:"name"`
	partHealth
}

// health looks at what is held. It asks nobody.
func (a *App) health() *healthDetails {
	h := &healthDetails{health: health{Ready: true}, Keys: []keyHealth{}, Stores: []storeHealth{}}
	uses, views := a.inUse()
	for _, u := range uses {
		if u.entry != nil { // else it is chosen per request, and no key of the configuration
			h.Keys = append(h.Keys, keyHealth{u.label, fixedHealth(u)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(views)) {
		h.Stores = append(h.Stores, storeHealth{name, viewHealth(views[name])})
	}
	if a.opened.Load() != nil {
		h.Catalog = &partHealth{State: "away"}
		if dir, fail := a.directory(); fail == nil && dir.Loaded() {
			h.Catalog = &partHealth{true, "loaded"}
		}
	}
	if slices.ContainsFunc(h.Keys, func(k keyHealth) bool { return !k.Ready }) {
		h.fail("keys")
	}
	if slices.ContainsFunc(h.Stores, func(s storeHealth) bool { return !s.Ready }) {
		h.fail("stores")
	}
	if h.Catalog != nil && !h.Catalog.Ready {
		h.fail("catalog")
	}
	return h
}

func (h *health) fail(reason string) {
	h.Ready = false
	h.Reasons = append(h.Reasons, reason)
}

// fixedHealth is that of a key which the configuration names.
func fixedHealth(u *keyUse) partHealth {
	st := u.entry.Status()
	switch {
	case u.entry.Holds(u.key.Field):
		return partHealth{true, "held"}
	case st.Class == keyring.ClassNotFound && st.Had:
		return partHealth{true, "deleted"}
	case st.Class == "" && u.entry.Lazy():
		return partHealth{true, "not asked for"}
	case st.Class == "" && st.State == "missing":
		return partHealth{false, "not read yet"}
	case st.Class == "":
		return partHealth{false, "unusable"}
	}
	return partHealth{false, st.Class}
}

// viewHealth is that of a store. One that has answered before may be away: what
// is held of it stays in use.
func viewHealth(v *heldView) partHealth {
	h := v.Health()
	state := "reachable"
	if c, ok := v.ring.store.(*vault.Client); ok {
		switch st := c.Status(); {
		case h.Down && st.Sealed:
			state = "sealed"
		case !h.Down && st.Error != "": // it was tried; a login that nobody needed yet is no trouble
			state = "not logged in"
		}
	}
	if h.Down && state == "reachable" {
		state = "away"
	}
	return partHealth{h.Answered || state == "reachable", state}
}

// serveHealth answers on the site of the API: it is for everybody, so it names
// nothing.
func (a *API) serveHealth(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return nil
	}
	h := a.app.health()
	return writeHealth(w, h.Ready, h.health)
}

// serveHealth answers the operator, with names.
func (*adminAPI) serveHealth(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return apiError(http.StatusMethodNotAllowed, errors.New("method not allowed"))
	}
	app, err := activeApp()
	if err != nil {
		return err
	}
	h := app.health()
	return writeHealth(w, h.Ready, h)
}

func writeHealth(w http.ResponseWriter, ready bool, answer any) error {
	status := http.StatusOK
	if !ready {
		status = http.StatusServiceUnavailable
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(answer)
}
