package apikeyinject

// This file holds which keys a configuration names.

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// provisionOnly loads a configuration as far as `caddy validate` does. The logs
// it configures are not opened: their files would be made. Errors go to standard
// error, as everybody's do.
func provisionOnly(config []byte) (*App, error) {
	var c caddy.Config
	if err := caddy.StrictUnmarshalJSON(config, &c); err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	c.Admin = &caddy.AdminConfig{Disabled: true}
	c.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		"default": {BaseLog: caddy.BaseLog{Level: "ERROR"}},
	}}
	ctx, err := caddy.ProvisionContext(&c)
	if err != nil {
		return nil, fmt.Errorf("loading the configuration: %w", err)
	}
	mod, err := ctx.AppIfConfigured("apikey_inject")
	if err != nil {
		return nil, errors.New("the configuration names no key: it has neither the apikey_inject app nor a route with apikey_inject")
	}
	return mod.(*App), nil
}

// toCheck lists each key of the routes and of the integrations without one,
// once. connection stands in where the configuration does not fix one; it may be
// empty.
func (a *App) toCheck(connection string) []*checked {
	uses := slices.Clone(a.refs)
	for _, name := range slices.Sorted(maps.Keys(a.Integrations)) {
		key := a.Integrations[name].Key
		ofConnections := key == nil // which are in the catalog
		if ofConnections {
			key = a.keyOfConnection(name)
		}
		if !slices.ContainsFunc(uses, func(u *keyUse) bool { return u.key == key || ofConnections && u.label == name }) {
			uses = append(uses, &keyUse{label: name, key: key})
		}
	}
	var rows []*checked
	seen := make(map[string]bool)
	for _, u := range uses {
		row := &checked{Integration: u.label, Store: a.storeName(u.key), Field: u.key.Field, key: u.key}
		if u.key.perConnection() {
			row.Connection = connection
			if u.connection != "" && !strings.Contains(u.connection, "{") {
				row.Connection = u.connection
			}
		}
		row.Path = row.address().String()
		if u.key.perConnection() && row.Connection == "" {
			row.Path = u.key.address(connectionID).String()
			row.Result, row.Detail = checkPerConnection, "each connection has a key of its own; try one with --connection"
		}
		if id := strings.Join([]string{row.Integration, row.Store, row.Path, row.Field}, "\x00"); !seen[id] {
			seen[id] = true
			rows = append(rows, row)
		}
	}
	return rows
}
