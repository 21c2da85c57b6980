package api

// This file holds connect sessions as the product's own server makes them.

import (
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/session"
)

func sessionOperations() []*operation {
	return []*operation{
		op(operation{
			method: "POST", path: "/connect/sessions", id: "createConnectSession", summary: "Let an end user enter a key: the token and link for it",
			scope: ScopeConnectSessions, action: "session.create", status: http.StatusCreated,
		}, (*API).createSession),
		op(operation{
			method: "POST", path: "/connect/sessions/reconnect", id: "reconnectConnectSession", summary: "Let an end user enter another key for a connection",
			scope: ScopeConnectSessions, action: "session.reconnect", status: http.StatusCreated, refusals: []int{http.StatusNotFound},
		}, (*API).reconnectSession),
		op(operation{
			method: "GET", path: "/connect/session", id: "getConnectSession", summary: "Read what a connect session permits",
			bySession: true, action: "session.read",
		}, (*API).getSession),
		op(operation{
			method: "DELETE", path: "/connect/session", id: "deleteConnectSession", summary: "End a connect session",
			bySession: true, action: "session.end", status: http.StatusNoContent,
		}, (*API).endSession),
		op(operation{
			method: "POST", path: "/api-auth/api-key/{unique_key}", id: "enterKey", summary: "Enter the key that a connect session is for",
			bySession: true, tries: true, action: "session.connect", refusals: []int{http.StatusNotFound, http.StatusConflict},
		}, (*API).connect),
	}
}

type createSession struct {
	_ struct{} `additionalProperties:"false"`

	Integrations []string `json:"allowed_integrations,omitempty" maxItems:"100" label:"Allowed integrations" description:"By unique key. Default: all."`

	sessionFields
}

type reconnectSession struct {
	_ struct{} `additionalProperties:"false"`

	ID          string `json:"connection_id" required:"true" minLength:"1" maxLength:"255"`
	Integration string `json:"integration_id" required:"true" minLength:"1" maxLength:"255"`

	sessionFields
}

// sessionFields are what both have in common.
type sessionFields struct {
	EndUser      *endUserFields      `json:"end_user,omitempty"`
	Organization *organizationFields `json:"organization,omitempty"`
	Tags         map[string]string   `json:"tags,omitempty" maxProperties:"10"`
	Defaults     jsontext.Value      `json:"integrations_config_defaults,omitempty" description:"By unique key, each an object with a connection_config."`
	Overrides    jsontext.Value      `json:"overrides,omitempty" description:"Accepted for Nango's clients, without effect."`
	WebhookURL   *string             `json:"webhook_url_override,omitempty" maxLength:"2048"`

	defaults map[string]map[string]string
}

// configDefaults are the values of integrations_config_defaults.
type configDefaults struct {
	_ struct{} `additionalProperties:"false"`

	Config     map[string]string `json:"connection_config,omitempty"`
	UserScopes string            `json:"user_scopes,omitempty"`          // of OAuth, as is the next one
	Params     jsontext.Value    `json:"authorization_params,omitempty"` // accepted, without effect
}

var configDefaultsShape = shapeOf(reflect.TypeFor[configDefaults]())

func (in *createSession) check(fs *faults) {
	if in.EndUser == nil && in.Tags == nil {
		fs.add(wrongCustom, "An end user or tags are required", "end_user")
	}
	in.sessionFields.check(fs)
}

func (f *sessionFields) check(fs *faults) {
	f.EndUser.check(fs)
	if o := f.Organization; o != nil {
		checkLine(o.ID, "Organization id", fs, "organization", "id")
		checkLine(o.DisplayName, "Organization display name", fs, "organization", "display_name")
	}
	f.Tags = checkTags(f.Tags, fs, "tags")
	checkWebhook(f.WebhookURL, fs)
	f.readDefaults(fs)
}

