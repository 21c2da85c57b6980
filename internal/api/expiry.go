package api

// This file holds when keys run out, and which are old.

import (
	"slices"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
)

// expiry returns when a key of i runs out that was written at a time: as its
// document says, or by its integration's max_age if that is sooner. i is nil when
// there is none any more.
func (a *API) expiry(i *catalog.Integration, written, says time.Time) (at *string, state string) {
	ends := says
	if i != nil && i.MaxAge > 0 && !written.IsZero() {
		if aged := written.Add(i.MaxAge); ends.IsZero() || aged.Before(ends) {
			ends = aged
		}
	}
	switch keyring.LifetimeOf(written, ends, a.cfg.Now()) {
	case keyring.ExpiringSoon, keyring.ExpiringNow:
		state = "expiring"
	case keyring.Expired:
		state = "expired"
	case keyring.Unlimited:
	}
	return stampOrNull(ends), state
}

// before returns the time from which on keys are younger than an age that a query
// names, zero for none.
func (a *API) before(age string) (time.Time, error) {
	d, ok := parseAge(age)
	if !ok {
		var fs faults
		fs.add(wrongFormat, "older_than must be a duration such as 90d or 720h", "older_than")
		return time.Time{}, fs.query()
	}
	if d == 0 {
		return time.Time{}, nil
	}
	return a.cfg.Now().Add(-d), nil
}

// writtenBefore tells whether an integration's own key is older than that. Of one
// that has none, or is not held, it is not.
func (a *API) writtenBefore(i *catalog.Integration, before time.Time) bool {
	at := a.cfg.Status.Connection(i.UniqueKey, "").UpdatedAt
	return before.IsZero() || !at.IsZero() && at.Before(before)
}

// pageOf reads the connections of a page of the status. Those with old keys are
// paged before they are filtered by state: nothing counts them.
func (a *API) pageOf(c *call, o *overview, p page, in *getStatus, before time.Time, wanted func(state string) bool) (list []*catalog.Connection, more bool, err error) {
	if before.IsZero() {
		return o.page(c.r.Context(), p, wanted)
	}
	// One more than a page tells whether there is another.
	f := listConnections{Integrations: in.Integration, before: before, from: p.start(), Limit: p.limit + 1}
	if list, err = a.connections(c, &f); err != nil {
		return nil, false, err
	}
	if more = len(list) > p.limit; more {
		list = list[:p.limit]
	}
	return slices.DeleteFunc(list, func(conn *catalog.Connection) bool {
		return !wanted(a.stateOf(o.integrations[conn.Integration], conn).Status)
	}), more, nil
}
