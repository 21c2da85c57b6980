package api

// This file holds what an integration looks like on its way in, and how that is
// laid over what there is.

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
)

// The providers there are.
const (
	generic  = "private-api-generic"
	asBearer = "private-api-bearer"
)

// defaultLabel is the label of an integration that names none.
const defaultLabel = "API Key"

type createIntegration struct {
	_ struct{} `additionalProperties:"false"`

	Provider  string `json:"provider" required:"true" enum:"private-api-generic,private-api-bearer" message:"Invalid provider"`
	UniqueKey string `json:"unique_key" required:"true" label:"Unique key" minLength:"1" maxLength:"255" pattern:"^[a-zA-Z0-9~:.@ _-]+$"`

	integrationFields
}

func (createIntegration) late() {}

type patchIntegration struct {
	_ struct{} `additionalProperties:"false"`

	condition

	Key       string  `path:"unique_key"`
	UniqueKey *string `json:"unique_key,omitempty" label:"Unique key" minLength:"1" maxLength:"255" pattern:"^[a-zA-Z0-9~:.@ _-]+$"`

	integrationFields
}

func (patchIntegration) late() {}

// integrationFields are what creating and patching have in common. Everything
// may be left out of them: what is required is checked in the outcome. Empty
// text clears what is optional.
type integrationFields struct {
	DisplayName     *string             `json:"display_name,omitempty" label:"Display name" maxLength:"255"`
	ForwardWebhooks *bool               `json:"forward_webhooks,omitempty"`
	Config          *configFields       `json:"integration_config,omitempty"`
	Connect         *connectFields      `json:"connect,omitempty" nullable:"true" description:"What the Connect page shows. Null removes it."`
	Verification    *verificationFields `json:"verification,omitempty" nullable:"true" description:"The request that tries a key. Null removes it."`
	MaxAge          *string             `json:"max_age,omitempty" label:"Max age" maxLength:"32" description:"How old a key may become: 90d, 720h."`
	RefusedStatuses *[]int              `json:"refused_statuses,omitempty" nullable:"true" label:"Refused statuses" maxItems:"100" description:"The statuses, 400 to 499, by which the upstream refuses a key. None: no answer does. Null means the default: 401."`
	RefusedAfter    *int                `json:"refused_after,omitempty" nullable:"true" label:"Refused after" minimum:"1" maximum:"1000" description:"How often in a row the newest key must be refused before its connection is auth_failed. Null means the default: 1."`
	Disabled        *bool               `json:"disabled,omitempty"`
}

type configFields struct {
	_ struct{} `additionalProperties:"false"`

	BaseURL       *string `json:"baseUrl,omitempty" label:"Base URL" maxLength:"8192" description:"Where the API is. Required."`
	KeyPlacement  *string `json:"keyPlacement,omitempty" label:"Key placement" enum:"header,query," description:"Default: header."`
	KeyName       *string `json:"keyName,omitempty" label:"Key name" maxLength:"255" description:"The header or query parameter. Required but for private-api-bearer."`
	ValueTemplate *string `json:"valueTemplate,omitempty" label:"Value template" maxLength:"1024" description:"Default: ${apiKey}."`
	KeyLabel      *string `json:"keyLabel,omitempty" label:"Key label" maxLength:"255" description:"Default: API Key."`
}

type connectFields struct {
	_ struct{} `additionalProperties:"false"`

	HelpText *string `json:"help_text,omitempty" label:"Help text" maxLength:"1000"`
	HelpURL  *string `json:"help_url,omitempty" label:"Help URL" maxLength:"2048"`
	LogoURL  *string `json:"logo_url,omitempty" label:"Logo URL" maxLength:"2048"`
}

type verificationFields struct {
	_ struct{} `additionalProperties:"false"`

	Method  string            `json:"method,omitempty" label:"Verification method" enum:"GET,HEAD,POST," description:"Default: GET."`
	Path    string            `json:"path" required:"true" label:"Verification path" minLength:"1" maxLength:"2048" description:"Relative to the base URL."`
	Headers map[string]string `json:"headers,omitempty" label:"Verification headers" maxProperties:"20"`
	Success []int             `json:"success,omitempty" label:"Verification success" maxItems:"20" description:"Statuses by which the upstream accepts a key. Default: 2xx."`

	Interval string `json:"interval,omitempty" label:"Verification interval" maxLength:"32" description:"How often known keys are tried: 6h, 1d. Default: never."`
}

