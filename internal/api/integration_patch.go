package api

// This file holds how an integration is changed, and what a change means for
// the keys that were entered for it as it was.

import (
	"context"
	"errors"
	"reflect"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

const cannotRename = "Can't rename an integration with active connections"

func (a *API) updateIntegration(c *call, in *patchIntegration) (*integrationAnswer, error) {
	old, err := a.own(c, in.Key)
	if err != nil {
		return nil, err
	}
	next := *old
	if in.UniqueKey != nil {
		if next.DisplayName == next.UniqueKey { // it was the default
			next.DisplayName = *in.UniqueKey
		}
		next.UniqueKey = *in.UniqueKey
		if err := a.mayRename(c, in.Key, next.UniqueKey); err != nil {
			return nil, err
		}
	}
	in.over(c, &next)
	a.checkIntegration(&next, &c.faults)
	if err := c.faults.body(); err != nil {
		return nil, err
	}
	if err := a.mayRedirect(c, old, &next); err != nil {
		return nil, err
	}
	err = a.cfg.Catalog.UpdateIntegration(c.r.Context(), in.Key, &next)
	switch {
	case errors.Is(err, catalog.ErrExists):
		return nil, oneFault(wrongCustom, keyTaken, "unique_key")
	case errors.Is(err, catalog.ErrHasConnections):
		return nil, oneFault(wrongCustom, cannotRename, "unique_key")
	case err != nil:
		return nil, err
	}
	c.tag(next.CreatedAt, next.Revision)
	return a.integrationAnswer(&next), nil
}

// mayRename reports, with the other faults, why an integration cannot get
// another unique key.
func (a *API) mayRename(c *call, from, to string) error {
	if from == to {
		return nil
	}
	if err := c.mayUse(to); err != nil {
		return err
	}
	if err := a.notStatic(to); err != nil {
		return err
	}
	if err := a.mayAdopt(c, to); err != nil {
		return err
	}
	n, err := a.cfg.Catalog.CountConnections(c.r.Context(), from)
	if err != nil {
		return err
	}
	if n > 0 {
		c.faults.add(wrongCustom, cannotRename, "unique_key")
	}
	_, err = a.cfg.Catalog.Integration(c.r.Context(), to)
	if err == nil {
		c.faults.add(wrongCustom, keyTaken, "unique_key")
	}
	if errors.Is(err, catalog.ErrNotFound) {
		return nil
	}
	return err
}

// mayRedirect refuses a change of where or how keys go to a token that may not
// write connections, while there are some: it would otherwise get keys that it
// cannot enter or read sent to a place of its choice.
func (a *API) mayRedirect(c *call, old, next *catalog.Integration) error {
	if sameWay(old, next) || c.mayTouchConnections() == nil {
		return nil
	}
	n, err := a.cfg.Catalog.CountConnections(c.r.Context(), old.UniqueKey)
	if err != nil || n == 0 {
		return err
	}
	return forbidden("The integration has connections: to change where or how their keys are sent needs a token with the scope %s for all of them", ScopeConnectionsWrite)
}

// sameWay tells whether keys go to the same place in the same way. The request
// that tries a key carries it, too.
func sameWay(x, y *catalog.Integration) bool {
	return x.BaseURL == y.BaseURL && x.KeyPlacement == y.KeyPlacement && x.KeyName == y.KeyName &&
		x.ValueTemplate == y.ValueTemplate && reflect.DeepEqual(x.Verification, y.Verification)
}

type confirmed struct {
	Success   bool `json:"success" required:"true"`
	Confirmed int  `json:"confirmed" required:"true" description:"How many connections follow now."`
}

// confirmOrigin binds the keys of older connections to the origin that the
// integration has now. The operator looked at an origin before: If-Match ties
// the confirmation to that, as far as it goes; a move in between leaves them
// bound to an origin that is neither used.
func (a *API) confirmOrigin(c *call, in *integrationWrite) (*confirmed, error) {
	c.note(in.Key, "")
	if err := c.mayUse(in.Key); err != nil {
		return nil, err
	}
	if err := c.mayTouchConnections(); err != nil {
		return nil, err
	}
	ctx := c.r.Context()
	i, err := a.known(ctx, in.Key, noIntegration)
	if err != nil {
		return nil, err
	}
	if err := c.expect(i.CreatedAt, i.Revision); err != nil {
		return nil, err
	}
	all, err := a.cfg.Catalog.Connections(ctx, catalog.ConnectionFilter{Integrations: []string{in.Key}})
	if err != nil {
		return nil, err
	}
	origin := a.cfg.Origin(i.BaseURL)
	answer := &confirmed{Success: true}
	for _, conn := range all {
		if conn.Origin == origin {
			continue
		}
		err := a.change(ctx, conn.Integration, conn.ID, func(row *catalog.Connection) error {
			if row.Origin == conn.Origin { // else a key was entered meanwhile, for an origin of its own
				row.Origin = origin
			}
			return nil
		})
		if errors.Is(err, catalog.ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		answer.Confirmed++
	}
	return answer, nil
}

// tries is how often a change of a row is made anew on what somebody else wrote
// in between. Each loss is another one's success, so this is enough but for
// a crowd.
const tries = 8

// change applies fn to a connection and writes it. It is for changes that lose
// nothing of what others write at the same time, such as a merge: on a lost
// race they are made again.
func (a *API) change(ctx context.Context, integration, id string, fn func(*catalog.Connection) error) error {
	var err error
	for range tries {
		var row *catalog.Connection
		row, err = a.cfg.Catalog.Connection(ctx, integration, id)
		if err != nil {
			return err
		}
		next := *row
		if err := fn(&next); err != nil {
			return err
		}
		if err = a.cfg.Catalog.UpdateConnection(ctx, &next); !errors.Is(err, catalog.ErrConflict) {
			return err
		}
	}
	return err
}
