package apikeyinject

// This file holds `caddy apikey-inject connections`, and how they are made and deleted.

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

func connectionsCommand() *cobra.Command {
	list := operatorFlags(&cobra.Command{
		Use:   "list [--integration <integration>] [--search <text>] [--tag name=value]...",
		Short: "Lists connections, without their keys",
		RunE:  operate(listConnections),
	})
	list.Flags().String("integration", "", "Only those of this integration, or of several parted by commas")
	list.Flags().String("search", "", "Only those with this in their id, or in the end user's id, email or display name")
	list.Flags().String("end-user", "", "Only those of the end user with this id")
	list.Flags().String("organization", "", "Only those of the organization with this id")
	list.Flags().StringArray("tag", nil, "Only those with this tag, name=value; may be repeated")
	list.Flags().Int("limit", 0, "At most so many (default all)")
	show := operatorFlags(&cobra.Command{
		Use:   "show <integration> <connection>",
		Short: "Shows a connection, without its key",
		RunE:  operate(showConnection),
	})
	create := operatorFlags(&cobra.Command{
		Use:   "create <integration> [<connection>] [--connection-config name=value]... [--tag name=value]...",
		Short: "Makes a connection with a key, read from standard input or asked for",
		Long: `
Makes a connection, whose key is typed when asked or given on standard input:

	$ caddy apikey-inject connections create acme-internal cust-1
	API key for acme-internal/cust-1 (it is not shown):

Without an id it gets a random one. For a connection that is there already, see
caddy apikey-inject rotate.`,
		RunE: operate(createConnection),
	})
	descriptionFlags(create)
	endFlag(create)
	remove := operatorFlags(&cobra.Command{
		Use:   "delete <integration> <connection>",
		Short: "Deletes a connection, and destroys every version of its key",
		RunE:  operate(deleteConnection),
	})
	return group(&cobra.Command{
		Use:   "connections list|show|create|update|delete",
		Short: "Manages connections in the running Caddy",
	}, list, show, create, updateConnectionCommand(), remove)
}

func createConnection(fl caddycmd.Flags, o operator) error {
	integration, id, err := namesOf(fl, "connections create <integration> [<connection>]", 1)
	if err != nil {
		return err
	}
	body, err := connectionBody(fl)
	if err != nil {
		return err
	}
	body["provider_config_key"] = integration
	about := integration
	if id != "" {
		there, err := o.exists(integration, id)
		if err != nil {
			return err
		}
		if there {
			return fmt.Errorf("there is a connection %q of integration %q already; caddy apikey-inject rotate changes its key", id, integration)
		}
		body["connection_id"] = id
		about += "/" + id
	}
	key, err := readKey(os.Stdin, os.Stderr, about)
	if err != nil {
		return err
	}
	body["credentials"] = clearCredentials(key, fl.String("expires-at"))
	return enterConnection(fl, o, http.MethodPost, "connections", body, "Made")
}

// descriptionFlags are those of what describes a connection.
func descriptionFlags(cmd *cobra.Command) {
	cmd.Flags().StringArray("connection-config", nil, "An entry for ${connectionConfig.name}, name=value; may be repeated")
	cmd.Flags().StringArray("tag", nil, "A tag, name=value; may be repeated")
	cmd.Flags().String("metadata", "", "Metadata, a JSON object")
	cmd.Flags().String("end-user", "", "The id of the end user it belongs to")
	cmd.Flags().String("end-user-email", "", "The end user's email")
	cmd.Flags().String("end-user-name", "", "The end user's display name")
}

// connectionBody is what the flags of create and update say.
func connectionBody(fl caddycmd.Flags) (map[string]any, error) {
	body := make(map[string]any)
	for flag, field := range map[string]string{"connection-config": "connection_config", "tag": "tags"} {
		pairs, err := pairsOf(fl, flag)
		if err != nil {
			return nil, err
		}
		if pairs != nil {
			body[field] = pairs
		}
	}
	if s := fl.String("metadata"); s != "" {
		if !json.Valid([]byte(s)) {
			return nil, errors.New("--metadata is no JSON")
		}
		body["metadata"] = json.RawMessage(s)
	}
	user := make(map[string]string)
	for flag, field := range map[string]string{"end-user": "id", "end-user-email": "email", "end-user-name": "display_name"} {
		if s := fl.String(flag); s != "" {
			user[field] = s
		}
	}
	if len(user) > 0 {
		body["end_user"] = user
	}
	return body, nil
}

// endFlag is the flag of a key's end.
func endFlag(cmd *cobra.Command) {
	cmd.Flags().String("expires-at", "", "When the key runs out: 2027-01-31T00:00:00Z")
}

// clearCredentials holds a key in clear, for a request's body: keyText would
// not show it. Without an end the key has none.
func clearCredentials(key *keyText, end string) map[string]string {
	c := map[string]string{"type": "API_KEY", "apiKey": key.Reveal()}
	if end != "" {
		c["expires_at"] = end
	}
	return c
}

// enterConnection sends a key, and says what became of it.
func enterConnection(fl caddycmd.Flags, o operator, method, path string, body any, did string) error {
	var raw json.RawMessage
	if err := o.do(method, path, body, &raw); err != nil {
		return err
	}
	return present(fl, raw, func(c *connectionView) error {
		_, err := fmt.Printf("%s connection %s of %s, version %d of its key.\n", did, c.ID, c.Integration, c.Version)
		return err
	})
}

func deleteConnection(fl caddycmd.Flags, o operator) error {
	integration, id, err := namesOf(fl, "connections delete <integration> <connection>", 2)
	if err != nil {
		return err
	}
	return o.finish(fl, http.MethodDelete, connectionPath(integration, id, ""), "Deleted connection "+id+" of "+integration+", and its key")
}
