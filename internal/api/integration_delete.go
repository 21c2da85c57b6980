package api

// This file holds how an integration is taken away, for a while or for good.

import (
	"context"
	"errors"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

type deleteIntegration struct {
	condition

	Key   string `path:"unique_key"`
	Force bool   `query:"force" description:"Delete its connections and their keys, too. Needs connections:write."`
}

func (a *API) deleteIntegration(c *call, in *deleteIntegration) (*done, error) {
	i, err := a.own(c, in.Key)
	if err != nil {
		return nil, err
	}
	n, err := a.cfg.Catalog.CountConnections(c.r.Context(), in.Key)
	if err != nil {
		return nil, err
	}
	if n > 0 && in.Force {
		if err := c.mayTouchConnections(); err != nil {
			return nil, err
		}
	}
	// Without connections there is nothing to force: one that is made meanwhile
	// was not counted, and not asked about.
	gone, err := a.cfg.Catalog.DeleteIntegration(c.r.Context(), in.Key, i.Revision, in.Force && n > 0)
	if errors.Is(err, catalog.ErrHasConnections) {
		return nil, conflict("Integration %q has connections; delete them first, or all with ?force=true", in.Key)
	}
	if err != nil {
		return nil, err
	}
	answer := &done{Success: true}
	if len(gone) == 0 {
		return answer, nil
	}
	for _, conn := range gone {
		c.changed = append(c.changed, conn.ID)
	}
	// Who asked may leave; what is begun here is ended.
	if err := a.cfg.Keys.Destroy(context.WithoutCancel(c.r.Context()), gone); err != nil {
		a.cfg.Log.Error("destroying the keys of a deleted integration", "integration", in.Key, "error", err)
		answer.Warnings = []string{"the connections are deleted; not all of their keys could be destroyed yet, which is tried again"}
	}
	return answer, nil
}

// mayTouchConnections refuses a token that may not decide over every
// connection there is.
func (c *call) mayTouchConnections() error {
	if err := c.need(ScopeConnectionsWrite); err != nil {
		return err
	}
	return c.mayConcernAll()
}

// mayConcernAll refuses a token that is limited to some connections: what is
// done to an integration is done to all of its.
func (c *call) mayConcernAll() error {
	if len(c.token.Connections) > 0 {
		return forbidden("This token is limited to some connections, and this concerns all")
	}
	return nil
}

func (a *API) switchIntegration(c *call, key string, disabled bool) (*done, error) {
	i, err := a.own(c, key)
	if err != nil {
		return nil, err
	}
	if i.Disabled != disabled {
		changed := *i
		changed.Disabled = disabled
		if err := a.cfg.Catalog.UpdateIntegration(c.r.Context(), key, &changed); err != nil {
			return nil, err
		}
	}
	return &done{Success: true}, nil
}
