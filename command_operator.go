package apikeyinject

// This file holds what the commands over the management API have in common.

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// operator drives the management API of the running Caddy, at its admin
// address.
type operator string

func (o operator) do(method, path string, body, answer any) error {
	return askAdmin(string(o), method, adminPrefix+path, body, answer)
}

// pageSize is how many connections are asked for at once.
const pageSize = 1000

// connections calls each with every connection that a query names, page by
// page, until limit of them were seen. 0: no limit.
func (o operator) connections(query url.Values, limit int, each func(json.RawMessage) error) error {
	seen := 0
	for page := 0; ; page++ {
		query.Set("limit", strconv.Itoa(pageSize))
		query.Set("page", strconv.Itoa(page))
		var answer struct {
			Connections []json.RawMessage `json:"connections"`
		}
		if err := o.do(http.MethodGet, "connections?"+query.Encode(), nil, &answer); err != nil {
			return err
		}
		for _, c := range answer.Connections {
			if err := each(c); err != nil {
				return err
			}
			if seen++; seen == limit {
				return nil
			}
		}
		if len(answer.Connections) < pageSize {
			return nil
		}
	}
}

// integrations returns every integration.
func (o operator) integrations() ([]json.RawMessage, error) {
	var answer struct {
		Data []json.RawMessage `json:"data"`
	}
	err := o.do(http.MethodGet, "integrations", nil, &answer)
	return answer.Data, err
}

// exists tells whether there is a connection.
func (o operator) exists(integration, id string) (bool, error) {
	err := o.do(http.MethodGet, connectionPath(integration, id, ""), nil, new(json.RawMessage))
	if e, ok := errors.AsType[*adminError](err); ok && e.status == http.StatusNotFound && strings.HasPrefix(e.text, "Connection ") {
		return false, nil
	}
	return err == nil, err
}

// finish does something that answers with success only.
func (o operator) finish(fl caddycmd.Flags, method, path, did string) error {
	var answer struct {
		Success  bool     `json:"success"`
		Warnings []string `json:"warnings,omitempty"`
	}
	if err := o.do(method, path, nil, &answer); err != nil {
		return err
	}
	warn(answer.Warnings)
	if fl.Bool("json") {
		return printJSON(os.Stdout, answer)
	}
	_, err := fmt.Println(did + ".")
	return err
}

// integrationPath is the path of an integration, or of something below it.
func integrationPath(key, below string) string {
	return "integrations/" + url.PathEscape(key) + below
}

// connectionPath is the path of a connection, or of something below it.
func connectionPath(integration, id, below string) string {
	return "connections/" + url.PathEscape(id) + below + "?provider_config_key=" + url.QueryEscape(integration)
}

// checkNames refuses what could not be sent as it is: a path is cleaned on its
// way. An empty connection is none.
func checkNames(integration, connection string) error {
	if err := store.CheckSegment(integration); err != nil {
		return fmt.Errorf("%q is no unique key of an integration: %w", integration, err)
	}
	if connection == "" {
		return nil
	}
	if err := store.CheckSegment(connection); err != nil {
		return fmt.Errorf("%q is no connection id: %w", connection, err)
	}
	return nil
}

// namesOf returns an integration and a connection that are a command's
// arguments, of which the first ones are required. What else is there is most
// likely a key, and is not repeated.
func namesOf(fl caddycmd.Flags, usage string, required int) (integration, connection string, err error) {
	switch n := fl.NArg(); {
	case n < required:
		return "", "", errors.New("write: " + usage)
	case n > 2:
		return "", "", errors.New("too many arguments; write: " + usage + ". " + noKeyArgument)
	case n == 2:
		connection = fl.Arg(1)
		if connection == "" {
			return "", "", errors.New("the id of the connection is empty")
		}
	}
	return fl.Arg(0), connection, checkNames(fl.Arg(0), connection)
}

// operate makes a command of a function over the management API.
func operate(run func(caddycmd.Flags, operator) error) func(*cobra.Command, []string) error {
	return command(func(fl caddycmd.Flags) error {
		addr, err := adminOf(fl)
		if err != nil {
			return err
		}
		return run(fl, operator(addr))
	})
}

// group makes a command of those below it.
func group(cmd *cobra.Command, below ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(below...)
	known := make([]string, 0, len(below))
	for _, c := range below {
		known = append(known, c.Name())
	}
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return fmt.Errorf("unknown command%s; known are %s", didYouMean(args[0], known), strings.Join(known, ", "))
	}
	return cmd
}

// operatorFlags are those of every command over the management API.
func operatorFlags(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().Bool("json", false, "Print JSON, for scripts")
	adminFlags(cmd)
	return cmd
}

// pairsOf reads a flag that is given as name=value, once for each pair.
func pairsOf(fl caddycmd.Flags, name string) (map[string]string, error) {
	list, err := fl.GetStringArray(name)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	pairs := make(map[string]string, len(list))
	for _, s := range list {
		k, v, ok := strings.Cut(s, "=")
		if !ok || k == "" { // not repeated: it could be anything
			return nil, fmt.Errorf("--%s needs name=value", name)
		}
		if _, twice := pairs[k]; twice {
			return nil, fmt.Errorf("--%s gives %q twice", name, k)
		}
		pairs[k] = v
	}
	return pairs, nil
}
