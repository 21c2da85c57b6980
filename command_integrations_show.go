package apikeyinject

// This file holds how integrations are listed and shown.

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// integrationView is what people are shown of an integration.
type integrationView struct {
	UniqueKey   string `json:"unique_key"`
	Provider    string `json:"provider"`
	DisplayName string `json:"display_name"`
	Config      struct {
		BaseURL   string `json:"baseUrl"`
		Placement string `json:"keyPlacement"`
		Name      string `json:"keyName"`
		Template  string `json:"valueTemplate"`
		Label     string `json:"keyLabel"`
	} `json:"integration_config"`
	MaxAge          string  `json:"max_age"`
	RefusedStatuses *[]int  `json:"refused_statuses"`
	RefusedAfter    int     `json:"refused_after"`
	Disabled        bool    `json:"disabled"`
	Source          string  `json:"source"`
	UpdatedAt       *string `json:"updated_at"`
}

func (i *integrationView) state() string {
	if i.Disabled {
		return "disabled"
	}
	return ""
}

// refusals says by what a key is refused, where that is not the default.
func (i *integrationView) refusals() (statuses, after string) {
	if s := i.RefusedStatuses; s != nil {
		statuses = cmp.Or(strings.Trim(fmt.Sprint(*s), "[]"), "off")
	}
	if i.RefusedAfter > 0 {
		after = count(i.RefusedAfter, "refusal")
	}
	return statuses, after
}

func listIntegrations(fl caddycmd.Flags, o operator) error {
	if fl.NArg() > 0 {
		return errors.New("integrations list takes no arguments")
	}
	all, err := o.integrations()
	if err != nil {
		return err
	}
	return presentAll(fl, all, "There are no integrations.",
		[]string{"INTEGRATION", "BASE URL", "PLACEMENT", "NAME", "FROM", "STATE"}, func(i *integrationView) []string {
			return []string{i.UniqueKey, i.Config.BaseURL, i.Config.Placement, i.Config.Name, i.Source, i.state()}
		})
}

func showIntegration(fl caddycmd.Flags, o operator) error {
	key, err := integrationOf(fl, "integrations show <integration>")
	if err != nil {
		return err
	}
	var answer struct {
		Data json.RawMessage `json:"data"`
	}
	if err := o.do(http.MethodGet, integrationPath(key, ""), nil, &answer); err != nil {
		return err
	}
	return present(fl, answer.Data, func(i *integrationView) error {
		changed := since(i.UpdatedAt)
		if i.Source == "config" { // which keeps no times
			changed = ""
		}
		statuses, after := i.refusals()
		return printPairs(os.Stdout,
			[2]string{"Integration", i.UniqueKey}, [2]string{"Display name", i.DisplayName}, [2]string{"Provider", i.Provider},
			[2]string{"Base URL", i.Config.BaseURL}, [2]string{"Placement", i.Config.Placement}, [2]string{"Name", i.Config.Name},
			[2]string{"Template", i.Config.Template}, [2]string{"Label", i.Config.Label}, [2]string{"Max age", i.MaxAge},
			[2]string{"Refused by", statuses}, [2]string{"Refused after", after},
			[2]string{"State", i.state()}, [2]string{"From", i.Source}, [2]string{"Changed", changed})
	})
}
