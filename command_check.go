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

	"github.com/spf13/cobra"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

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
		RunE: command(runCheck),
	}
	cmd.Flags().StringP("config", "c", "", "Configuration file (default Caddyfile in this folder)")
	cmd.Flags().StringP("adapter", "a", "", "Name of the config adapter")
	cmd.Flags().String("address", "", "Address of the admin API of the running Caddy, for a local store it has open")
	cmd.Flags().String("connection", "", "The id of a connection to try")
	cmd.Flags().Bool("json", false, "Print JSON, for scripts")
	return cmd
}

func runCheck(fl caddycmd.Flags) error {
	if fl.NArg() > 0 {
		return errors.New("check takes no arguments")
	}
	connection := fl.String("connection")
	if connection != "" {
		if err := store.CheckSegment(connection); err != nil {
			return fmt.Errorf("%q is no connection id: %w", connection, err)
		}
	}
	config, _, _, err := caddycmd.LoadConfig(fl.String("config"), fl.String("adapter"))
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	if len(config) == 0 {
		return errors.New("there is no configuration; name its file with --config")
	}
	app, err := provisionOnly(config)
	if err != nil {
		return err
	}
	rows := app.checkAll(connection, func() (keyTarget, error) {
		addr, err := adminIn(fl, config)
		return adminKeysAt(addr), err
	})
	if fl.Bool("json") {
		err = printChecksJSON(os.Stdout, rows)
	} else {
		err = printChecks(os.Stdout, rows)
	}
	if err != nil {
		return err
	}
	if bad := len(rows) - countGood(rows); bad > 0 {
		return fmt.Errorf("%d of %d keys cannot be used", bad, len(rows))
	}
	return nil
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
	cells := make([][]string, 0, len(rows))
	for _, row := range rows {
		field := row.Field
		if field == "" {
			field = "(default)"
		}
		cells = append(cells, []string{row.Integration, row.Store, row.Path, field, row.Result, row.Detail})
	}
	return printTable(w, []string{"INTEGRATION", "STORE", "PATH", "FIELD", "RESULT", "DETAIL"}, cells)
}
