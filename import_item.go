package apikeyinject

// This file holds what becomes of an integration or a connection of a file.

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// importer enters items by the management API, and knows what is there.
type importer struct {
	operator
	integrations map[string]bool
	connections  map[[2]string]bool
}

// newImporter asks what is there.
func newImporter(o operator) (*importer, error) {
	m := &importer{operator: o, integrations: make(map[string]bool), connections: make(map[[2]string]bool)}
	all, err := o.integrations()
	if err != nil {
		return nil, err
	}
	for _, raw := range all {
		var i integrationView
		if err := json.Unmarshal(raw, &i); err != nil {
			return nil, err
		}
		m.integrations[i.UniqueKey] = true
	}
	return m, o.connections(make(url.Values), 0, func(raw json.RawMessage) error {
		var c connectionView
		err := json.Unmarshal(raw, &c)
		m.connections[[2]string{c.Integration, c.ID}] = true
		return err
	})
}

// enter does what an item says. made tells whether it was not there before.
func (m *importer) enter(item importItem) (what string, made bool, err error) {
	switch {
	case item.err != nil:
		return "", false, item.err
	case item.connection:
		return m.enterConnection(item.raw)
	}
	return m.enterIntegration(item.raw)
}

func (m *importer) enterIntegration(raw json.RawMessage) (what string, made bool, err error) {
	fields, err := pick(raw, integrationFields)
	if err != nil {
		return "", false, errNotAnItem
	}
	var key, provider string
	if json.Unmarshal(fields["unique_key"], &key) != nil || checkNames(key, "") != nil {
		return "", false, errors.New("its unique_key cannot name an integration")
	}
	what = "integration " + key
	if fields["provider"] != nil && (json.Unmarshal(fields["provider"], &provider) != nil || !strings.HasPrefix(provider, "private-api-")) {
		return what, false, errors.New("its provider is not one whose keys are kept here: private-api-generic and private-api-bearer are")
	}
	if m.integrations[key] {
		delete(fields, "unique_key")
		delete(fields, "provider")
		if fields["disabled"] == nil {
			fields["disabled"] = json.RawMessage("false")
		}
		return what, false, m.do(http.MethodPatch, integrationPath(key, ""), fields, new(json.RawMessage))
	}
	if fields["integration_config"] == nil {
		return what, false, errors.New("it has no integration_config, which a Nango server does not tell: add it to the line, or make the integration first")
	}
	if err := m.do(http.MethodPost, "integrations", fields, new(json.RawMessage)); err != nil {
		return what, false, err
	}
	m.integrations[key] = true
	return what, true, nil
}

// importedConnection is a connection in a file. Fields of a Nango server that
// are not here, such as times, are its own.
type importedConnection struct {
	Integration string          `json:"provider_config_key"`
	ID          string          `json:"connection_id"`
	Key         *keyText        `json:"apiKey"`
	Config      json.RawMessage `json:"connection_config"`
	Metadata    json.RawMessage `json:"metadata"`
	Tags        map[string]any  `json:"tags"`
	EndUser     map[string]any  `json:"end_user"`
	Webhook     json.RawMessage `json:"webhook_url_override"`
	Disabled    bool            `json:"disabled"`
	Credentials *struct {
		Type string   `json:"type"`
		Key  *keyText `json:"apiKey"`
		Ends string   `json:"expires_at"`
	} `json:"credentials"`
}

// decodeConnection reads a connection. Its errors hold nothing of a value.
func decodeConnection(raw json.RawMessage) (*importedConnection, error) {
	c := new(importedConnection)
	err := json.Unmarshal(raw, c)
	if typ, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return nil, fmt.Errorf("its field %s is of a wrong type", typ.Field)
	}
	if err != nil {
		return nil, errors.New("its key must be a string")
	}
	if c.ID == "" || checkNames(c.Integration, c.ID) != nil {
		return nil, errors.New("its provider_config_key and connection_id cannot name a connection")
	}
	if k := c.Credentials; k != nil {
		if k.Type != "" && k.Type != "API_KEY" {
			return c, errors.New("its credentials are of a type that is not kept here: API keys are")
		}
		if c.Key == nil {
			c.Key = k.Key
		}
	}
	return c, nil
}

// ends is when the key runs out, empty where that is not said.
func (c *importedConnection) ends() string {
	if c.Credentials == nil {
		return ""
	}
	return c.Credentials.Ends
}

// described returns the description, as both POST and PATCH take it.
func (c *importedConnection) described() map[string]any {
	body := make(map[string]any)
	for name, raw := range map[string]json.RawMessage{"connection_config": c.Config, "webhook_url_override": c.Webhook} {
		if len(raw) > 0 && string(raw) != "null" {
			body[name] = raw
		}
	}
	if len(c.EndUser) > 0 {
		dropNulls(c.EndUser)
		body["end_user"] = c.EndUser
	}
	if len(c.Tags) > 0 {
		// Those that the end user adds come back with it.
		maps.DeleteFunc(c.Tags, func(name string, _ any) bool { return slices.Contains(userTagNames, name) && len(c.EndUser) > 0 })
		body["tags"] = c.Tags
	}
	return body
}

// userTagNames are the tags that an end user adds to a connection.
var userTagNames = []string{"end_user_id", "end_user_email", "end_user_display_name", "organization_id", "organization_display_name"}

// dropNulls takes out what Nango answers for what it does not know.
func dropNulls(object map[string]any) {
	maps.DeleteFunc(object, func(_ string, v any) bool {
		if below, ok := v.(map[string]any); ok {
			dropNulls(below)
		}
		return v == nil
	})
}

func (m *importer) enterConnection(raw json.RawMessage) (what string, made bool, err error) {
	c, err := decodeConnection(raw)
	if c != nil && c.ID != "" {
		what = "connection " + c.ID + " of " + c.Integration
	}
	if err != nil {
		return what, false, err
	}
	name := [2]string{c.Integration, c.ID}
	there := m.connections[name]
	body := c.described()
	hasMetadata := len(c.Metadata) > 0 && string(c.Metadata) != "null"
	switch {
	case c.Key != nil:
		body["provider_config_key"], body["connection_id"], body["credentials"] = c.Integration, c.ID, clearCredentials(c.Key, c.ends())
		if hasMetadata {
			body["metadata"] = c.Metadata
		}
		if err := m.do(http.MethodPost, "connections", body, new(json.RawMessage)); err != nil {
			return what, false, err
		}
		m.connections[name] = true
		if there || c.Disabled {
			err = m.do(http.MethodPatch, connectionPath(c.Integration, c.ID, ""), map[string]bool{"disabled": c.Disabled}, new(json.RawMessage))
		}
		return what, !there, err
	case !there:
		return what, false, errors.New(`it is not here yet, and the file holds no key for it: add "apiKey" to the line, or make it with caddy apikey-inject connections create`)
	}
	body["disabled"] = c.Disabled
	if err := m.do(http.MethodPatch, connectionPath(c.Integration, c.ID, ""), body, new(json.RawMessage)); err != nil || !hasMetadata {
		return what, false, err
	}
	return what, false, m.do(http.MethodPost, "connections/metadata", map[string]any{
		"provider_config_key": c.Integration, "connection_id": c.ID, "metadata": c.Metadata,
	}, new(json.RawMessage))
}
