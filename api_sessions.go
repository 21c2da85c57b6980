package apikeyinject

// This file holds connect sessions, and what may not be logged of them.

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/apikeyinject/caddy-apikey-inject/internal/api"
	"github.com/apikeyinject/caddy-apikey-inject/internal/session"
)

// checkConnectURL refuses what no link to the Connect page can begin with. It
// is empty without a page.
func checkConnectURL(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(s, "?#{}") {
		return errors.New("must be a URL such as https://connect.example, without a user, query or fragment")
	}
	return nil
}

// carriesSession tells whether a request is one of those in whose query Nango's
// clients put the token of a connect session. It looks at the decoded path and
// query, as the API does.
func carriesSession(r *http.Request, prefix string) bool {
	return bySession(r, prefix) || namesSession(r.URL.RawQuery)
}

// namesSession tells whether a query may name the token of a session, also in
// escapes: the page undoes them as well.
func namesSession(query string) bool {
	const name = "session_token"
	if strings.Contains(query, name) {
		return true
	}
	for part := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(key); err == nil && strings.Contains(plain, name) {
			return true
		}
	}
	return false
}

// bySession tells whether a call needs the token of a connect session.
func bySession(r *http.Request, prefix string) bool {
	path := strings.TrimPrefix(r.URL.Path, prefix)
	return strings.HasPrefix(path, "/api-auth/") || path == "/connect/session"
}

// skipLog keeps a request out of access logs. The audit says who did what.
func skipLog(r *http.Request) { caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true) }

// apiSessions are the connect sessions of the catalog.
type apiSessions struct{ *App }

func (a apiSessions) sessions() (*session.Sessions, error) {
	open, err := a.open()
	if err != nil {
		return nil, err
	}
	return open.sessions, nil
}

// Seal implements [api.Sessions].
func (a apiSessions) Seal(ctx context.Context, s *session.Session) (string, error) {
	all, err := a.sessions()
	if err != nil {
		return "", err
	}
	token, err := all.Seal(ctx, s)
	countSession("made", err)
	return token, err
}

// Open implements [api.Sessions].
func (a apiSessions) Open(ctx context.Context, token string) (*session.Session, error) {
	all, err := a.sessions()
	if err != nil {
		return nil, err
	}
	s, err := all.Open(ctx, token)
	countSession("", err)
	return s, err
}

// Check implements [api.Sessions].
func (a apiSessions) Check(ctx context.Context, s *session.Session) error {
	all, err := a.sessions()
	if err != nil {
		return err
	}
	err = all.Check(ctx, s)
	countSession("", err)
	return err
}

// Use implements [api.Sessions].
func (a apiSessions) Use(ctx context.Context, s *session.Session) error {
	all, err := a.sessions()
	if err != nil {
		return err
	}
	err = all.Use(ctx, s)
	countSession("used", err)
	return err
}

// Free implements [api.Sessions].
func (a apiSessions) Free(ctx context.Context, s *session.Session) error {
	all, err := a.sessions()
	if err != nil {
		return err
	}
	err = all.Free(ctx, s)
	countSession("freed", err)
	return err
}

// Try implements [api.Sessions].
func (a apiSessions) Try(s *session.Session) error {
	all, err := a.sessions()
	if err != nil {
		return err
	}
	err = all.Try(s)
	countSession("", err)
	return err
}

// Tried implements [api.Sessions].
func (a apiSessions) Tried(s *session.Session, failed bool) {
	if all, err := a.sessions(); err == nil {
		all.Tried(s, failed)
	}
}

// pruneSessions forgets sessions whose tokens have expired.
func (a *App) pruneSessions() {
	open, err := a.open()
	if err != nil {
		return
	}
	if err := open.db.PruneSessions(a.ctx); err != nil && a.ctx.Err() == nil {
		a.logger.Warn("forgetting expired connect sessions", zap.Error(err))
	}
}

// Interface guard
var _ api.Sessions = apiSessions{}
