package apikeyinject

// This file holds `caddy apikey-inject` and its flags.

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddyserver/caddy/v2"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "apikey-inject",
		Usage: "integrations|connections|rotate|disable|enable|refresh|invalidate|status|import|export|check|explain|set|list|delete|rotate-keyset",
		Short: "Manages integrations, connections and their keys, and explains what becomes of a request",
		Long: `
Manages the integrations and connections of the running Caddy, wherever their keys
are kept: integrations, connections, rotate, disable, enable, refresh, invalidate,
status, import, export.

Checks that every key a configuration names can be read, and explains what becomes of
a request, and why: check, explain.

Keeps the keys of the local store that routes name by their path: set, list, delete,
rotate-keyset. These go to the running Caddy too, and what they change is used from
the next request on. Where no Caddy runs they open the database themselves, as the
configuration given by --config describes it, or else at its default place. Run them
as the user that Caddy runs as.

No key is ever shown, and none is ever an argument. Keys that the configuration names
in a Vault are written with Vault's own tools.`,
		CobraFunc: func(cmd *cobra.Command) {
			group(cmd,
				integrationsCommand(), connectionsCommand(), rotateCommand(), disableCommand(), enableCommand(),
				refreshCommand(), invalidateCommand(), statusCommand(),
				importCommand(), exportCommand(), checkCommand(), explainCommand(),
				setCommand(), listCommand(), deleteCommand(), rotateKeysetCommand())
		},
	})
}

// command makes a command of a function: 0 when it is done, else 1.
func command(run func(caddycmd.Flags) error) func(*cobra.Command, []string) error {
	return caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) {
		if err := run(fl); err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		return caddy.ExitCodeSuccess, nil
	})
}

func setCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set <path> [--field <name>]",
		Short: "Sets a key, read from standard input or asked for",
		Long: `
Sets the key at a path, the one that "key" names in the integration:

	$ caddy apikey-inject set acme/prod
	API key for acme/prod (it is not shown):

	$ pass show acme | caddy apikey-inject set acme/prod

The key is never an argument: every user of the machine can read those, and the
shell keeps them in its history.`,
		RunE: command(runSet),
	}
	addressFlags(cmd)
	cmd.Flags().String("field", "", "The field of the document to set (default apiKey)")
	adminFlags(cmd)
	return cmd
}

func listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [--json]",
		Short: "Lists where keys are, without the keys",
		RunE:  command(runList),
	}
	cmd.Flags().Bool("json", false, "Print JSON, for scripts")
	cmd.Flags().String("store", "", "The store, by its name (default the only local one)")
	adminFlags(cmd)
	return cmd
}

func deleteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete <path>",
		Short: "Deletes the keys at a path, the former version too",
		RunE:  command(runDelete),
	}
	addressFlags(cmd)
	adminFlags(cmd)
	return cmd
}

func addressFlags(cmd *cobra.Command) {
	cmd.Flags().String("store", "", "The store, by its name (default the only local one)")
	cmd.Flags().String("mount", "", "The mount, where the integration's key has one")
	cmd.Flags().String("namespace", "", "The namespace, where the integration's key has one")
}

func adminFlags(cmd *cobra.Command) {
	cmd.Flags().String("address", "", "Address of the admin API of the running Caddy")
	cmd.Flags().StringP("config", "c", "", "Configuration file, for the admin API's address and the store")
	cmd.Flags().StringP("adapter", "a", "", "Name of the config adapter (if --config is used)")
}

// noKeyArgument answers who gives more arguments than there are.
const noKeyArgument = "A key must not be an argument: every user of this machine can read those, and the shell keeps them in its history. " +
	"Give it on standard input, or type it when asked. If that was a key, replace it at its issuer"

// onePath returns the one argument that set and delete take. What else is
// there is most likely a key, and is not repeated.
func onePath(fl caddycmd.Flags) (string, error) {
	switch fl.NArg() {
	case 0:
		return "", errors.New("the path is missing: the one that `key` names in the integration, such as acme/prod")
	case 1:
		return fl.Arg(0), nil
	}
	return "", errors.New("one argument is allowed, the path. " + noKeyArgument)
}

// keyRequestOf reads the flags that set and delete share.
func keyRequestOf(fl caddycmd.Flags) (*keyRequest, error) {
	path, err := onePath(fl)
	if err != nil {
		return nil, err
	}
	q := &keyRequest{Store: fl.String("store"), Namespace: fl.String("namespace"), Mount: fl.String("mount"), Path: path}
	_, err = q.address()
	return q, err
}

func runSet(fl caddycmd.Flags) error {
	q, err := keyRequestOf(fl)
	if err != nil {
		return err
	}
	q.Field = fl.String("field")
	if q.Key, err = readKey(os.Stdin, os.Stderr, q.Path); err != nil {
		return err
	}
	t, err := newKeyTarget(fl)
	if err != nil {
		return err
	}
	info, err := t.set(q)
	if err != nil {
		return fmt.Errorf("setting the key: %w", err)
	}
	fmt.Printf("Stored %s, version %d, %s.\n", info.Path, info.Version, t.where())
	return nil
}

func runDelete(fl caddycmd.Flags) error {
	q, err := keyRequestOf(fl)
	if err != nil {
		return err
	}
	t, err := newKeyTarget(fl)
	if err != nil {
		return err
	}
	if err := t.remove(q); err != nil {
		return fmt.Errorf("deleting the key: %w", err)
	}
	fmt.Printf("Deleted %s, %s.\n", q.Path, t.where())
	return nil
}

func runList(fl caddycmd.Flags) error {
	if fl.NArg() > 0 {
		return errors.New("list takes no arguments")
	}
	t, err := newKeyTarget(fl)
	if err != nil {
		return err
	}
	infos, err := t.list(&keyRequest{Store: fl.String("store")})
	if err != nil {
		return fmt.Errorf("listing the keys: %w", err)
	}
	if fl.Bool("json") {
		err = printJSON(os.Stdout, infos)
	} else {
		err = printKeys(os.Stdout, infos)
	}
	return err
}

// printKeys prints a table for a person.
func printKeys(w io.Writer, infos []keyInfo) error {
	if len(infos) == 0 {
		_, err := fmt.Fprintln(w, "No keys are stored.")
		return err
	}
	rows := make([][]string, 0, len(infos))
	for _, i := range infos {
		rows = append(rows, []string{i.Path, i.Mount, i.Namespace, fmt.Sprint(i.Version), i.CreatedAt.Local().Format(time.DateTime)})
	}
	return printTable(w, []string{"PATH", "MOUNT", "NAMESPACE", "VERSION", "WRITTEN"}, rows)
}
