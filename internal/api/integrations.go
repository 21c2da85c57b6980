package api

// This file holds how integrations are read, made and deleted.

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

const keyTaken = "Unique key already exists"

func integrationOperations() []*operation {
	return []*operation{
		op(operation{
			method: "GET", path: "/integrations", id: "listIntegrations", summary: "List integrations",
			scope: ScopeIntegrationsRead,
		}, (*API).listIntegrations),
		op(operation{
			method: "POST", path: "/integrations", id: "createIntegration", summary: "Create an integration",
			scope: ScopeIntegrationsWrite, action: "integration.create", refusals: []int{http.StatusConflict},
		}, (*API).createIntegration),
		op(operation{
			method: "GET", path: "/integrations/{unique_key}", id: "getIntegration", summary: "Read an integration",
			scope: ScopeIntegrationsRead, refusals: []int{http.StatusNotFound},
		}, (*API).getIntegration),
		op(operation{
			method: "PATCH", path: "/integrations/{unique_key}", id: "updateIntegration", summary: "Change fields of an integration",
			scope: ScopeIntegrationsWrite, action: "integration.update", refusals: changing,
		}, (*API).updateIntegration),
		op(operation{
			method: "DELETE", path: "/integrations/{unique_key}", id: "deleteIntegration", summary: "Delete an integration, with force also its connections and keys",
			scope: ScopeIntegrationsWrite, action: "integration.delete", refusals: changing,
		}, (*API).deleteIntegration),
		op(operation{
			method: "POST", path: "/integrations/{unique_key}/confirm_origin", id: "confirmOrigin", summary: "Let older connections follow the base URL to another origin",
			scope: ScopeConnectionsWrite, action: "integration.confirm_origin", refusals: changing,
		}, (*API).confirmOrigin),
		op(operation{
			method: "POST", path: "/integrations/{unique_key}/disable", id: "disableIntegration", summary: "Refuse every request of an integration",
			scope: ScopeIntegrationsWrite, action: "integration.disable", refusals: changing,
		}, func(a *API, c *call, in *integrationWrite) (*done, error) {
			return a.switchIntegration(c, in.Key, true)
		}),
		op(operation{
			method: "POST", path: "/integrations/{unique_key}/enable", id: "enableIntegration", summary: "Let requests of an integration pass again",
			scope: ScopeIntegrationsWrite, action: "integration.enable", refusals: changing,
		}, func(a *API, c *call, in *integrationWrite) (*done, error) {
			return a.switchIntegration(c, in.Key, false)
		}),
	}
}

// changing are the refusals of what changes something that must be there.
var changing = []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed}

type nothing struct{}

// integrationWrite names an integration that is changed without a body.
type integrationWrite struct {
	condition

	Key string `path:"unique_key"`
}

func (a *API) listIntegrations(c *call, _ *nothing) (*integrationsAnswer, error) {
	all, err := a.integrations(c.r.Context())
	if err != nil {
		return nil, err
	}
	answer := &integrationsAnswer{Data: []integrationData{}}
	for _, i := range all {
		if c.token.AllowsIntegration(i.UniqueKey) {
			answer.Data = append(answer.Data, a.integrationData(i))
		}
	}
	return answer, nil
}

// integrations returns all that there are, by unique key. Those of the Caddy
// config hide the catalog's of the same key.
func (a *API) integrations(ctx context.Context) ([]*catalog.Integration, error) {
	all := slices.Clone(a.cfg.Static.Integrations())
	made, err := a.cfg.Catalog.Integrations(ctx)
	if err != nil {
		return nil, err
	}
	for _, i := range made {
		if _, ok := a.cfg.Static.Where(i.UniqueKey); !ok {
			all = append(all, i)
		}
	}
	slices.SortFunc(all, func(x, y *catalog.Integration) int { return strings.Compare(x.UniqueKey, y.UniqueKey) })
	return all, nil
}

