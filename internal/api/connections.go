package api

// This file holds how connections are read and deleted.

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func connectionOperations() []*operation {
	return []*operation{
		op(operation{
			method: "GET", path: "/connections", id: "listConnections", summary: "List connections, without their keys",
			scope: ScopeConnectionsRead,
		}, (*API).listConnections),
		op(operation{
			method: "POST", path: "/connections", id: "importConnection", summary: "Enter a key: a new connection, or another key for one",
			scope: ScopeConnectionsWrite, action: "connection.enter", status: http.StatusCreated, refusals: changing,
		}, (*API).enterConnection),
		op(operation{
			method: "GET", path: "/connections/{id}", id: "getConnection", summary: "Read a connection, without its key",
			scope: ScopeConnectionsRead, refusals: []int{http.StatusNotFound},
		}, (*API).getConnection),
		op(operation{
			method: "PATCH", path: "/connections/{id}", id: "patchConnection", summary: "Change the description of a connection",
			scope: ScopeConnectionsWrite, action: "connection.update", refusals: changing,
		}, (*API).patchConnection),
		op(operation{
			method: "DELETE", path: "/connections/{id}", id: "deleteConnection", summary: "Delete a connection, and destroy every version of its key",
			scope: ScopeConnectionsWrite, action: "connection.delete", refusals: changing,
		}, (*API).deleteConnection),
		op(operation{
			method: "PUT", path: "/connections/{id}/credentials", id: "putCredentials", summary: "Rotate the key of a connection",
			scope: ScopeConnectionsWrite, action: "connection.rotate", refusals: changing,
		}, (*API).putCredentials),
		op(operation{
			method: "POST", path: "/connections/{id}/disable", id: "disableConnection", summary: "Refuse every request for a connection",
			scope: ScopeConnectionsWrite, action: "connection.disable", refusals: changing,
		}, func(a *API, c *call, in *connectionWrite) (*done, error) { return a.switchConnection(c, in, true) }),
		op(operation{
			method: "POST", path: "/connections/{id}/enable", id: "enableConnection", summary: "Let requests for a connection pass again",
			scope: ScopeConnectionsWrite, action: "connection.enable", refusals: changing,
		}, func(a *API, c *call, in *connectionWrite) (*done, error) { return a.switchConnection(c, in, false) }),
		op(operation{
			method: "POST", path: "/connections/metadata", id: "setMetadata", summary: "Replace the metadata of connections",
			scope: ScopeConnectionsWrite, action: "connection.set_metadata", status: http.StatusCreated, refusals: changing,
		}, (*API).setMetadata),
		op(operation{
			method: "PATCH", path: "/connections/metadata", id: "updateMetadata", summary: "Merge into the metadata of connections",
			scope: ScopeConnectionsWrite, action: "connection.update_metadata", refusals: changing,
		}, (*API).updateMetadata),
	}
}

type listConnections struct {
	ConnectionID   string            `query:"connectionId"`
	Search         string            `query:"search" maxLength:"255" description:"Part of the id, or of the end user's id, email or display name."`
	EndUserID      string            `query:"endUserId"`
	OrganizationID string            `query:"endUserOrganizationId"`
	Integrations   string            `query:"integrationId" maxLength:"65536" description:"One or more unique keys, parted by commas."`
	Tags           map[string]string `query:"tags" maxProperties:"10"`
	Limit          int               `query:"limit" minimum:"1" maximum:"10000" default:"10000"`
	Page           int               `query:"page" minimum:"0" maximum:"1000000" default:"0" description:"From 0."`

	before time.Time // their keys were written before; zero: at any time
	from   int       // the first of these to be listed
}

// defaultLimit is a page when none is asked for: Nango's clients that know no
// pages expect all.
const defaultLimit = 10000

func (a *API) listConnections(c *call, in *listConnections) (*connectionsAnswer, error) {
	list, err := a.connections(c, in)
	if err != nil {
		return nil, err
	}
	of, err := a.byKey(c.r.Context())
	if err != nil {
		return nil, err
	}
	answer := &connectionsAnswer{Connections: []connectionSummary{}}
	for _, conn := range list {
		answer.Connections = append(answer.Connections, a.summary(of[conn.Integration], conn))
	}
	return answer, nil
}

