package api

// This file holds how all connections are doing, of which there may be many: they
// are counted by an index of the catalog, and only those of one page are read.

import (
	"cmp"
	"context"
	"slices"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// overview is how the connections are doing that a caller may see.
type overview struct {
	catalog      Catalog
	integrations map[string]*catalog.Integration
	totals       totals
	by           map[string]*totals
	parts        map[string][]part // by state
	troubled     map[pair]bool     // in a part of their own, and passed over in the others
}

type pair struct{ integration, id string }

// part is connections in the same state: a group of the catalog, or rows.
type part struct {
	group catalog.Group
	rows  []*catalog.Connection
}

func (p part) len() int { return p.group.Count + len(p.rows) }

// overview counts the connections of one integration, or of all.
func (a *API) overview(c *call, all []*catalog.Integration, integration string) (*overview, error) {
	o := &overview{
		catalog: a.cfg.Catalog, integrations: make(map[string]*catalog.Integration, len(all)),
		by: make(map[string]*totals), parts: make(map[string][]part), troubled: make(map[pair]bool),
	}
	for _, i := range all {
		o.integrations[i.UniqueKey] = i
	}
	keys := c.token.Integrations
	if integration != "" {
		if !c.token.AllowsIntegration(integration) {
			return o, nil
		}
		keys = []string{integration}
	}
	if len(c.token.Connections) > 0 {
		return o, a.overviewOfFew(c, o, keys)
	}
	// The groups come first: what is found troubled after that is told once.
	groups, err := a.cfg.Catalog.Groups(c.r.Context(), keys)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		state := a.stateIn(o.integrations[g.Integration], g)
		o.parts[state] = append(o.parts[state], part{group: g})
		o.count(g.Integration, state, g.Count)
	}
	a.findTroubled(o)
	return o, nil
}

// overviewOfFew is overview for a token that is limited to some connections.
func (a *API) overviewOfFew(c *call, o *overview, keys []string) error {
	list, err := a.few(c, catalog.ConnectionFilter{Integrations: keys})
	if err != nil {
		return err
	}
	for _, conn := range list {
		state := a.stateOf(o.integrations[conn.Integration], conn).Status
		o.parts[state] = append(o.parts[state], part{rows: []*catalog.Connection{conn}})
		o.count(conn.Integration, state, 1)
	}
	return nil
}

// findTroubled moves connections to another state whose key this node cannot
// get, or sees refused, which their rows do not tell.
func (a *API) findTroubled(o *overview) {
	found := make(map[string][]*catalog.Connection)
	for conn, live := range a.cfg.Status.Held() {
		if !troubles(live.State) {
			continue
		}
		was := a.stateIn(o.integrations[conn.Integration], groupOf(conn))
		// A row that came since was not counted, nor one that is not asked for.
		if was != StateOK && was != StateUnknown || *o.of(conn.Integration).at(was) == 0 {
			continue
		}
		o.count(conn.Integration, was, -1)
		o.count(conn.Integration, live.State, 1)
		o.troubled[pair{conn.Integration, conn.ID}] = true
		found[live.State] = append(found[live.State], conn)
	}
	for state, rows := range found {
		slices.SortFunc(rows, newestFirst)
		o.parts[state] = append(o.parts[state], part{rows: rows})
	}
}

// newestFirst orders connections as the catalog does.
func newestFirst(x, y *catalog.Connection) int {
	if c := y.CreatedAt.Compare(x.CreatedAt); c != 0 {
		return c // nearly always: in an outage there are many to compare
	}
	return cmp.Or(cmp.Compare(x.ID, y.ID), cmp.Compare(x.Integration, y.Integration))
}

// troubles tells whether what a node knows of a key outdoes a row against which
// nothing speaks.
func troubles(state string) bool {
	return state == StateMissing || state == StateStale || state == StateAuthFailed
}

func (o *overview) count(integration, state string, n int) {
	*o.totals.at(state) += n
	*o.of(integration).at(state) += n
}

// of returns the totals of an integration.
func (o *overview) of(integration string) *totals {
	if o.by[integration] == nil {
		o.by[integration] = new(totals)
	}
	return o.by[integration]
}

// page reads the connections of a page of those in wanted states. More tells
// whether a further one has some.
func (o *overview) page(ctx context.Context, p page, wanted func(state string) bool) (list []*catalog.Connection, more bool, err error) {
	at := 0
	for state := range o.totals.all() {
		if !wanted(state) {
			continue
		}
		for _, part := range o.parts[state] {
			from, to := max(p.start()-at, 0), min(p.end()-at, part.len())
			if from < to {
				if list, err = o.read(ctx, list, part, from, to); err != nil {
					return nil, false, err
				}
			}
			at += part.len()
		}
	}
	return list, at > p.end(), nil
}

// read appends the connections of a part from one place to another.
func (o *overview) read(ctx context.Context, list []*catalog.Connection, p part, from, to int) ([]*catalog.Connection, error) {
	if p.rows != nil {
		return append(list, p.rows[from:to]...), nil
	}
	rows, err := o.catalog.ConnectionsIn(ctx, p.group, to-from, from)
	if err != nil {
		return nil, err
	}
	for _, conn := range rows {
		if !o.troubled[pair{conn.Integration, conn.ID}] {
			list = append(list, conn)
		}
	}
	return list, nil
}
