package api

// This file holds what an integration looks like on its way out.

import (
	"encoding/json"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
)

type integrationAnswer struct {
	Data     integrationData `json:"data" required:"true"`
	Warnings []string        `json:"warnings,omitempty"`
}

type integrationsAnswer struct {
	Data []integrationData `json:"data" required:"true" nullable:"false"`
}

type integrationData struct {
	UniqueKey        string                `json:"unique_key" required:"true"`
	Provider         string                `json:"provider" required:"true"`
	DisplayName      string                `json:"display_name" required:"true"`
	Logo             string                `json:"logo" required:"true"`
	CredentialsLabel credentialsLabel      `json:"credentials_label" required:"true"`
	ForwardWebhooks  bool                  `json:"forward_webhooks" required:"true"`
	CreatedAt        string                `json:"created_at" required:"true" format:"date-time"`
	UpdatedAt        string                `json:"updated_at" required:"true" format:"date-time"`
	Config           configData            `json:"integration_config" required:"true"`
	Connect          *catalog.ConnectTexts `json:"connect,omitempty"`
	Verification     *verificationData     `json:"verification,omitempty"`
	MaxAge           string                `json:"max_age,omitempty"`
	RefusedStatuses  []int                 `json:"refused_statuses,omitzero" nullable:"false"`
	RefusedAfter     int                   `json:"refused_after,omitempty"`
	Disabled         bool                  `json:"disabled" required:"true"`
	Source           string                `json:"source" required:"true" enum:"api,config" description:"Integrations of the Caddy config cannot be changed here."`

	// What ?include= asks for. An API key integration has neither.
	WebhookURL  json.RawMessage `json:"webhook_url,omitempty"`
	Credentials json.RawMessage `json:"credentials,omitempty"`
}

type credentialsLabel struct {
	APIKey string `json:"apiKey" required:"true"`
}

type configData struct {
	BaseURL       string `json:"baseUrl" required:"true"`
	KeyPlacement  string `json:"keyPlacement" required:"true" enum:"header,query"`
	KeyName       string `json:"keyName" required:"true"`
	ValueTemplate string `json:"valueTemplate" required:"true"`
	KeyLabel      string `json:"keyLabel" required:"true"`
}

type verificationData struct {
	Method   string            `json:"method,omitempty"`
	Path     string            `json:"path" required:"true"`
	Headers  map[string]string `json:"headers,omitempty"`
	Success  []int             `json:"success,omitempty"`
	Interval string            `json:"interval,omitempty"`
}

func verificationOf(v *catalog.Verification) *verificationData {
	if v == nil {
		return nil
	}
	return &verificationData{v.Method, v.Path, v.Headers, v.Success, formatAge(v.Interval)}
}

// null is a field that is there and holds nothing.
var null = json.RawMessage("null")

func (a *API) integrationData(i *catalog.Integration) integrationData {
	d := integrationData{
		UniqueKey: i.UniqueKey, Provider: i.Provider, DisplayName: i.DisplayName,
		CredentialsLabel: credentialsLabel{i.KeyLabel},
		ForwardWebhooks:  i.ForwardWebhooks,
		CreatedAt:        stamp(i.CreatedAt), UpdatedAt: stamp(i.UpdatedAt),
		Config:  configData{i.BaseURL, i.KeyPlacement, i.KeyName, i.ValueTemplate, i.KeyLabel},
		Connect: i.Connect, Verification: verificationOf(i.Verification), MaxAge: formatAge(i.MaxAge),
		RefusedStatuses: i.RefusedStatuses, RefusedAfter: i.RefusedAfter, Disabled: i.Disabled,
		Source: "api",
	}
	if i.Connect != nil {
		d.Logo = i.Connect.LogoURL
	}
	if _, ok := a.cfg.Static.Where(i.UniqueKey); ok {
		d.Source = "config"
	}
	return d
}

func (a *API) integrationAnswer(i *catalog.Integration) *integrationAnswer {
	answer := &integrationAnswer{Data: a.integrationData(i)}
	if i.KeyPlacement == inject.Query {
		answer.Warnings = []string{queryWarning}
	}
	return answer
}
