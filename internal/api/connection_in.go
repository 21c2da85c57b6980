package api

// This file holds what a connection looks like on its way in.

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
	"github.com/apikeyinject/caddy-apikey-inject/internal/webhook"
)

type createConnection struct {
	_ struct{} `additionalProperties:"false"`

	condition

	Integration string            `json:"provider_config_key" required:"true" minLength:"1" maxLength:"255"`
	ID          *string           `json:"connection_id,omitempty" maxLength:"255" description:"Default: a random UUID."`
	Credentials *credentials      `json:"credentials" required:"true"`
	Metadata    jsontext.Value    `json:"metadata,omitempty"`
	Config      map[string]string `json:"connection_config,omitempty"`
	EndUser     *endUserFields    `json:"end_user,omitempty"`
	Tags        map[string]string `json:"tags,omitempty" maxProperties:"10"`
	WebhookURL  *string           `json:"webhook_url_override,omitempty" maxLength:"2048"`
}

type credentials struct {
	_ struct{} `additionalProperties:"false"`

	Type   string       `json:"type" required:"true" enum:"API_KEY" label:"Credentials type"`
	APIKey secret.Value `json:"apiKey" required:"true" label:"API key" minLength:"1" maxLength:"8192"`

	keyEnd
}

type putCredentials struct {
	_ struct{} `additionalProperties:"false"`

	connectionPath
	condition

	Type   *string      `json:"type,omitempty" enum:"API_KEY" label:"Credentials type"`
	APIKey secret.Value `json:"apiKey" required:"true" label:"API key" minLength:"1" maxLength:"8192"`

	keyEnd
}

// keyEnd is when a key runs out, which is entered with it.
type keyEnd struct {
	ExpiresAt *string `json:"expires_at,omitempty" label:"Expires at" maxLength:"64" format:"date-time" description:"When this key runs out, RFC 3339. Default: it is not said."`

	at time.Time
}

// readEnd reads the time. It is kept to the second.
func (e *keyEnd) readEnd(fs *faults, path ...any) {
	if e.ExpiresAt == nil {
		return
	}
	at, err := time.Parse(time.RFC3339, *e.ExpiresAt)
	if err != nil || at.Unix() <= 0 {
		fs.add(wrongFormat, "Expires at must be an RFC 3339 time such as 2027-01-31T00:00:00Z", append(path, "expires_at")...)
	}
	e.at = at.UTC().Truncate(time.Second)
}

type patchConnection struct {
	_ struct{} `additionalProperties:"false"`

	connectionPath
	condition

	Config     map[string]string `json:"connection_config,omitempty" description:"Merged; an empty value removes an entry."`
	EndUser    *endUserFields    `json:"end_user,omitempty"`
	Tags       map[string]string `json:"tags,omitempty" maxProperties:"10" description:"In place of those there are."`
	WebhookURL *string           `json:"webhook_url_override,omitempty" maxLength:"2048"`
	Disabled   *bool             `json:"disabled,omitempty"`
}

// connectionPath names a connection in a path and query.
type connectionPath struct {
	ID          string `path:"id"`
	Integration string `query:"provider_config_key" required:"true" minLength:"1"`
}

// connectionWrite names a connection that is changed without a body.
type connectionWrite struct {
	connectionPath
	condition
}

type endUserFields struct {
	_ struct{} `additionalProperties:"false"`

	ID           string              `json:"id" required:"true" label:"End user id" minLength:"1" maxLength:"255"`
	Email        string              `json:"email,omitempty" label:"End user email" maxLength:"255"`
	DisplayName  string              `json:"display_name,omitempty" label:"End user display name" maxLength:"255"`
	Tags         map[string]string   `json:"tags,omitempty" maxProperties:"10"`
	Organization *organizationFields `json:"organization,omitempty"`
}

type organizationFields struct {
	_ struct{} `additionalProperties:"false"`

	ID          string `json:"id" required:"true" label:"Organization id" minLength:"1" maxLength:"255"`
	DisplayName string `json:"display_name,omitempty" label:"Organization display name" maxLength:"255"`
}

func (in *createConnection) check(fs *faults) {
	if in.ID != nil {
		checkID(*in.ID, fs)
	}
	if in.Credentials != nil {
		in.Credentials.APIKey = checkKey(in.Credentials.APIKey, fs, "credentials", "apiKey")
		in.Credentials.readEnd(fs, "credentials")
	}
	checkConnectionConfig(in.Config, fs, false)
	in.EndUser.check(fs)
	in.Tags = checkTags(in.Tags, fs, "tags")
	checkWebhook(in.WebhookURL, fs)
}

