package apikeyinject

// This file holds how connections are listed and shown.

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// connectionView is what people are shown of a connection.
type connectionView struct {
	ID          string  `json:"connection_id"`
	Integration string  `json:"provider_config_key"`
	Status      string  `json:"status"`
	Version     int     `json:"key_version"`
	Age         *int64  `json:"key_age_seconds"`
	LastUsed    *string `json:"last_used_at"`
	LastFailure *string `json:"last_auth_failure_at"`
	ExpiresAt   *string `json:"expires_at"`
	EndUser     *struct {
		ID string `json:"id"`
	} `json:"end_user"`
	Tags        map[string]string `json:"tags"`
	Config      map[string]string `json:"connection_config"`
	Metadata    json.RawMessage   `json:"metadata"`
	Credentials struct {
		Fingerprint string `json:"fingerprint"`
	} `json:"credentials"`
}

func (c *connectionView) user() string {
	if c.EndUser == nil {
		return ""
	}
	return c.EndUser.ID
}

func connectionQuery(fl caddycmd.Flags) (url.Values, error) {
	query := make(url.Values)
	for flag, name := range map[string]string{
		"integration": "integrationId", "search": "search", "end-user": "endUserId", "organization": "endUserOrganizationId",
	} {
		if s := fl.String(flag); s != "" {
			query.Set(name, s)
		}
	}
	tags, err := pairsOf(fl, "tag")
	for name, value := range tags {
		query.Set("tags["+name+"]", value)
	}
	return query, err
}

func listConnections(fl caddycmd.Flags, o operator) error {
	if fl.NArg() > 0 {
		return errors.New("connections list takes no arguments; see its flags")
	}
	query, err := connectionQuery(fl)
	if err != nil {
		return err
	}
	all := []json.RawMessage{} // [] and not null in JSON
	err = o.connections(query, fl.Int("limit"), func(raw json.RawMessage) error {
		all = append(all, raw)
		return nil
	})
	if err != nil {
		return err
	}
	return presentAll(fl, all, "There are no such connections.",
		[]string{"INTEGRATION", "CONNECTION", "STATUS", "VERSION", "WRITTEN", "USED", "END USER"}, func(c *connectionView) []string {
			return []string{c.Integration, c.ID, c.Status, versionText(c.Version), ago(c.Age), since(c.LastUsed), c.user()}
		})
}

func showConnection(fl caddycmd.Flags, o operator) error {
	integration, id, err := namesOf(fl, "connections show <integration> <connection>", 2)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := o.do(http.MethodGet, connectionPath(integration, id, ""), nil, &raw); err != nil {
		return err
	}
	return present(fl, raw, func(c *connectionView) error {
		metadata := string(c.Metadata)
		if metadata == "null" {
			metadata = ""
		}
		return printPairs(os.Stdout,
			[2]string{"Connection", c.ID}, [2]string{"Integration", c.Integration}, [2]string{"Status", c.Status},
			[2]string{"Key version", versionText(c.Version)}, [2]string{"Key written", ago(c.Age)}, [2]string{"Key fingerprint", c.Credentials.Fingerprint},
			[2]string{"Runs out", since(c.ExpiresAt)},
			[2]string{"Last used", since(c.LastUsed)}, [2]string{"Last refused", since(c.LastFailure)}, [2]string{"End user", c.user()},
			[2]string{"Tags", pairsText(c.Tags)}, [2]string{"Config", pairsText(c.Config)}, [2]string{"Metadata", metadata})
	})
}