// newIntegration is what a provider's integration is before its fields are
// laid over it.
func newIntegration(provider, key string) *catalog.Integration {
	i := &catalog.Integration{UniqueKey: key, DisplayName: key, Provider: provider, ForwardWebhooks: true, KeyLabel: defaultLabel, KeyPlacement: inject.Header, ValueTemplate: inject.DefaultTemplate}
	if provider == asBearer {
		i.KeyName, i.ValueTemplate = "Authorization", "Bearer ${apiKey}"
	}
	return i
}

// over lays the fields over i. It changes nothing that i points at.
func (f *integrationFields) over(c *call, i *catalog.Integration) {
	plain := newIntegration(i.Provider, i.UniqueKey)
	set(&i.DisplayName, f.DisplayName, plain.DisplayName)
	if f.ForwardWebhooks != nil {
		i.ForwardWebhooks = *f.ForwardWebhooks
	}
	if f.Disabled != nil {
		i.Disabled = *f.Disabled
	}
	if cfg := f.Config; cfg != nil {
		set(&i.BaseURL, cfg.BaseURL, "")
		set(&i.KeyPlacement, cfg.KeyPlacement, plain.KeyPlacement)
		set(&i.KeyName, cfg.KeyName, plain.KeyName)
		set(&i.ValueTemplate, cfg.ValueTemplate, plain.ValueTemplate)
		set(&i.KeyLabel, cfg.KeyLabel, plain.KeyLabel)
	}
	if f.Connect != nil || c.isNull("connect") {
		i.Connect = f.Connect.over(i.Connect)
	}
	if v := f.Verification; v != nil {
		every, ok := parseAge(v.Interval)
		if !ok {
			c.faults.add(wrongFormat, "Verification interval must be a duration such as 6h or 1d", "verification", "interval")
		}
		i.Verification = &catalog.Verification{Method: v.Method, Path: v.Path, Headers: v.Headers, Success: v.Success, Interval: every}
	} else if c.isNull("verification") {
		i.Verification = nil
	}
	if f.MaxAge != nil {
		age, ok := parseAge(*f.MaxAge)
		if !ok {
			c.faults.add(wrongFormat, "Max age must be a duration such as 90d or 720h", "max_age")
		}
		i.MaxAge = age
	}
	if s := f.RefusedStatuses; s != nil {
		i.RefusedStatuses = append([]int{}, *s...)
	} else if c.isNull("refused_statuses") {
		i.RefusedStatuses = nil
	}
	if n := f.RefusedAfter; n != nil {
		i.RefusedAfter = *n
	} else if c.isNull("refused_after") {
		i.RefusedAfter = 0
	}
}

// over returns the texts laid over others. The nil fields, which are a null,
// leave nothing.
func (f *connectFields) over(old *catalog.ConnectTexts) *catalog.ConnectTexts {
	if f == nil {
		return nil
	}
	var t catalog.ConnectTexts
	if old != nil {
		t = *old
	}
	set(&t.HelpText, f.HelpText, "")
	set(&t.HelpURL, f.HelpURL, "")
	set(&t.LogoURL, f.LogoURL, "")
	if t == (catalog.ConnectTexts{}) {
		return nil
	}
	return &t
}

// set writes a field that is given; empty text means the default.
func set(dst, given *string, fallback string) {
	if given == nil {
		return
	}
	*dst = *given
	if *given == "" {
		*dst = fallback
	}
}

// days are what time.ParseDuration does not know.
var days = regexp.MustCompile(`^[0-9]{1,5}d`)

// parseAge reads a duration as Caddy writes it, days included. Empty: 0.
func parseAge(s string) (time.Duration, bool) {
	if s == "" {
		return 0, true
	}
	d := days.FindString(s)
	var age time.Duration
	if d != "" {
		var n int
		_, _ = fmt.Sscanf(d, "%dd", &n)
		age = time.Duration(n) * 24 * time.Hour
	}
	if rest := strings.TrimPrefix(s, d); rest != "" {
		more, err := time.ParseDuration(rest)
		if err != nil || more < 0 {
			return 0, false
		}
		age += more
	}
	return age, age >= 0
}

// formatAge writes what parseAge reads. 0: empty.
func formatAge(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == 0:
		return ""
	case d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	}
	return d.String()
}