// checkID refuses ids that could be another path, and those by which a key could
// be entered but not reached any more.
func checkID(id string, fs *faults) {
	err := store.CheckSegment(id)
	switch {
	case err != nil:
	case strings.TrimSpace(id) != id: // the gateway would take " a" for "a"
		err = errors.New("it begins or ends with a blank, which no header carries")
	case id == "metadata": // /connections/metadata is about others
		err = errors.New("it is a word of the API")
	}
	if err != nil {
		fs.addDetail(wrongFormat, "connection_id has an invalid format", err.Error(), "connection_id")
	}
}

func (in *putCredentials) check(fs *faults) {
	in.APIKey = checkKey(in.APIKey, fs, "apiKey")
	in.readEnd(fs)
}

func (in *patchConnection) check(fs *faults) {
	checkConnectionConfig(in.Config, fs, true)
	in.EndUser.check(fs)
	in.Tags = checkTags(in.Tags, fs, "tags")
	checkWebhook(in.WebhookURL, fs)
}

// checkKey returns the key without its line end. The reason that it reports
// holds nothing of it.
func checkKey(v secret.Value, fs *faults, path ...any) secret.Value {
	if v.IsZero() {
		return v // missing, and already reported
	}
	clean, reason := store.CleanKey(v)
	if reason != "" {
		fs.add(wrongFormat, "API key "+reason, path...)
	}
	return clean
}

func checkConnectionConfig(config map[string]string, fs *faults, clears bool) {
	for name, value := range config {
		if value == "" && clears {
			value = "x" // only the name counts
		}
		if err := inject.CheckConfigValue(name, value); err != nil {
			fs.addDetail(wrongFormat, "Connection config has an invalid entry", err.Error(), "connection_config", name)
		}
	}
}

func checkWebhook(s *string, fs *faults) {
	if s != nil && *s != "" && webhook.CheckURL(*s) != nil {
		fs.add(wrongFormat, "webhook_url_override must be a valid URL", "webhook_url_override")
	}
}

func (f *endUserFields) check(fs *faults) {
	if f == nil {
		return
	}
	for _, line := range []struct{ value, label, name string }{
		{f.ID, "End user id", "id"}, {f.Email, "End user email", "email"}, {f.DisplayName, "End user display name", "display_name"},
	} {
		checkLine(line.value, line.label, fs, "end_user", line.name)
	}
	if o := f.Organization; o != nil {
		checkLine(o.ID, "Organization id", fs, "end_user", "organization", "id")
		checkLine(o.DisplayName, "Organization display name", fs, "end_user", "organization", "display_name")
	}
	f.Tags = checkTags(f.Tags, fs, "end_user", "tags")
}

// user returns the end user as it is kept. Its tags become the connection's.
func (f *endUserFields) user() *catalog.EndUser {
	u := &catalog.EndUser{ID: f.ID, Email: f.Email, DisplayName: f.DisplayName}
	if o := f.Organization; o != nil {
		u.Organization = &catalog.Organization{ID: o.ID, DisplayName: o.DisplayName}
	}
	return u
}

// tagName is what a tag can be called.
var tagName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_\-./]*$`)

// checkTags returns the tags with their names in lower case.
func checkTags(tags map[string]string, fs *faults, path ...any) map[string]string {
	if tags == nil {
		return nil
	}
	lower := make(map[string]string, len(tags))
	for name, value := range tags {
		at := append(slices.Clip(path), name)
		l := strings.ToLower(name)
		_, twice := lower[l]
		switch {
		case len(name) > 64 || !tagName.MatchString(name):
			fs.add(wrongFormat, "Tag name has an invalid format", at...)
		case twice:
			fs.add(wrongValue, fmt.Sprintf("Tag %s is given in two casings", l), path...)
		case value == "":
			fs.add(tooSmall, "Tag value is required", at...)
		case len([]rune(value)) > 255:
			fs.add(tooBig, "Tag value must have at most 255 characters", at...)
		case strings.ContainsFunc(value, unicode.IsControl):
			fs.add(wrongFormat, "Tag value has an invalid format", at...)
		}
		lower[l] = value
	}
	return lower
}
