package apikeyinject

// This file holds `caddy apikey-inject check`.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"text/tabwriter"

	"github.com/spf13/cobra"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [--config <file>] [--adapter <name>] [--connection <id>] [--json]",
		Short: "Tries every key that a configuration names, without starting it",
		Long: `
Reads every key that a configuration names from its store, with the login that
the configuration has, and says of each whether it can be used, and if not, why.
No key is shown, no server is started, no file is written.

The environment has to be the one that Caddy runs in: VAULT_ADDR and placeholders
such as {env.VAULT_TOKEN} are read from it. Logging in leaves its traces in Vault;
a token that was logged in for is revoked at the end. A wrapped secret id is not
used up, so its keys stay unchecked. A local store that a running Caddy has open
is asked for through the admin API.

Keys of connections, whose path holds ${connectionId}, are tried for one with
--connection.

Exits with 0 when all keys can be used, else with 1.`,
		RunE: caddycmd.WrapCommandFuncForCobra(runCheck),
	}
	cmd.Flags().StringP("config", "c", "", "Configuration file (default Caddyfile in this folder)")
	cmd.Flags().StringP("adapter", "a", "", "Name of the config adapter")
	cmd.Flags().String("address", "", "Address of the admin API of the running Caddy, for a local store it has open")
	cmd.Flags().String("connection", "", "The id of a connection to try")
	cmd.Flags().Bool("json", false, "Print JSON, for scripts")
	return cmd
}

func runCheck(fl caddycmd.Flags) (int, error) {
	if fl.NArg() > 0 {
		return caddy.ExitCodeFailedStartup, errors.New("check takes no arguments")
	}
	connection := fl.String("connection")
	if connection != "" {
		if err := store.CheckSegment(connection); err != nil {
			return caddy.ExitCodeFailedStartup, fmt.Errorf("%q is no connection id: %w", connection, err)
		}
	}
	config, _, _, err := caddycmd.LoadConfig(fl.String("config"), fl.String("adapter"))
	if err != nil {
		return caddy.ExitCodeFailedStartup, fmt.Errorf("reading the configuration: %w", err)
	}
	if len(config) == 0 {
		return caddy.ExitCodeFailedStartup, errors.New("there is no configuration; name its file with --config")
	}
	app, err := provisionOnly(config)
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	rows := app.checkAll(connection, func() (keyTarget, error) {
		addr, err := caddycmd.DetermineAdminAPIAddress(fl.String("address"), config, fl.String("config"), fl.String("adapter"))
		return adminKeysAt(addr), err
	})
	if fl.Bool("json") {
		err = printChecksJSON(os.Stdout, rows)
	} else {
		err = printChecks(os.Stdout, rows)
	}
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	if bad := len(rows) - countGood(rows); bad > 0 {
		return caddy.ExitCodeFailedStartup, fmt.Errorf("%d of %d keys cannot be used", bad, len(rows))
	}
	return caddy.ExitCodeSuccess, nil
}

// checkAll tries every key.
func (a *App) checkAll(connection string, running func() (keyTarget, error)) []*checked {
	ctx, cancel := context.WithTimeout(context.Background(), checkBudget)
	defer cancel()
	rows := a.toCheck(connection)
	byStore := make(map[string][]*checked)
	for _, row := range rows {
		if row.Result == "" {
			byStore[row.Store] = append(byStore[row.Store], row)
		}
	}
	var wg sync.WaitGroup
	for _, name := range slices.Sorted(maps.Keys(byStore)) {
		wg.Go(func() { a.check(ctx, name, byStore[name], running) })
	}
	wg.Wait()
	return rows
}

func countGood(rows []*checked) (n int) {
	for _, row := range rows {
		if row.good() {
			n++
		}
	}
	return n
}

func printChecksJSON(w io.Writer, rows []*checked) error {
	if rows == nil {
		rows = []*checked{} // [] and not null
	}
	return printJSON(w, map[string]any{"ok": countGood(rows) == len(rows), "keys": rows})
}

// printChecks prints a table for a person.
func printChecks(w io.Writer, rows []*checked) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(w, "The configuration names no key.")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "INTEGRATION\tSTORE\tPATH\tFIELD\tRESULT\tDETAIL")
	for _, row := range rows {
		field := row.Field
		if field == "" {
			field = "(default)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", row.Integration, row.Store, row.Path, field, row.Result, row.Detail)
	}
	return t.Flush() // which returns the first error of the writes too
}
