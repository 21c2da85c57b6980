package apikeyinject

// This file holds the commands refresh and invalidate.

import (
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

func refreshCommand() *cobra.Command {
	return operatorFlags(&cobra.Command{
		Use:   "refresh <integration> [<connection>]",
		Short: "Reads a key from its store again, on this node",
		Long: `
Reads the key of a connection, or the integration's own, from its store now, as for one
that was just replaced there. The node would find it by itself within the ttl of the
store, or when an upstream refuses the one it holds.`,
		RunE: operate(askHeld("refresh", func(what string, a *heldAnswer) string {
			return "Read the key of " + what + ": " + a.words() + "."
		})),
	})
}

func invalidateCommand() *cobra.Command {
	return operatorFlags(&cobra.Command{
		Use:   "invalidate <integration> [<connection>]",
		Short: "Forgets what this node holds of a key",
		Long: `
Forgets what this node holds of the key of a connection, or of the integration's own, a
former version too. The next request reads it.`,
		RunE: operate(askHeld("invalidate", func(what string, a *heldAnswer) string {
			if a.State == "missing" {
				return "Nothing was held of the key of " + what + "."
			}
			return "Forgot the key of " + what + ", which was " + a.words() + "."
		})),
	})
}

// askHeld makes a command of a call about a key that a node may hold.
func askHeld(word string, did func(what string, a *heldAnswer) string) func(caddycmd.Flags, operator) error {
	return func(fl caddycmd.Flags, o operator) error {
		integration, id, err := namesOf(fl, word+" <integration> [<connection>]", 1)
		if err != nil {
			return err
		}
		answer := new(heldAnswer)
		if err := o.do(http.MethodPost, word, &heldRequest{Integration: integration, Connection: id}, answer); err != nil {
			return err
		}
		if fl.Bool("json") {
			return printJSON(os.Stdout, answer)
		}
		what := "integration " + integration
		if id != "" {
			what = "connection " + id + " of " + integration
		}
		_, err = fmt.Println(did(what, answer))
		return err
	}
}

// words says what was held, to a person.
func (a *heldAnswer) words() string {
	words := []string{a.State}
	if a.Version > 0 {
		words = append([]string{"version " + versionText(a.Version)}, words...)
	}
	if written := ago(a.AgeSeconds); written != "" {
		words = append(words, "written "+written)
	}
	return strings.Join(words, ", ")
}