func (f *sessionFields) readDefaults(fs *faults) {
	const name = "integrations_config_defaults"
	if f.Defaults == nil {
		return
	}
	f.defaults = make(map[string]map[string]string)
	d := &decoder{faults: fs, nulls: new([]string)}
	for _, m := range members(f.Defaults) {
		at := []any{name, m.name}
		if !d.kind(m.value, '{', clipped(m.name), "an object", at) {
			continue
		}
		var c configDefaults
		d.object(m.value, configDefaultsShape, reflect.ValueOf(&c).Elem(), at)
		f.defaults[m.name] = c.Config
	}
}

// over lays the fields over a session.
func (f *sessionFields) over(s *session.Session) {
	s.Tags, s.Defaults, s.WebhookURL = f.Tags, f.defaults, f.WebhookURL
	if f.EndUser == nil {
		return
	}
	s.EndUser, s.UserTags = f.EndUser.user(), f.EndUser.Tags
	if o := f.Organization; o != nil && s.EndUser.Organization == nil {
		s.EndUser.Organization = &catalog.Organization{ID: o.ID, DisplayName: o.DisplayName}
	}
}

type sessionAnswer struct {
	Data sessionToken `json:"data" required:"true"`
}

type sessionToken struct {
	Token   string `json:"token" required:"true"`
	Link    string `json:"connect_link" required:"true" description:"Empty without a connect_url in the configuration."`
	Expires string `json:"expires_at" required:"true" format:"date-time"`
}

func (a *API) createSession(c *call, in *createSession) (*sessionAnswer, error) {
	if len(c.token.Connections) > 0 {
		return nil, forbidden("This token is limited to some connections, and this would make another")
	}
	allowed := in.Integrations
	if len(allowed) == 0 {
		allowed = c.token.Integrations
	}
	for _, key := range allowed {
		if err := c.mayUse(key); err != nil {
			return nil, err
		}
	}
	s := &session.Session{Integrations: allowed, Connection: uuid.NewString()}
	c.note("", s.Connection)
	if len(allowed) == 1 {
		c.note(allowed[0], s.Connection)
	}
	in.over(s)
	if err := a.checkSession(c, s); err != nil {
		return nil, err
	}
	return a.seal(c, s)
}

func (a *API) reconnectSession(c *call, in *reconnectSession) (*sessionAnswer, error) {
	if _, _, err := a.connection(c, &connectionPath{ID: in.ID, Integration: in.Integration}); err != nil {
		return nil, err
	}
	s := &session.Session{Integrations: []string{in.Integration}, Connection: in.ID, Reconnect: true}
	in.over(s)
	if err := a.checkSession(c, s); err != nil {
		return nil, err
	}
	return a.seal(c, s)
}

// checkSession refuses integrations that there are not, and defaults that no
// key could be entered with: the end user could do nothing about it.
func (a *API) checkSession(c *call, s *session.Session) error {
	of, err := a.byKey(c.r.Context())
	if err != nil {
		return err
	}
	for n, key := range s.Integrations {
		if of[key] == nil {
			c.faults.add(wrongCustom, "Integration does not exist", "allowed_integrations", n)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.Defaults)) {
		at := []any{"integrations_config_defaults", key}
		switch {
		case of[key] == nil:
			c.faults.add(wrongCustom, "Integration does not exist", at...)
		case !s.Allows(key):
			c.faults.add(wrongCustom, "Integration is not allowed", at...)
		default:
			if err := a.cfg.CheckConfig(of[key].BaseURL, s.Defaults[key]); err != nil {
				c.faults.addDetail(wrongValue, "Connection config does not fit the integration's base URL", err.Error(), append(at, "connection_config")...)
			}
		}
	}
	return c.faults.body()
}

func (a *API) seal(c *call, s *session.Session) (*sessionAnswer, error) {
	token, err := a.cfg.Sessions.Seal(c.r.Context(), s)
	if errors.Is(err, session.ErrTooLarge) {
		return nil, oneFault(tooBig, "The session is too large for a token")
	}
	if err != nil {
		return nil, err
	}
	answer := &sessionAnswer{sessionToken{Token: token, Expires: stamp(s.Expires)}}
	if a.cfg.ConnectURL != "" {
		answer.Data.Link = a.cfg.ConnectURL + "#session_token=" + token
	}
	return answer, nil
}
