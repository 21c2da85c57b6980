package api

// This file holds how the token of a connect session is taken for what it
// permits, and what it is told when it permits nothing.

import (
	"errors"
	"net/http"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/session"
)

// sessionCaller is what audit entries call the holder of a session's token.
const sessionCaller = "connect session"

// admitSession refuses a call without the token of a connect session. It may be
// the Bearer's, or stand in the query, where Nango's clients have it.
func (a *API) admitSession(c *call) error {
	token, ok := bearer(c.r)
	if !ok {
		token = c.r.URL.Query().Get("connect_session_token")
	}
	if token == "" {
		return refuse(http.StatusUnauthorized, "missing_auth_header", "The request needs the token of a connect session, in one header Authorization: Bearer <token>")
	}
	s, err := a.cfg.Sessions.Open(c.r.Context(), token)
	if err != nil {
		return err
	}
	c.caller = s // whoever is refused from here on is known
	c.token = &Token{Name: sessionCaller, Integrations: s.Integrations}
	c.note(c.integration, s.Connection)
	return a.cfg.Sessions.Check(c.r.Context(), s)
}

// refusedSession is the answer to a token that permits nothing, nil for another
// error. Each has its code: the page says different things.
func refusedSession(err error) *Error {
	for reason, e := range map[error]*Error{
		session.ErrUnknown: {Code: "unknown_connect_session_token", Message: "This is no token of a connect session"},
		session.ErrExpired: {Code: "connect_session_expired", Message: "The connect session has expired; ask for a new link"},
		session.ErrUsed:    {Code: "connect_session_used", Message: "The connect session was used; ask for a new link"},
		session.ErrBlocked: {Code: "connect_session_blocked", Message: "The connect session has failed too often; ask for a new link"},
	} {
		if errors.Is(err, reason) {
			e.Status = http.StatusUnauthorized
			return e
		}
	}
	return nil
}

type sessionDataAnswer struct {
	Data sessionData `json:"data" required:"true"`
}

// sessionData is a session as its end user may see it.
type sessionData struct {
	Integrations []string          `json:"allowed_integrations,omitempty"`
	EndUser      *endUserData      `json:"endUser" required:"true"`
	Tags         map[string]string `json:"tags" required:"true" nullable:"false"`
	Reconnecting bool              `json:"isReconnecting" required:"true"`
	Expires      string            `json:"expires_at" required:"true" format:"date-time"`
}

func (a *API) getSession(c *call, _ *nothing) (*sessionDataAnswer, error) {
	s := c.caller
	made := &catalog.Connection{}
	describe(made, s.EndUser, s.UserTags, s.Tags)
	return &sessionDataAnswer{sessionData{
		Integrations: s.Integrations, EndUser: endUserOf(s.EndUser), Tags: made.Tags, Reconnecting: s.Reconnect, Expires: stamp(s.Expires),
	}}, nil
}

func (a *API) endSession(c *call, _ *nothing) (*nothing, error) {
	return &nothing{}, a.cfg.Sessions.Use(c.r.Context(), c.caller)
}
