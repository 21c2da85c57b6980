package api

// This file holds the two providers that there are, as Nango's clients and the
// Connect page want to know them.

import (
	"net/http"
	"slices"
	"strings"

	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
)

type providersAnswer struct {
	Data []provider `json:"data" required:"true" nullable:"false"`
}

type providerAnswer struct {
	Data provider `json:"data" required:"true"`
}

type provider struct {
	Name        string                  `json:"name" required:"true"`
	DisplayName string                  `json:"display_name" required:"true"`
	AuthMode    string                  `json:"auth_mode" required:"true" enum:"API_KEY"`
	LogoURL     string                  `json:"logo_url" required:"true"`
	Docs        string                  `json:"docs" required:"true"`
	Categories  []string                `json:"categories" required:"true" nullable:"false"`
	Credentials map[string]providerText `json:"credentials" required:"true" nullable:"false" description:"What an end user enters."`
	Config      map[string]providerText `json:"integration_config" required:"true" nullable:"false" description:"What describes an integration."`
}

// providerText is a field of text in a form.
type providerText struct {
	Type        string   `json:"type" required:"true" enum:"string"`
	Title       string   `json:"title" required:"true"`
	Description string   `json:"description" required:"true"`
	Order       int      `json:"order" required:"true"`
	Optional    bool     `json:"optional,omitempty"`
	Default     string   `json:"default_value,omitempty"`
	Example     string   `json:"example,omitempty"`
	Secret      string   `json:"secret,omitempty" description:"\"true\" for what must not be shown."`
	Enum        []string `json:"enum,omitempty"`
	Automated   bool     `json:"automated" required:"true"`
}

func providers() []provider {
	key := map[string]providerText{"apiKey": {Type: "string", Title: defaultLabel, Description: "The key of the upstream API", Order: 1, Secret: "true"}}
	base := providerText{Type: "string", Title: "Base URL", Description: "Where the upstream API is", Order: 1, Example: "https://api.example.com/v1"}
	label := providerText{Type: "string", Title: "Key label", Description: "The label of the field in which a key is entered", Order: 5, Optional: true, Default: defaultLabel}
	return []provider{
		{
			Name: generic, DisplayName: "Private API (Generic)", AuthMode: "API_KEY", Categories: []string{"dev-tools"}, Credentials: key,
			Config: map[string]providerText{
				"baseUrl":       base,
				"keyPlacement":  {Type: "string", Title: "Key placement", Description: "Where the key goes", Order: 2, Optional: true, Default: inject.Header, Enum: []string{inject.Header, inject.Query}},
				"keyName":       {Type: "string", Title: "Key name", Description: "The header or query parameter that carries the key", Order: 3, Example: "Authorization"},
				"valueTemplate": {Type: "string", Title: "Value template", Description: "What the header or parameter holds", Order: 4, Optional: true, Default: inject.DefaultTemplate, Example: "Api-Key ${apiKey}"},
				"keyLabel":      label,
			},
		},
		{
			Name: asBearer, DisplayName: "Private API (Bearer Auth)", AuthMode: "API_KEY", Categories: []string{"dev-tools"}, Credentials: key,
			Config: map[string]providerText{"baseUrl": base, "keyLabel": label},
		},
	}
}

func otherOperations() []*operation {
	return []*operation{
		op(operation{method: "GET", path: "/providers", id: "listProviders", summary: "List providers"}, (*API).listProviders),
		op(operation{
			method: "GET", path: "/providers/{provider}", id: "getProvider", summary: "Read a provider", refusals: []int{http.StatusNotFound},
		}, (*API).getProvider),
		op(operation{method: "GET", path: "/token", id: "getToken", summary: "What the token that asks may do"}, (*API).getToken),
		op(operation{method: "GET", path: "/openapi.json", id: "openapi", summary: "This document"}, (*API).openapi),
		op(operation{
			method: "GET", path: "/status", id: "status", summary: "How stores, integrations and connections are doing", scope: ScopeStatus,
		}, (*API).status),
	}
}

type listProviders struct {
	Search string `query:"search"`
}

func (a *API) listProviders(_ *call, in *listProviders) (*providersAnswer, error) {
	all := providers()
	all = slices.DeleteFunc(all, func(p provider) bool {
		return !strings.Contains(strings.ToLower(p.Name+" "+p.DisplayName), strings.ToLower(in.Search))
	})
	return &providersAnswer{all}, nil
}

type getProvider struct {
	Name string `path:"provider"`
}

func (a *API) getProvider(_ *call, in *getProvider) (*providerAnswer, error) {
	for _, p := range providers() {
		if p.Name == in.Name {
			return &providerAnswer{p}, nil
		}
	}
	return nil, refuse(http.StatusNotFound, "not_found", "Provider %q does not exist", clipped(in.Name))
}
