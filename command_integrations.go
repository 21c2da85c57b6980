package apikeyinject

// This file holds `caddy apikey-inject integrations`.

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

func integrationsCommand() *cobra.Command {
	list := operatorFlags(&cobra.Command{
		Use:   "list",
		Short: "Lists integrations, those of the configuration too",
		RunE:  operate(listIntegrations),
	})
	show := operatorFlags(&cobra.Command{
		Use:   "show <integration>",
		Short: "Shows an integration",
		RunE:  operate(showIntegration),
	})
	create := operatorFlags(&cobra.Command{
		Use:   "create <integration> --base-url <url> --name <name> [--template <template>]...",
		Short: "Makes an integration, from flags or a JSON file",
		Long: `
Makes an integration in the catalog, which the gateway uses at once, on every node:

	$ caddy apikey-inject integrations create acme-internal \
		--base-url https://api.acme.com --name Authorization --template 'Api-Key ${apiKey}'

With --file the integration is an object in the form of the management API:

	{"provider": "private-api-generic", "unique_key": "acme-internal", "integration_config":
		{"baseUrl": "https://api.acme.com", "keyName": "Authorization"}}`,
		RunE: operate(createIntegration),
	})
	create.Flags().String("provider", "private-api-generic", "private-api-generic, or private-api-bearer for a bearer token")
	integrationFlags(create)
	update := operatorFlags(&cobra.Command{
		Use:   "update <integration> [--base-url <url>]...",
		Short: "Changes those fields of an integration that are given",
		RunE:  operate(updateIntegration),
	})
	integrationFlags(update)
	remove := operatorFlags(&cobra.Command{
		Use:   "delete <integration> [--force]",
		Short: "Deletes an integration",
		RunE:  operate(deleteIntegration),
	})
	remove.Flags().Bool("force", false, "Delete its connections too, and destroy their keys")
	confirm := operatorFlags(&cobra.Command{
		Use:   "confirm-origin <integration>",
		Short: "Lets older connections follow a base URL that moved to another host",
		Long: `
A key goes nowhere but where its integration led when it was entered. After a base URL
has moved to another scheme, host or port, the connections that were there before are
refused until this says that their keys may go there too.`,
		RunE: operate(confirmOrigin),
	})
	return group(&cobra.Command{
		Use:   "integrations list|show|create|update|confirm-origin|delete",
		Short: "Manages integrations in the running Caddy",
	}, list, show, create, update, confirm, remove)
}

// configFlags are the flags of integration_config, with its names for them.
var configFlags = [][3]string{
	{"base-url", "baseUrl", "Where the API is"},
	{"placement", "keyPlacement", "Where the key goes: header or query (default header)"},
	{"name", "keyName", "Name of the header or query parameter"},
	{"template", "valueTemplate", "What the header or parameter holds (default ${apiKey})"},
	{"label", "keyLabel", "What the key is called"},
}

func integrationFlags(cmd *cobra.Command) {
	for _, f := range configFlags {
		cmd.Flags().String(f[0], "", f[2])
	}
	cmd.Flags().String("display-name", "", "What people call it")
	cmd.Flags().String("max-age", "", "How old a key may become: 90d, 720h")
	cmd.Flags().String("file", "", "Read the integration from this file, as JSON; - is standard input")
}

// integrationBody is what the flags of create and update say.
func integrationBody(fl caddycmd.Flags) (map[string]any, error) {
	body, config := make(map[string]any), make(map[string]string)
	for _, f := range configFlags {
		if fl.Changed(f[0]) {
			config[f[1]] = fl.String(f[0])
		}
	}
	if len(config) > 0 {
		body["integration_config"] = config
	}
	for flag, field := range map[string]string{"display-name": "display_name", "max-age": "max_age", "provider": "provider"} {
		if fl.Changed(flag) {
			body[field] = fl.String(flag)
		}
	}
	file := fl.String("file")
	if file == "" {
		return body, nil
	}
	if len(body) > 0 {
		return nil, errors.New("--file holds the whole integration; no other flag may describe it")
	}
	return readObject(file)
}

// integrationOf returns the one argument of a command.
func integrationOf(fl caddycmd.Flags, usage string) (string, error) {
	if fl.NArg() != 1 {
		return "", errors.New("write: " + usage)
	}
	return fl.Arg(0), checkNames(fl.Arg(0), "")
}

func createIntegration(fl caddycmd.Flags, o operator) error {
	body, err := integrationBody(fl)
	if err != nil {
		return err
	}
	if fl.NArg() > 0 || body["unique_key"] == nil {
		if body["unique_key"], err = integrationOf(fl, "integrations create <integration> --base-url <url> --name <name>"); err != nil {
			return err
		}
	}
	if body["provider"] == nil {
		body["provider"] = fl.String("provider")
	}
	return changeIntegration(fl, o, http.MethodPost, "integrations", body, "Made")
}

func updateIntegration(fl caddycmd.Flags, o operator) error {
	key, err := integrationOf(fl, "integrations update <integration> [--base-url <url>]...")
	if err != nil {
		return err
	}
	body, err := integrationBody(fl)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		return errors.New("there is nothing to change: give a flag such as --base-url, or --file")
	}
	return changeIntegration(fl, o, http.MethodPatch, integrationPath(key, ""), body, "Changed")
}

func changeIntegration(fl caddycmd.Flags, o operator, method, path string, body map[string]any, did string) error {
	var answer struct {
		Data     json.RawMessage `json:"data"`
		Warnings []string        `json:"warnings"`
	}
	if err := o.do(method, path, body, &answer); err != nil {
		return err
	}
	warn(answer.Warnings)
	return present(fl, answer.Data, func(i *integrationView) error {
		_, err := fmt.Printf("%s integration %s, to %s.\n", did, i.UniqueKey, i.Config.BaseURL)
		return err
	})
}

func deleteIntegration(fl caddycmd.Flags, o operator) error {
	key, err := integrationOf(fl, "integrations delete <integration> [--force]")
	if err != nil {
		return err
	}
	path := integrationPath(key, "")
	if fl.Bool("force") {
		path += "?force=true"
	}
	return o.finish(fl, http.MethodDelete, path, "Deleted integration "+key)
}

func confirmOrigin(fl caddycmd.Flags, o operator) error {
	key, err := integrationOf(fl, "integrations confirm-origin <integration>")
	if err != nil {
		return err
	}
	return o.finish(fl, http.MethodPost, integrationPath(key, "/confirm_origin"), "Keys of "+key+" may go where its base URL leads")
}