// integration returns the one of a unique key, or [catalog.ErrNotFound].
func (a *API) integration(ctx context.Context, key string) (*catalog.Integration, error) {
	if _, ok := a.cfg.Static.Where(key); ok {
		for _, i := range a.cfg.Static.Integrations() {
			if i.UniqueKey == key {
				return i, nil
			}
		}
	}
	return a.cfg.Catalog.Integration(ctx, key)
}

// known is [API.integration] for what a request names: none makes the answer where
// there is none.
func (a *API) known(ctx context.Context, key string, none func(key string) *Error) (*catalog.Integration, error) {
	i, err := a.integration(ctx, key)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil, none(key)
	}
	return i, err
}

type getIntegration struct {
	Key     string `path:"unique_key"`
	Include string `query:"include" enum:"webhook,credentials" description:"Accepted for Nango's clients; both are null for API keys."`
}

func (a *API) getIntegration(c *call, in *getIntegration) (*integrationAnswer, error) {
	if err := c.mayUse(in.Key); err != nil {
		return nil, err
	}
	i, err := a.known(c.r.Context(), in.Key, noIntegration)
	if err != nil {
		return nil, err
	}
	if i.Revision > 0 { // the Caddy config counts none
		c.tag(i.CreatedAt, i.Revision)
	}
	answer := a.integrationAnswer(i)
	switch in.Include {
	case "webhook":
		answer.Data.WebhookURL = null
	case "credentials":
		answer.Data.Credentials = null
	}
	return answer, nil
}

func (a *API) createIntegration(c *call, in *createIntegration) (*integrationAnswer, error) {
	c.note(in.UniqueKey, "")
	if err := c.mayUse(in.UniqueKey); err != nil {
		return nil, err
	}
	if err := a.notStatic(in.UniqueKey); err != nil {
		return nil, err
	}
	i := newIntegration(in.Provider, in.UniqueKey)
	in.over(c, i)
	a.checkIntegration(i, &c.faults)
	if len(c.faults.list) > 0 { // the catalog would say it only for a good body
		if _, err := a.cfg.Catalog.Integration(c.r.Context(), in.UniqueKey); err == nil {
			c.faults.add(wrongCustom, keyTaken, "unique_key")
		}
		return nil, c.faults.body()
	}
	if err := a.mayAdopt(c, in.UniqueKey); err != nil {
		return nil, err
	}
	err := a.cfg.Catalog.CreateIntegration(c.r.Context(), i)
	if errors.Is(err, catalog.ErrExists) {
		return nil, oneFault(wrongCustom, keyTaken, "unique_key")
	}
	if err != nil {
		return nil, err
	}
	c.tag(i.CreatedAt, i.Revision)
	return a.integrationAnswer(i), nil
}

// mayAdopt refuses to make an integration, or give one the name, for
// connections that are there: of one that was taken out of the Caddy config. See
// [API.mayRedirect].
func (a *API) mayAdopt(c *call, key string) error {
	if c.mayTouchConnections() == nil {
		return nil
	}
	n, err := a.cfg.Catalog.CountConnections(c.r.Context(), key)
	if err != nil || n == 0 {
		return err
	}
	return forbidden("There are connections of a former integration %q: to make one for them needs a token with the scope %s for all of them", key, ScopeConnectionsWrite)
}

// notStatic refuses a change of what the Caddy config defines.
func (a *API) notStatic(key string) error {
	where, ok := a.cfg.Static.Where(key)
	if !ok {
		return nil
	}
	return conflict("Integration %q is defined in the Caddy config (%s) and can only be changed there", key, where)
}

// own returns an integration that this call may change.
func (a *API) own(c *call, key string) (*catalog.Integration, error) {
	c.note(key, "")
	if err := c.mayUse(key); err != nil {
		return nil, err
	}
	if err := c.mayConcernAll(); err != nil {
		return nil, err
	}
	if err := a.notStatic(key); err != nil {
		return nil, err
	}
	i, err := a.cfg.Catalog.Integration(c.r.Context(), key)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil, noIntegration(key)
	}
	if err != nil {
		return nil, err
	}
	return i, c.expect(i.CreatedAt, i.Revision)
}