// connections returns the page of connections that is asked for, of those that
// the token may see.
func (a *API) connections(c *call, in *listConnections) ([]*catalog.Connection, error) {
	f := catalog.ConnectionFilter{
		ID: in.ConnectionID, Search: in.Search, EndUserID: in.EndUserID, OrganizationID: in.OrganizationID, Tags: lowered(in.Tags), KeyBefore: in.before,
	}
	limit := in.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	if in.Integrations != "" {
		f.Integrations = strings.Split(in.Integrations, ",")
	}
	if own := c.token.Integrations; len(own) > 0 {
		if f.Integrations == nil {
			f.Integrations = own
		} else {
			f.Integrations = slices.DeleteFunc(f.Integrations, func(k string) bool { return !slices.Contains(own, k) })
		}
		if len(f.Integrations) == 0 { // which to the catalog means all
			return nil, nil
		}
	}
	if len(c.token.Connections) == 0 {
		f.Limit, f.Offset = limit, limit*in.Page+in.from
		return a.cfg.Catalog.Connections(c.r.Context(), f)
	}
	all, err := a.few(c, f)
	if err != nil {
		return nil, err
	}
	from := min(limit*in.Page+in.from, len(all))
	return all[from:min(from+limit, len(all))], nil
}

// few returns the connections that f picks of those that the token is limited to,
// the newest first. Each id is asked for by itself: a token has few.
func (a *API) few(c *call, f catalog.ConnectionFilter) ([]*catalog.Connection, error) {
	var all []*catalog.Connection
	wanted := f.ID
	for n, id := range c.token.Connections {
		if wanted != "" && id != wanted || slices.Contains(c.token.Connections[:n], id) {
			continue
		}
		f.ID = id
		list, err := a.cfg.Catalog.Connections(c.r.Context(), f)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	slices.SortFunc(all, newestFirst)
	return all, nil
}

func lowered(tags map[string]string) map[string]string {
	out := make(map[string]string, len(tags))
	for name, value := range tags {
		out[strings.ToLower(name)] = value
	}
	return out
}

// byKey returns all integrations by their unique keys.
func (a *API) byKey(ctx context.Context) (map[string]*catalog.Integration, error) {
	all, err := a.integrations(ctx)
	if err != nil {
		return nil, err
	}
	of := make(map[string]*catalog.Integration, len(all))
	for _, i := range all {
		of[i.UniqueKey] = i
	}
	return of, nil
}

// connection returns what a path names, and its integration.
func (a *API) connection(c *call, in *connectionPath) (*catalog.Integration, *catalog.Connection, error) {
	c.note(in.Integration, in.ID)
	if err := c.mayUseConnection(in.Integration, in.ID); err != nil {
		return nil, nil, err
	}
	if err := store.CheckSegment(in.ID); err != nil {
		return nil, nil, refuse(http.StatusBadRequest, "invalid_uri_params", "The connection id is ill-formed: %v", err)
	}
	i, err := a.known(c.r.Context(), in.Integration, noProviderConfig)
	if err != nil {
		return nil, nil, err
	}
	conn, err := a.cfg.Catalog.Connection(c.r.Context(), in.Integration, in.ID)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil, nil, noConnection(in.Integration, in.ID)
	}
	return i, conn, err
}

type getConnection struct {
	connectionPath

	ForceRefresh  bool `query:"force_refresh" description:"Accepted for Nango's clients, without effect: so are the two below."`
	RefreshToken  bool `query:"refresh_token"`
	RefreshGithub bool `query:"refresh_github_app_jwt_token"`
}

func (a *API) getConnection(c *call, in *getConnection) (*connectionData, error) {
	i, conn, err := a.connection(c, &in.connectionPath)
	if err != nil {
		return nil, err
	}
	c.tag(conn.CreatedAt, conn.Revision)
	return a.connectionData(i, conn), nil
}

func (a *API) deleteConnection(c *call, in *connectionWrite) (*done, error) {
	c.note(in.Integration, in.ID)
	if err := c.mayUseConnection(in.Integration, in.ID); err != nil {
		return nil, err
	}
	// The integration may be gone, from the Caddy config: what it leaves behind
	// can be deleted all the same.
	conn, err := a.cfg.Catalog.Connection(c.r.Context(), in.Integration, in.ID)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil, noConnection(in.Integration, in.ID)
	}
	if err != nil {
		return nil, err
	}
	if err := c.expect(conn.CreatedAt, conn.Revision); err != nil {
		return nil, err
	}
	// Who asked may leave; what is begun here is ended.
	err = a.cfg.Keys.Remove(context.WithoutCancel(c.r.Context()), in.Integration, in.ID)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil, noConnection(in.Integration, in.ID)
	}
	if err != nil {
		return nil, err
	}
	return &done{Success: true}, nil
}
