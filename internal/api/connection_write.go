package api

// This file holds how keys are entered and connections described.

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// enterConnection makes a connection, or enters another key for one and changes
// what is given of its description.
func (a *API) enterConnection(c *call, in *createConnection) (*connectionData, error) {
	id := uuid.NewString()
	if in.ID != nil {
		id = *in.ID
	}
	c.note(in.Integration, id)
	if err := c.mayUseConnection(in.Integration, id); err != nil {
		return nil, err
	}
	ctx := c.r.Context()
	i, err := a.known(ctx, in.Integration, noProviderConfig)
	if err != nil {
		return nil, err
	}
	conn := &catalog.Connection{Integration: in.Integration, ID: id}
	old, err := a.cfg.Catalog.Connection(ctx, in.Integration, id)
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		err = c.expectNone()
	case err == nil:
		copied := *old
		conn, err = &copied, c.expect(old.CreatedAt, old.Revision)
	}
	if err != nil {
		return nil, err
	}
	if in.Config != nil {
		conn.Config = in.Config
		if err := a.checkConfig(i, conn); err != nil {
			return nil, err
		}
	}
	if in.Metadata != nil {
		conn.Metadata = []byte(in.Metadata)
	}
	if in.WebhookURL != nil {
		conn.WebhookURLOverride = *in.WebhookURL
	}
	retag(conn, in.EndUser, in.Tags)
	conn.KeyExpiresAt = in.Credentials.at
	return a.enter(c, i, conn, in.Credentials.APIKey, "credentials", "apiKey")
}

// enter stores a key with its description, unless the upstream refuses it, and
// returns what is there then. path is where the key stands in the body.
func (a *API) enter(c *call, i *catalog.Integration, conn *catalog.Connection, key secret.Value, path ...any) (*connectionData, error) {
	if _, err := a.try(c.r.Context(), i, conn, key, path...); err != nil {
		return nil, err
	}
	if err := a.cfg.Keys.Enter(c.r.Context(), conn, key); err != nil {
		return nil, err
	}
	c.tag(conn.CreatedAt, conn.Revision)
	return a.connectionData(i, conn), nil
}

// checkConfig refuses values that would lead the integration's base URL astray.
func (a *API) checkConfig(i *catalog.Integration, conn *catalog.Connection) error {
	err := a.cfg.CheckConfig(i.BaseURL, conn.Config)
	if err == nil {
		return nil
	}
	var fs faults
	fs.addDetail(wrongValue, "Connection config does not fit the integration's base URL", err.Error(), "connection_config")
	return fs.body()
}

func (a *API) putCredentials(c *call, in *putCredentials) (*connectionData, error) {
	i, conn, err := a.writable(c, &in.connectionPath)
	if err != nil {
		return nil, err
	}
	conn.KeyExpiresAt = in.at
	return a.enter(c, i, conn, in.APIKey, "apiKey")
}

// writable is [API.connection] for a write: a copy, in the state that the
// caller expects.
func (a *API) writable(c *call, in *connectionPath) (*catalog.Integration, *catalog.Connection, error) {
	i, conn, err := a.connection(c, in)
	if err != nil {
		return nil, nil, err
	}
	copied := *conn
	return i, &copied, c.expect(conn.CreatedAt, conn.Revision)
}

// patched is Nango's answer to a PATCH and, beside it, what became of the
// connection.
type patched struct {
	Success bool `json:"success" required:"true"`

	connectionData
}

func (a *API) patchConnection(c *call, in *patchConnection) (*patched, error) {
	i, conn, err := a.writable(c, &in.connectionPath)
	if err != nil {
		return nil, err
	}
	if in.Config != nil {
		was := conn.Config
		conn.Config = maps.Clone(filled(conn.Config))
		maps.Copy(conn.Config, in.Config)
		maps.DeleteFunc(conn.Config, func(_, value string) bool { return value == "" })
		if err := a.checkConfig(i, conn); err != nil {
			return nil, err
		}
		if err := c.mayLead(i, was, conn.Config); err != nil {
			return nil, err
		}
	}
	if in.EndUser != nil || in.Tags != nil {
		retag(conn, in.EndUser, in.Tags)
	}
	if in.WebhookURL != nil {
		conn.WebhookURLOverride = *in.WebhookURL
	}
	if in.Disabled != nil {
		conn.Disabled = *in.Disabled
	}
	if err := a.cfg.Catalog.UpdateConnection(c.r.Context(), conn); err != nil {
		return nil, err
	}
	c.tag(conn.CreatedAt, conn.Revision)
	return &patched{true, *a.connectionData(i, conn)}, nil
}

// mayLead refuses values that lead the key that is there to another place,
// where the base URL has them, to a token that may not write integrations: what
// it may write are keys. With a key of its own it may, as that is entered for
// the place it names.
func (c *call) mayLead(i *catalog.Integration, was, is map[string]string) error {
	t, err := inject.ParseBaseTemplate(i.BaseURL)
	if err != nil {
		return nil //nolint:nilerr // it leads nowhere
	}
	moved := func(name string) bool { return was[name] != is[name] }
	if !slices.ContainsFunc(t.Fields(), moved) || c.token.Allows(ScopeIntegrationsWrite) {
		return nil
	}
	return forbidden("The base URL is made of this connection_config: to lead a key elsewhere enter it anew with POST /connections, or use a token with the scope %s", ScopeIntegrationsWrite)
}

func (a *API) switchConnection(c *call, in *connectionWrite, disabled bool) (*done, error) {
	_, conn, err := a.writable(c, &in.connectionPath)
	if err != nil {
		return nil, err
	}
	if conn.Disabled != disabled {
		conn.Disabled = disabled
		if err := a.cfg.Catalog.UpdateConnection(c.r.Context(), conn); err != nil {
			return nil, fmt.Errorf("switching a connection: %w", err)
		}
	}
	return &done{Success: true}, nil
}
