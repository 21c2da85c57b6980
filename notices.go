package apikeyinject

// This file holds how news of keys, stores and the catalog become notices, and
// who gets these: the log, Caddy's events, the alerts.

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/api"
	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/directory"
	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
	"github.com/apikeyinject/caddy-apikey-inject/internal/notice"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vault"
)

// ringKinds are what a ring's events are called outside.
var ringKinds = map[keyring.Kind]notice.Kind{
	keyring.KeyChanged: notice.Rotated, keyring.KeyDeleted: notice.Deleted, keyring.KeyDenied: notice.Denied,
	keyring.KeyInvalid: notice.Invalid, keyring.KeyUnusable: notice.Invalid, keyring.KeyFailing: notice.Unavailable,
	keyring.KeyRecovered: notice.Recovered, keyring.KeyRejected: notice.AuthFailed, keyring.KeyAccepted: notice.AuthRecovered,
	keyring.KeyExpiring: notice.Expiring, keyring.KeyExpired: notice.Expired,
	keyring.StoreDown: notice.StoreDown, keyring.StoreUp: notice.StoreUp, keyring.StoreThrottled: notice.StoreThrottled,
}

// noticeOf makes a notice of a ring's event.
func (a *App) noticeOf(storeName string, e keyring.Event) *notice.Notice {
	n := &notice.Notice{Kind: ringKinds[e.Kind], At: time.Now(), Store: storeName, Version: e.Version, Former: e.Former, Field: e.Field, Reason: e.Class, Ends: e.Expires}
	if e.Address.Path != "" {
		n.Key = e.Address.String()
		n.Integration, n.Connection = a.whose(storeName, e.Address)
	}
	return n
}

// observer returns what a ring tells this configuration. Of several that are
// alive, as during a reload, the newest one of the ring is heard.
func (a *App) observer(storeName string, ring *pooledRing) func(keyring.Event) {
	return func(e keyring.Event) {
		if ring.newest() != a {
			return
		}
		n := a.noticeOf(storeName, e)
		if a.verdictOfCatalog(n) {
			a.kept(verdicts.Put(verdict{a, n, e}))
			return
		}
		a.logEvent(storeName, e)
		a.tell(n)
	}
}

// verdict is what an upstream said of a key that may be a connection's.
type verdict struct {
	app    *App
	notice *notice.Notice
	event  keyring.Event
}

// verdicts of keys of the catalog are told by it, once for all nodes. Whether a
// key is one of these is asked for in the background.
var verdicts = notice.NewQueue(queued, func(v verdict) {
	ctx, cancel := context.WithTimeout(context.Background(), catalogWait)
	defer cancel()
	if db, err := v.app.opened.Load().db(); err == nil {
		if _, err := db.Connection(ctx, v.notice.Integration, v.notice.Connection); !errors.Is(err, catalog.ErrNotFound) {
			return // it is, or the catalog is away and tells when it is back
		}
	}
	v.app.logEvent(v.notice.Store, v.event)
	v.app.tell(v.notice)
})

// verdictOfCatalog tells whether a notice may be one of a connection's key.
func (a *App) verdictOfCatalog(n *notice.Notice) bool {
	return (n.Kind == notice.AuthFailed || n.Kind == notice.AuthRecovered) && n.Connection != "" && a.opened.Load() != nil
}

// observeToken returns what a client of Vault tells this configuration.
func (a *App) observeToken(storeName string, ring *pooledRing) func(vault.TokenEvent) {
	return func(e vault.TokenEvent) {
		if ring.newest() != a {
			return
		}
		n := &notice.Notice{Kind: notice.TokenReplaced, At: time.Now(), Store: storeName}
		if e.Expiring {
			n.Kind, n.Ends = notice.TokenExpiring, e.Ends
			if e.Err != nil {
				n.Reason = keyring.ClassOf(e.Err)
			}
		}
		a.logToken(n, e.Err)
		a.tell(n)
	}
}

// directoryKinds are what a directory's events are called outside.
var directoryKinds = map[directory.Kind]notice.Kind{
	directory.ConnectionRefused: notice.AuthFailed, directory.ConnectionAccepted: notice.AuthRecovered,
	directory.ConnectionExpiring: notice.Expiring, directory.ConnectionExpired: notice.Expired,
	directory.CatalogAway: notice.CatalogAway, directory.CatalogBack: notice.CatalogBack,
}

// observe is what a directory tells: when the catalog goes and comes, when a
// connection's key runs out, and when an upstream refuses it or takes it again.
// Of the latter one node of all is told, which has written down what webhooks and
// alerts tell.
func (p *pooledCatalog) observe(e directory.Event) {
	logCatalog(e)
	a := p.newest()
	if a == nil {
		return
	}
	n := &notice.Notice{At: time.Now(), Integration: e.Sighting.Integration, Connection: e.Sighting.ID, Version: e.Sighting.Version, Ends: e.Ends}
	n.Kind = directoryKinds[e.Kind]
	if n.Kind == notice.AuthFailed || n.Kind == notice.AuthRecovered {
		a.emit(n)
		return
	}
	a.tell(n)
}

