package apikeyinject

// This file holds the commands rotate, disable and enable.

import (
	"fmt"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

func rotateCommand() *cobra.Command {
	cmd := operatorFlags(&cobra.Command{
		Use:   "rotate <integration> <connection> [--expires-at <time>]",
		Short: "Gives a connection another key, read from standard input or asked for",
		Long: `
Puts another key in the place of a connection's, in use from the next request on.
The key before is tried too where the upstream refuses the new one, for as long as a
rotation may take.

	$ pass show acme/cust-1 | caddy apikey-inject rotate acme-internal cust-1`,
		RunE: operate(rotateConnection),
	})
	endFlag(cmd)
	return cmd
}

func rotateConnection(fl caddycmd.Flags, o operator) error {
	integration, id, err := namesOf(fl, "rotate <integration> <connection>", 2)
	if err != nil {
		return err
	}
	there, err := o.exists(integration, id)
	if err != nil {
		return err
	}
	if !there { // said before a key is typed
		return fmt.Errorf("there is no connection %q of integration %q; caddy apikey-inject connections create makes one", id, integration)
	}
	key, err := readKey(os.Stdin, os.Stderr, integration+"/"+id)
	if err != nil {
		return err
	}
	return enterConnection(fl, o, http.MethodPut, connectionPath(integration, id, "/credentials"), clearCredentials(key, fl.String("expires-at")), "Rotated")
}

func disableCommand() *cobra.Command {
	return operatorFlags(&cobra.Command{
		Use:   "disable <integration> [<connection>]",
		Short: "Refuses every request of an integration or a connection, on every node",
		RunE:  operate(switchTo("disable", "Disabled")),
	})
}

func enableCommand() *cobra.Command {
	return operatorFlags(&cobra.Command{
		Use:   "enable <integration> [<connection>]",
		Short: "Lets requests of an integration or a connection pass again",
		RunE:  operate(switchTo("enable", "Enabled")),
	})
}

func switchTo(word, did string) func(caddycmd.Flags, operator) error {
	return func(fl caddycmd.Flags, o operator) error {
		integration, id, err := namesOf(fl, word+" <integration> [<connection>]", 1)
		if err != nil {
			return err
		}
		if id == "" {
			return o.finish(fl, http.MethodPost, integrationPath(integration, "/"+word), did+" integration "+integration)
		}
		return o.finish(fl, http.MethodPost, connectionPath(integration, id, "/"+word), did+" connection "+id+" of "+integration)
	}
}
