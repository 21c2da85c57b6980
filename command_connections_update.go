package apikeyinject

// This file holds `caddy apikey-inject connections update`.

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

func updateConnectionCommand() *cobra.Command {
	cmd := operatorFlags(&cobra.Command{
		Use:   "update <integration> <connection> [--connection-config name=value]... [--tag name=value]...",
		Short: "Changes those parts of a connection's description that are given",
		Long: `
Changes what describes a connection; for its key see caddy apikey-inject rotate.

Entries of the connection_config and of the metadata are merged into those there are. An
empty value takes an entry of the connection_config away. Tags and the end user take
the place of those there are.`,
		RunE: operate(updateConnection),
	})
	descriptionFlags(cmd)
	return cmd
}

func updateConnection(fl caddycmd.Flags, o operator) error {
	integration, id, err := namesOf(fl, "connections update <integration> <connection> [--tag name=value]...", 2)
	if err != nil {
		return err
	}
	body, err := connectionBody(fl)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		return errors.New("there is nothing to change: give a flag such as --tag")
	}
	metadata, merges := body["metadata"]
	delete(body, "metadata") // which has a call of its own
	if len(body) > 0 {
		if err := o.do(http.MethodPatch, connectionPath(integration, id, ""), body, new(json.RawMessage)); err != nil {
			return err
		}
	}
	if merges {
		err := o.do(http.MethodPatch, "connections/metadata", map[string]any{
			"provider_config_key": integration, "connection_id": id, "metadata": metadata,
		}, new(json.RawMessage))
		if err != nil {
			return err
		}
	}
	if !fl.Bool("json") {
		_, err := fmt.Printf("Changed connection %s of %s.\n", id, integration)
		return err
	}
	var is json.RawMessage
	if err := o.do(http.MethodGet, connectionPath(integration, id, ""), nil, &is); err != nil {
		return err
	}
	return printJSON(os.Stdout, is)
}