// apiKinds are what changes are called outside. A key that is entered is told
// where it is entered: only there is it known whether the connection is new.
var apiKinds = map[string]notice.Kind{
	"integration.create": notice.IntegrationCreated, "integration.update": notice.IntegrationUpdated, "integration.delete": notice.IntegrationDeleted,
	"integration.disable": notice.IntegrationDisabled, "integration.enable": notice.IntegrationEnabled, "integration.confirm_origin": notice.IntegrationUpdated,
	"connection.update": notice.ConnectionUpdated, "connection.delete": notice.ConnectionDeleted,
	"connection.set_metadata": notice.ConnectionUpdated, "connection.update_metadata": notice.ConnectionUpdated,
	"connection.disable": notice.ConnectionDisabled, "connection.enable": notice.ConnectionEnabled,
}

// tellChange tells of a change that was made through the API.
func (a *App) tellChange(e api.AuditEntry) {
	kind, ok := apiKinds[e.Action]
	switch {
	case !ok || e.Code != "" || e.Status/100 != 2:
		return
	case kind == notice.IntegrationDeleted && e.Connection != "": // gone with it
		kind = notice.ConnectionDeleted
	case strings.HasPrefix(e.Action, "connection.") && e.Connection == "": // the end of a list
		return
	}
	a.emit(&notice.Notice{Kind: kind, At: time.Now(), Integration: e.Integration, Connection: e.Connection})
}

// tellEntered tells of a key that was entered.
func (a *App) tellEntered(c *catalog.Connection) {
	kind := notice.ConnectionUpdated
	if c.Revision == 1 {
		kind = notice.ConnectionCreated
	}
	a.emit(&notice.Notice{Kind: kind, At: time.Now(), Integration: c.Integration, Connection: c.ID, Version: c.KeyVersion})
}

// tell tells everybody but the log.
func (a *App) tell(n *notice.Notice) {
	a.emit(n)
	a.alert(n)
}

// whose says which integration and connection a document's key is of. Both are
// empty where it is none's of this configuration, or more than one's; so is the
// connection of an integration's own key.
func (a *App) whose(storeName string, at store.Address) (integration, connection string) {
	if o := a.owners.Load(); o != nil {
		return o.of(storeName, at)
	}
	return "", ""
}

// owners are what is known of keys' places.
type owners struct {
	fixed  map[placeOf]string // label of the one integration; empty: of several
	chosen []chosenPlace

	store, prefix string // of connections' keys that are made through the API
}

type placeOf struct {
	store string
	at    store.Address
}

// chosenPlace is where the keys of an integration's connections are.
type chosenPlace struct {
	label string
	store string
	key   *KeyReference
}

// findOwners notes whose keys are where, once all routes are there.
func (a *App) findOwners() {
	o := &owners{fixed: map[placeOf]string{}, store: a.DefaultStore, prefix: a.modules[a.DefaultStore].prefix() + "/"}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, u := range a.refs {
		if u.key == nil {
			continue
		}
		if u.key.perConnection() {
			o.chosen = append(o.chosen, chosenPlace{u.label, a.storeName(u.key), u.key})
			continue
		}
		p := placeOf{a.storeName(u.key), u.key.address("")}
		if label, taken := o.fixed[p]; taken && label != u.label {
			o.fixed[p] = ""
			continue
		}
		o.fixed[p] = u.label
	}
	for label, i := range a.Integrations { // also those that only the gateway calls
		if i.Key != nil && i.Key.perConnection() {
			o.chosen = append(o.chosen, chosenPlace{label, a.storeName(i.Key), i.Key})
		}
	}
	a.owners.Store(o)
}

func (o *owners) of(storeName string, at store.Address) (integration, connection string) {
	if label, ok := o.fixed[placeOf{storeName, at}]; ok {
		return label, ""
	}
	found := false
	for _, c := range o.chosen {
		id, ok := c.id(storeName, at)
		if !ok || found && integration == c.label {
			continue
		}
		if found {
			return "", ""
		}
		integration, connection, found = c.label, id, true
	}
	if found {
		return integration, connection
	}
	rest, ok := strings.CutPrefix(at.Path, o.prefix)
	if !ok || storeName != o.store || at.Mount != "" || at.Namespace != "" {
		return "", ""
	}
	integration, connection, ok = strings.Cut(rest, "/")
	if !ok || strings.Contains(connection, "/") {
		return "", ""
	}
	return integration, connection
}

// id returns the connection whose key is at an address.
func (c *chosenPlace) id(storeName string, at store.Address) (string, bool) {
	before, _, _ := strings.Cut(c.key.Path, connectionID)
	rest, ok := strings.CutPrefix(at.Path, before)
	if !ok || c.store != storeName {
		return "", false
	}
	id, _, _ := strings.Cut(rest, "/") // an id has no slash
	if tail := c.key.Path[len(before)+len(connectionID):]; !strings.HasPrefix(tail, "/") && tail != "" {
		end, _, _ := strings.Cut(tail, "/")
		end = strings.ReplaceAll(end, connectionID, "")
		id = strings.TrimSuffix(id, end)
	}
	return id, store.CheckSegment(id) == nil && c.key.address(id) == at
}
