package apikeyinject

// This file holds which notices are something wrong that people are told of, and
// which are the end of it.

import (
	"context"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/notice"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// alerting is a notice on its way to where alerts stand.
type alerting struct {
	app     *App
	catalog *pooledCatalog
	notice  *notice.Notice
}

// alertings are written down in the background: the catalog may be slow. Stores
// are read before it is open, and what is wrong at the start waits for that.
var alertings = notice.NewQueue(queued, func(a alerting) {
	select {
	case <-a.app.telling:
	case <-a.app.ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), catalogWait)
	defer cancel()
	subject, wrong := subjectOf(a.notice)
	for _, s := range subject {
		if !wrong {
			a.catalog.alerts.Resolve(ctx, s)
			continue
		}
		a.catalog.alerts.Open(ctx, catalog.Alert{
			Subject: s, Kind: string(a.notice.Kind), Integration: a.notice.Integration, Connection: a.notice.Connection,
			Store: a.notice.Store, KeyVersion: a.notice.Version, Reason: a.notice.Reason,
		})
	}
})

// alert notes what is wrong, or no longer is, if there may be anybody to tell.
func (a *App) alert(n *notice.Notice) {
	p := a.opened.Load()
	if p == nil {
		return
	}
	if subject, _ := subjectOf(n); len(subject) > 0 {
		a.kept(alertings.Put(alerting{a, p, n}))
	}
}

// subjectOf says what a notice is about, and whether something is wrong with it
// or no longer is. What nobody need be told of is about nothing.
func subjectOf(n *notice.Notice) (subjects []string, wrong bool) {
	key, ends := catalog.ConnectionSubject(n.Integration, n.Connection), catalog.EndSubject(n.Integration, n.Connection)
	if n.Integration == "" { // nobody's, or several's
		key, ends = "at\n"+n.Store+"\n"+n.Key, "ends at\n"+n.Store+"\n"+n.Key
	}
	if n.Kind == notice.Invalid && n.Field == store.ExpiresField {
		return nil, false // the key itself is good
	}
	switch n.Kind { //nolint:exhaustive // the others are no matter of an alert
	case notice.AuthFailed, notice.Deleted, notice.Denied, notice.Invalid, notice.Unavailable:
		return []string{key}, true
	case notice.Expiring, notice.Expired:
		return []string{ends}, true
	case notice.AuthRecovered, notice.Recovered:
		return []string{key}, false
	case notice.Rotated:
		return []string{key, ends}, false
	case notice.StoreDown:
		return []string{"store\n" + n.Store}, true
	case notice.StoreUp:
		return []string{"store\n" + n.Store}, false
	case notice.TokenExpiring:
		return []string{"token\n" + n.Store}, true
	case notice.TokenReplaced:
		return []string{"token\n" + n.Store}, false
	case notice.CatalogAway:
		return []string{"catalog"}, true
	case notice.CatalogBack:
		return []string{"catalog"}, false
	}
	return nil, false
}
