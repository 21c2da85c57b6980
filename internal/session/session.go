// Package session makes and opens the tokens of connect sessions: the
// permission for an end user to enter one key.
//
// A token is sealed, so that nobody reads or changes what it permits, and names
// the connection that it will make. Nothing is kept of a session until it is
// used; then its id is in the catalog, where every node sees it.
package session

import (
	"errors"
	"slices"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// Prefix begins every token, as Nango's do.
const Prefix = "nango_connect_session_"

// Lifetime is for how long a token is good.
const Lifetime = 30 * time.Minute

// MaxToken is the longest token: it travels in a query, and proxies bound those.
const MaxToken = 8 << 10

// MaxFailures is how often a session may fail before its token is refused.
const MaxFailures = 20

// Why a token is refused.
var (
	// ErrUnknown says that the token is none of ours, or is altered.
	ErrUnknown = errors.New("not a token of a connect session")

	// ErrExpired says that the token was good once.
	ErrExpired = errors.New("the connect session has expired")

	// ErrUsed says that the session has made its connection, or was ended.
	ErrUsed = errors.New("the connect session was used")

	// ErrBlocked says that the session has failed too often.
	ErrBlocked = errors.New("the connect session has failed too often")

	// ErrTooLarge says that a token could not hold all of the session.
	ErrTooLarge = errors.New("the connect session is too large")
)

// Session is what a token permits.
type Session struct {
	ID      string    `json:"id"`
	Expires time.Time `json:"exp"`

	// Integrations that a key may be entered for, by unique key. Empty: all.
	Integrations []string `json:"int,omitempty"`

	// Connection is the id of the connection to make or, with Reconnect, to
	// enter another key for.
	Connection string `json:"con"`
	Reconnect  bool   `json:"re,omitempty"`

	// What the connection will have. Defaults are its connection_config, by
	// integration. UserTags give way to Tags.
	EndUser  *catalog.EndUser             `json:"user,omitempty"`
	UserTags map[string]string            `json:"utag,omitempty"`
	Tags     map[string]string            `json:"tag,omitempty"`
	Defaults map[string]map[string]string `json:"def,omitempty"`

	// WebhookURL is where to tell of it. Nil: as the connection has it.
	WebhookURL *string `json:"hook,omitempty"`
}

// Allows tells whether a key may be entered for an integration.
func (s *Session) Allows(integration string) bool {
	return len(s.Integrations) == 0 || slices.Contains(s.Integrations, integration)
}
