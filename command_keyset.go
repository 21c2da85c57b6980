package apikeyinject

// This file holds `caddy apikey-inject rotate-keyset`.

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/apikeyinject/caddy-apikey-inject/internal/seal"
)

func rotateKeysetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate-keyset [--drop-old] [--out <file>]",
		Short: "Seals the keys of the local store with a new key",
		Long: `
Gives the keyset of the local store a new primary key and seals every stored key
anew, in the running Caddy, or in the database when none runs. Requests go on
meanwhile. It may be cut off anywhere: run it again and it finishes, without making
a further key.

The old keys stay in the keyset, for a backup of the database, say. With --drop-old
they are taken out once nothing is sealed with them; after a rotation that has ended
nothing else is then done.

Where the configuration names the keyset, as in "keyset {file./run/secrets/keyset}",
or several nodes share a postgres database, it is not ours to replace. Then

	$ caddy apikey-inject rotate-keyset --out /run/secrets/keyset.new

has the running Caddy write the next keyset to a new file, readable for its own user
only. Put it into the old one's place, run caddy reload --force (the configuration is
the same), and run rotate-keyset without --out to seal the stored keys anew;
--drop-old --out writes the keyset without its old keys.
Where nodes share the database the new key first has to be known everywhere: it takes
two such files, and the second makes the new key the primary one.

Run it as the user that Caddy runs as, and back up the new keyset: the keys are
lost without it.`,
		RunE: command(runRotateKeyset),
	}
	cmd.Flags().String("store", "", "The store, by its name (default the only local one)")
	cmd.Flags().String("out", "", "A new file for the new keyset")
	cmd.Flags().Bool("drop-old", false, "Take old keys out of the keyset that nothing is sealed with")
	cmd.Flags().Bool("json", false, "Print JSON, for scripts")
	adminFlags(cmd)
	return cmd
}

func runRotateKeyset(fl caddycmd.Flags) error {
	if fl.NArg() > 0 {
		return errors.New("rotate-keyset takes no arguments")
	}
	q := &rotateRequest{Store: fl.String("store"), Out: fl.String("out"), DropOld: fl.Bool("drop-old")}
	if q.Out != "" {
		var err error
		if q.Out, err = filepath.Abs(q.Out); err != nil {
			return fmt.Errorf("naming the file for the new keyset: %w", err)
		}
	}
	t, err := newKeyTarget(fl)
	if err != nil {
		return err
	}
	done, err := t.rotate(q)
	if err != nil {
		return err
	}
	if fl.Bool("json") {
		err = printJSON(os.Stdout, done)
	} else {
		err = printRotated(os.Stdout, done, t.where())
	}
	return err
}

// printRotated says what was done, and what is left to do.
func printRotated(w io.Writer, done *seal.Rotated, where string) error {
	var next string
	switch {
	case done.Out != "" && done.Staged:
		next = "It has a new key, which does not seal yet. Put it in place on every node and run caddy reload --force; then run this again, for the file that makes it the primary key."
	case done.Out != "" && done.Dropped > 0:
		next = fmt.Sprintf("It is without %s. Put it in place on every node and run caddy reload --force.", count(done.Dropped, "old key"))
	case done.Out != "":
		next = "Its primary key is the new one. Put it in place on every node, run caddy reload --force, and then rotate-keyset without --out to seal the stored keys anew."
	}
	if next != "" {
		_, err := fmt.Fprintf(w, "Wrote the next keyset to %s. %s\n", done.Out, next)
		return err
	}
	if done.Made {
		fmt.Fprint(w, "Made a new primary key. ")
	}
	fmt.Fprintf(w, "Sealed %s anew, %s.\n", count(done.Resealed, "document"), where)
	if done.Dropped > 0 {
		fmt.Fprintf(w, "Took %s out of the keyset.\n", count(done.Dropped, "old key"))
	}
	if done.Keyset == "" {
		return nil
	}
	_, err := fmt.Fprintf(w, "The keyset %s holds %s; back it up.\n", done.Keyset, count(done.Keys, "key"))
	return err
}
