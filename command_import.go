package apikeyinject

// This file holds `caddy apikey-inject import`.

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

func importCommand() *cobra.Command {
	return operatorFlags(&cobra.Command{
		Use:   "import <file>|-",
		Short: "Enters integrations and connections from a file",
		Long: `
Reads what caddy apikey-inject export wrote, from a file or from standard input, and
enters it: what is not there is made, what is there is changed to what the file says.
An import that was cut off is run again. Integrations come before connections,
wherever they stand.

A connection that is not there needs its key, as "apiKey" in its line:

	{"connection": {"provider_config_key": "acme", "connection_id": "cust-1", "apiKey": "…"}}

Such a file holds keys in clear. Keep it where nobody else reads it, better still in
no file at all (pass show export | caddy apikey-inject import -), and destroy it when
the import is done. Where a line has a key for a connection that is there, the key is
rotated.

The answers of a Nango server to GET /integrations and GET /connections are read too,
whole or one to a line. It tells neither the configuration of its integrations nor, in
a list, keys: make the integrations first, and add "apiKey" to the connections.

Every line that could not be entered is named with the reason, and the exit code is
then 1.`,
		RunE: operate(runImport),
	})
}

// imported counts what an import did.
type imported struct {
	Integrations importedCount   `json:"integrations"`
	Connections  importedCount   `json:"connections"`
	Failures     []importFailure `json:"failures"`
}

type importedCount struct {
	Made    int `json:"made"`
	Updated int `json:"updated"`
}

type importFailure struct {
	n     int
	Where string `json:"where"`
	What  string `json:"what,omitempty"`
	Error string `json:"error"`
}

func (f importFailure) String() string {
	s := f.Where
	if f.What != "" {
		s += ", " + f.What
	}
	return printable(s + ": " + f.Error)
}

func runImport(fl caddycmd.Flags, o operator) error {
	if fl.NArg() != 1 {
		return errors.New("write: import <file>, or import - for standard input")
	}
	text, err := readInput(fl.Arg(0))
	if err != nil {
		return err
	}
	items := readItems(text)
	for n := range items {
		items[n].n = n
	}
	if len(items) == 0 {
		return errors.New("there is nothing to import")
	}
	m, err := newImporter(o)
	if err != nil {
		return err
	}
	bar := newProgress(os.Stderr, term.IsTerminal(int(os.Stderr.Fd())), "Importing", len(items))
	done, stopped := m.importAll(items, bar)
	if fl.Bool("json") {
		err = printJSON(os.Stdout, done)
	} else {
		err = printImported(done)
	}
	switch {
	case err != nil:
		return err
	case stopped != nil:
		return fmt.Errorf("stopped, because nothing more can be entered at the moment: %w. Run it again to go on", stopped)
	case len(done.Failures) > 0:
		return fmt.Errorf("%d of %d could not be entered", len(done.Failures), len(items))
	}
	return nil
}

// importAll enters integrations and then connections. It stops where the
// trouble is not the item's.
func (m *importer) importAll(items []importItem, bar *progress) (*imported, error) {
	defer bar.end()
	done := &imported{Failures: []importFailure{}}
	defer func() {
		slices.SortFunc(done.Failures, func(a, b importFailure) int { return a.n - b.n })
	}()
	slices.SortStableFunc(items, func(a, b importItem) int {
		switch {
		case a.connection == b.connection:
			return 0
		case b.connection:
			return -1
		}
		return 1
	})
	for _, item := range items {
		what, made, err := m.enter(item)
		bar.step()
		counter := &done.Integrations
		if item.connection {
			counter = &done.Connections
		}
		switch {
		case err != nil:
			done.Failures = append(done.Failures, importFailure{item.n, item.where, what, err.Error()})
		case made:
			counter.Made++
		default:
			counter.Updated++
		}
		if err != nil && !ofItem(item, err) {
			return done, err
		}
	}
	return done, nil
}

// ofItem tells the faults of an item from troubles that every other would meet.
func ofItem(item importItem, err error) bool {
	if item.err != nil {
		return true
	}
	refused, ok := errors.AsType[*adminError](err)
	if ok {
		return refused.status < http.StatusInternalServerError
	}
	_, ok = errors.AsType[*unreachable](err)
	return !ok
}

func printImported(done *imported) error {
	for _, f := range done.Failures {
		fmt.Fprintln(os.Stderr, f)
	}
	_, err := fmt.Printf("Integrations: %d made, %d updated. Connections: %d made, %d updated. %d failed.\n",
		done.Integrations.Made, done.Integrations.Updated, done.Connections.Made, done.Connections.Updated, len(done.Failures))
	return err
}
