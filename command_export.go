package apikeyinject

// This file holds `caddy apikey-inject export`.

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

func exportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export [<file>]",
		Short: "Writes integrations and connections, without keys, as lines of JSON",
		Long: `
Writes the integrations and connections of the catalog to a new file, or to standard
output, one to a line and in the form that the management API takes. Keys are not in
it: they stay in their store and cannot be exported. caddy apikey-inject import reads
the file; a connection that is not there yet then needs an "apiKey" in its line.

Integrations of the configuration are left out, their connections are not.`,
		RunE: operate(runExport),
	}
	cmd.Flags().String("integration", "", "Only this integration and its connections")
	adminFlags(cmd)
	return cmd
}

// exported is a line of an export.
type exported struct {
	Integration map[string]json.RawMessage `json:"integration,omitempty"`
	Connection  map[string]json.RawMessage `json:"connection,omitempty"`
}

// The fields that an export keeps: those that the API takes.
var (
	integrationFields = []string{
		"unique_key", "provider", "display_name", "forward_webhooks", "integration_config", "connect", "verification", "max_age",
		"refused_statuses", "refused_after", "disabled",
	}
	connectionFields = []string{
		"provider_config_key", "connection_id", "connection_config", "metadata", "tags", "end_user", "webhook_url_override", "disabled",
	}
)

func runExport(fl caddycmd.Flags, o operator) error {
	if fl.NArg() > 1 {
		return errors.New("write: export [<file>]")
	}
	if fl.NArg() == 0 || fl.Arg(0) == "-" {
		_, _, err := writeExport(os.Stdout, o, fl.String("integration"))
		return err
	}
	file := fl.Arg(0)
	// A new one: what was exported before is not lost by a typo. Metadata and
	// end users are nobody else's business.
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("writing the export: %w", err)
	}
	integrations, connections, err := writeExport(f, o, fl.String("integration"))
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	_, err = fmt.Printf("Wrote %s and %s, without keys, to %s.\n", count(integrations, "integration"), count(connections, "connection"), file)
	return err
}

// writeExport writes the lines of an export and says how many there were.
func writeExport(w io.Writer, o operator, only string) (integrations, connections int, err error) {
	buffered := bufio.NewWriter(w)
	enc := json.NewEncoder(buffered)
	enc.SetEscapeHTML(false)
	all, err := o.integrations()
	if err != nil {
		return 0, 0, err
	}
	found := only == ""
	for _, raw := range all {
		var i integrationView
		if err := json.Unmarshal(raw, &i); err != nil {
			return 0, 0, err
		}
		if only != "" && i.UniqueKey != only {
			continue
		}
		found = true
		if i.Source != "api" {
			continue
		}
		fields, err := pick(raw, integrationFields)
		if err != nil {
			return 0, 0, err
		}
		if err := enc.Encode(exported{Integration: fields}); err != nil {
			return 0, 0, fmt.Errorf("writing the export: %w", err)
		}
		integrations++
	}
	if !found {
		return 0, 0, fmt.Errorf("there is no integration %q", only)
	}
	query := make(url.Values)
	if only != "" {
		query.Set("integrationId", only)
	}
	err = o.connections(query, 0, func(raw json.RawMessage) error {
		fields, err := pick(raw, connectionFields)
		if err != nil {
			return err
		}
		connections++
		return enc.Encode(exported{Connection: fields})
	})
	if err == nil {
		err = buffered.Flush()
	}
	if err != nil {
		err = fmt.Errorf("writing the export: %w", err)
	}
	return integrations, connections, err
}

// pick returns the named fields of an object that are not as they would be without
// being named.
func pick(raw json.RawMessage, names []string) (map[string]json.RawMessage, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, err
	}
	picked := make(map[string]json.RawMessage)
	for _, name := range names {
		switch v := all[name]; string(v) {
		case "", "null", "{}", `""`:
		default:
			picked[name] = v
		}
	}
	return picked, nil
}
