package apikeyinject

// This file holds `caddy apikey-inject status`.

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/apikeyinject/caddy-apikey-inject/internal/api"
)

// statuses are what a key's state is filtered by.
var statuses = []string{
	api.StateOK, api.StateAuthFailed, api.StateMissing, api.StateStale, api.StateDisabled, api.StateOriginChanged, api.StateUnknown,
}

func statusCommand() *cobra.Command {
	cmd := operatorFlags(&cobra.Command{
		Use:   "status [--integration <integration>] [--status <status>] [--older-than <age>]",
		Short: "Shows how stores, integrations and connections are doing",
		Long: `
Shows, of the Caddy that is asked, which stores it reaches, and of each key which
version it has, how old that is, and whether it can be used. A key that this Caddy
was not asked for yet is "unknown". Keys that were not replaced for a quarter:

	$ caddy apikey-inject status --older-than 90d`,
		RunE: operate(showStatus),
	})
	cmd.Flags().String("integration", "", "Only this integration and its connections")
	cmd.Flags().String("status", "", "Only those in this state: "+strings.Join(statuses, ", "))
	cmd.Flags().String("older-than", "", "Only keys that were written longer ago, such as 90d or 720h")
	return cmd
}

// statusAnswer is the answer of the management API, which a script gets whole.
type statusAnswer struct {
	Stores       []json.RawMessage `json:"stores"`
	Integrations []json.RawMessage `json:"integrations"`
	Connections  []json.RawMessage `json:"connections"`
}

// readStatus asks page by page. The API filters by state within a page, so that
// a short one is not the last: it is done here.
func readStatus(o operator, integration, status, olderThan string) (*statusAnswer, error) {
	all := &statusAnswer{Connections: []json.RawMessage{}}
	for page := 0; ; page++ {
		query := url.Values{"limit": {strconv.Itoa(pageSize)}, "page": {strconv.Itoa(page)}}
		if integration != "" {
			query.Set("integration", integration)
		}
		if olderThan != "" {
			query.Set("older_than", olderThan)
		}
		answer := new(statusAnswer)
		if err := o.do(http.MethodGet, "status?"+query.Encode(), nil, answer); err != nil {
			return nil, err
		}
		last := len(answer.Connections) < pageSize
		all.Stores, all.Integrations = answer.Stores, answer.Integrations
		all.Connections = append(all.Connections, answer.Connections...)
		if last {
			break
		}
	}
	if status != "" {
		other := func(raw json.RawMessage) bool {
			var v connectionView
			return json.Unmarshal(raw, &v) != nil || v.Status != status
		}
		all.Integrations = slices.DeleteFunc(all.Integrations, other)
		all.Connections = slices.DeleteFunc(all.Connections, other)
	}
	return all, nil
}

func showStatus(fl caddycmd.Flags, o operator) error {
	if fl.NArg() > 0 {
		return errors.New("status takes no arguments; see its flags")
	}
	status := fl.String("status")
	if status != "" && !slices.Contains(statuses, status) {
		return fmt.Errorf("there is no such status%s; there are %s", didYouMean(status, statuses), strings.Join(statuses, ", "))
	}
	all, err := readStatus(o, fl.String("integration"), status, fl.String("older-than"))
	if err != nil {
		return err
	}
	if fl.Bool("json") {
		return printJSON(os.Stdout, all)
	}
	stores := make([][]string, 0, len(all.Stores))
	for _, raw := range all.Stores {
		var s storeView
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		stores = append(stores, []string{s.Name, s.Module, s.state(), s.login()})
	}
	if err := printTable(os.Stdout, []string{"STORE", "KIND", "STATE", "LOGIN"}, stores); err != nil {
		return err
	}
	keys := make([][]string, 0, len(all.Integrations)+len(all.Connections))
	for _, raw := range slices.Concat(all.Integrations, all.Connections) {
		var v struct {
			connectionView
			UniqueKey string `json:"unique_key"`
		}
		if err := json.Unmarshal(raw, &v); err != nil {
			return err
		}
		keys = append(keys, []string{firstSet(v.Integration, v.UniqueKey), v.ID, v.Status, versionText(v.Version), ago(v.Age), since(v.LastUsed), since(v.LastFailure), since(v.ExpiresAt)})
	}
	slices.SortStableFunc(keys, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	if len(keys) == 0 {
		_, err := fmt.Println("\nThere is no such integration or connection.")
		return err
	}
	fmt.Println()
	return printTable(os.Stdout, []string{"INTEGRATION", "CONNECTION", "STATUS", "VERSION", "WRITTEN", "USED", "REFUSED", "RUNS OUT"}, keys)
}

// storeView is what people are shown of a store.
type storeView struct {
	Name      string `json:"name"`
	Module    string `json:"module"`
	Reachable bool   `json:"reachable"`
	Sealed    bool   `json:"sealed"`
	TokenTTL  *int64 `json:"token_ttl_seconds"`
}

func (s *storeView) state() string {
	switch {
	case s.Sealed:
		return "sealed"
	case !s.Reachable:
		return "away"
	}
	return "reachable"
}

func (s *storeView) login() string {
	if s.TokenTTL == nil {
		return ""
	}
	return "good for " + (time.Duration(*s.TokenTTL) * time.Second).String()
}
