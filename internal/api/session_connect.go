package api

// This file holds how an end user enters a key.

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/session"
)

type enterKey struct {
	_ struct{} `additionalProperties:"false"`

	Integration string            `path:"unique_key"`
	Token       string            `query:"connect_session_token" description:"Where Nango's clients send the token; better as a Bearer."`
	Params      map[string]string `query:"params" description:"Entries of the connection_config that neither the session nor the connection has."`
	APIKey      secret.Value      `json:"apiKey" required:"true" label:"API key" minLength:"1" maxLength:"8192"`

	trimmed bool
}

func (in *enterKey) check(fs *faults) {
	if in.APIKey.IsZero() {
		return // missing, and already reported
	}
	in.APIKey, in.trimmed = trimmed(in.APIKey)
	if in.APIKey.Reveal() == "" {
		fs.add(tooSmall, "API key is required", "apiKey")
		return
	}
	in.APIKey = checkKey(in.APIKey, fs, "apiKey")
}

// trimmed returns a key without what is picked up around it when it is copied:
// blanks, line ends, and marks of no width.
func trimmed(v secret.Value) (secret.Value, bool) {
	s := v.Reveal()
	t := strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == '\u200b' || r == '\ufeff' })
	if len(t) == len(s) {
		return v, false
	}
	return secret.New(t), true
}

// connected is Nango's answer and, beside it, what was found out about the key.
type connected struct {
	ConnectionID string `json:"connectionId" required:"true"`
	Integration  string `json:"providerConfigKey" required:"true"`
	Trimmed      bool   `json:"trimmed,omitempty" description:"Blanks or line ends around the key were taken off."`
	Verified     bool   `json:"verified,omitempty" description:"The upstream was asked, and takes the key."`
}

// connect makes the connection of a session, or enters another key for one.
func (a *API) connect(c *call, in *enterKey) (*connected, error) {
	s, ctx := c.caller, c.r.Context()
	c.note(in.Integration, s.Connection)
	if !s.Allows(in.Integration) {
		return nil, refuse(http.StatusBadRequest, "integration_not_allowed", "This connect session is not for integration %q", clipped(in.Integration))
	}
	i, err := a.known(ctx, in.Integration, noProviderConfig)
	if err != nil {
		return nil, err
	}
	conn, err := a.connectionOf(ctx, s, in)
	if err != nil {
		return nil, err
	}
	if err := a.checkConfig(i, conn); err != nil {
		return nil, err
	}
	verdict, err := a.try(ctx, i, conn, in.APIKey, "apiKey")
	if err != nil {
		return nil, err
	}
	// Who asked may leave; what is begun here is ended.
	if err := a.enterOnce(context.WithoutCancel(ctx), s, conn, in.APIKey); err != nil {
		return nil, err
	}
	return &connected{ConnectionID: conn.ID, Integration: conn.Integration, Trimmed: in.trimmed, Verified: verdict == Taken}, nil
}

// enterOnce enters the key of a session. Of all that try, on all nodes, one
// gets there. When the key cannot be entered the session is given back: its end
// user can do nothing about a store that is away. Also a write of which nobody
// knows whether it was done makes no second connection then: the next one must
// be new under the same id, or follow the same revision.
func (a *API) enterOnce(ctx context.Context, s *session.Session, conn *catalog.Connection, key secret.Value) error {
	if err := a.cfg.Sessions.Use(ctx, s); err != nil {
		return err
	}
	err := a.cfg.Keys.Enter(ctx, conn, key)
	if err == nil {
		return nil
	}
	if freed := a.cfg.Sessions.Free(ctx, s); freed != nil {
		a.cfg.Log.Error("giving back a connect session", "connection", conn.ID, "error", freed)
	}
	return err
}

// connectionOf returns the connection that a session makes, or the one that it
// enters another key for. That one keeps what it has.
func (a *API) connectionOf(ctx context.Context, s *session.Session, in *enterKey) (*catalog.Connection, error) {
	conn := &catalog.Connection{Integration: in.Integration, ID: s.Connection}
	tags := s.Tags
	if s.Reconnect {
		old, err := a.cfg.Catalog.Connection(ctx, in.Integration, s.Connection)
		if errors.Is(err, catalog.ErrNotFound) {
			return nil, noConnection(in.Integration, s.Connection)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the connection to reconnect: %w", err)
		}
		*conn = *old
		conn.KeyExpiresAt = time.Time{} // it was of the key before
		tags = ownTags(old)
		maps.Copy(tags, s.Tags)
	}
	config := maps.Clone(filled(conn.Config))
	fill(config, s.Defaults[in.Integration])
	fill(config, in.Params)
	conn.Config = config
	describe(conn, s.EndUser, s.UserTags, tags)
	if s.WebhookURL != nil {
		conn.WebhookURLOverride = *s.WebhookURL
	}
	return conn, nil
}
