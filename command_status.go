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

	"github.com/dustin/go-humanize"
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
		Use:   "status [--integration <integration>] [--status <status>] [--older-than <age>] [--exit-code]",
		Short: "Shows how stores, integrations and connections are doing",
		Long: `
Shows which stores the Caddy that is asked reaches, how many connections are in
which state, and of each key which version it has, how old that is, and whether it
can be used; those that need somebody first. Keys that nobody replaced for a quarter:

	$ caddy apikey-inject status --older-than 90d

With --exit-code the exit code is 1 when something needs somebody: a store that is
away, a key that is refused, missing or stale, or one whose integration leads
elsewhere now.`,
		RunE: operate(showStatus),
	})
	cmd.Flags().String("integration", "", "Only this integration and its connections")
	cmd.Flags().String("status", "", "Only those in this state: "+strings.Join(statuses, ", "))
	cmd.Flags().String("older-than", "", "Only keys that were written longer ago, such as 90d or 720h")
	cmd.Flags().Bool("exit-code", false, "Exit with 1 when something needs somebody, whatever is shown")
	return cmd
}

// statusAnswer is the answer of the management API, which a script gets whole.
type statusAnswer struct {
	Stores       []json.RawMessage `json:"stores"`
	Totals       map[string]int    `json:"totals"`
	Integrations []json.RawMessage `json:"integrations"`
	Connections  []json.RawMessage `json:"connections"`
}

// readStatus asks page by page.
func readStatus(o operator, integration, status, olderThan string) (*statusAnswer, error) {
	all := &statusAnswer{Integrations: []json.RawMessage{}, Connections: []json.RawMessage{}}
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	if integration != "" {
		query.Set("integration", integration)
	}
	if status != "" {
		query.Set("status", status)
	}
	if olderThan != "" {
		query.Set("older_than", olderThan)
	}
	for page := new(int); page != nil; {
		query.Set("page", strconv.Itoa(*page))
		var answer struct {
			statusAnswer
			Next *int `json:"next_page"`
		}
		if err := o.do(http.MethodGet, "status?"+query.Encode(), nil, &answer); err != nil {
			return nil, err
		}
		page = answer.Next
		all.Stores, all.Totals = answer.Stores, answer.Totals
		all.Integrations = append(all.Integrations, answer.Integrations...)
		all.Connections = append(all.Connections, answer.Connections...)
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
	stores, ill, err := all.stores()
	if err != nil {
		return err
	}
	keys, illKeys, err := all.keys()
	if err != nil {
		return err
	}
	if fl.Bool("json") {
		err = printJSON(os.Stdout, all)
	} else {
		err = all.print(stores, keys)
	}
	if err != nil || !fl.Bool("exit-code") {
		return err
	}
	// The totals are of all connections, also of those that are not shown.
	ill += illKeys
	for _, state := range needy {
		ill += all.Totals[state]
	}
	if ill > 0 {
		return fmt.Errorf("not all is well: %s", count(ill, "store or key")+" to look after")
	}
	return nil
}

// needy are the states in which a key needs somebody.
var needy = []string{api.StateAuthFailed, api.StateMissing, api.StateStale, api.StateOriginChanged}

// stores returns the rows of stores, and how many of them are away.
func (s *statusAnswer) stores() (rows [][]string, away int, err error) {
	for _, raw := range s.Stores {
		var v storeView
		if err := json.Unmarshal(raw, &v); err != nil {
			return nil, 0, err
		}
		if v.state() != "reachable" {
			away++
		}
		rows = append(rows, []string{v.Name, v.Module, v.state(), since(v.Since), v.login()})
	}
	return rows, away, nil
}

// keys returns the rows of keys, and how many of the integrations' own need
// somebody: those of connections are in the totals.
func (s *statusAnswer) keys() (rows [][]string, ill int, err error) {
	for _, raw := range slices.Concat(s.Integrations, s.Connections) {
		var v struct {
			connectionView
			UniqueKey string `json:"unique_key"`
		}
		if err := json.Unmarshal(raw, &v); err != nil {
			return nil, 0, err
		}
		if v.UniqueKey != "" && slices.Contains(needy, v.Status) {
			ill++
		}
		rows = append(rows, []string{firstSet(v.Integration, v.UniqueKey), v.ID, v.Status, versionText(v.Version), ago(v.Age), since(v.LastUsed), since(v.LastFailure), since(v.ExpiresAt)})
	}
	return rows, ill, nil
}

func (s *statusAnswer) print(stores, keys [][]string) error {
	if err := printTable(os.Stdout, []string{"STORE", "KIND", "STATE", "SINCE", "LOGIN"}, stores); err != nil {
		return err
	}
	if len(keys) == 0 {
		_, err := fmt.Println("\nThere is no such integration or connection.")
		return err
	}
	var sums []string
	n := 0
	for _, state := range statuses {
		if s.Totals[state] > 0 {
			n += s.Totals[state]
			sums = append(sums, fmt.Sprintf("%s %s", humanize.Comma(int64(s.Totals[state])), state))
		}
	}
	if n > 0 {
		fmt.Printf("\n%s: %s\n", count(n, "connection"), strings.Join(sums, ", "))
	}
	fmt.Println()
	return printTable(os.Stdout, []string{"INTEGRATION", "CONNECTION", "STATUS", "VERSION", "WRITTEN", "USED", "REFUSED", "RUNS OUT"}, keys)
}

// storeView is what people are shown of a store.
type storeView struct {
	Name      string  `json:"name"`
	Module    string  `json:"module"`
	Reachable bool    `json:"reachable"`
	Sealed    bool    `json:"sealed"`
	Since     *string `json:"since"`
	TokenTTL  *int64  `json:"token_ttl_seconds"`
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
