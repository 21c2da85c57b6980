// Package notice is the vocabulary of what happened to keys, stores, connections
// and integrations, as it is told to the outside: in the log, as events of
// Caddy, in webhooks and alerts.
//
// A notice holds names, versions and counts, and never a value.
package notice

import "time"

// Kind says what happened. Events of Caddy are named by it.
type Kind string

// The kinds of a key.
const (
	// Rotated: a new version of a key is in use.
	Rotated Kind = "rotated"

	// Unavailable: a key cannot be read, for the reason that is given.
	Unavailable Kind = "unavailable"

	// Recovered: it can be read again.
	Recovered Kind = "recovered"

	// Deleted: the store confirmed that a key is no more.
	Deleted Kind = "deleted"

	// Denied: the store's policy forbids a key.
	Denied Kind = "denied"

	// Invalid: a document has no usable key.
	Invalid Kind = "invalid"

	// AuthFailed: the upstream refuses the newest key.
	AuthFailed Kind = "auth_failed"

	// AuthRecovered: the upstream takes the key again.
	AuthRecovered Kind = "auth_recovered"

	// Expiring: a key is near the end that it was given.
	Expiring Kind = "expiring"

	// Expired: it is past that.
	Expired Kind = "expired"
)

// The kinds of stores and the catalog.
const (
	StoreDown      Kind = "store_down"
	StoreUp        Kind = "store_up"
	StoreThrottled Kind = "store_throttled"

	// TokenExpiring: our login at the store ends soon, and there is no other.
	TokenExpiring Kind = "token_expiring" //nolint:gosec // a name

	// TokenReplaced: there is another after that.
	TokenReplaced Kind = "token_replaced"

	CatalogAway Kind = "catalog_away"
	CatalogBack Kind = "catalog_back"
)

// The kinds of what was changed through the API.
const (
	ConnectionCreated Kind = "connection_created"

	// ConnectionUpdated: another key was entered, or the description changed.
	ConnectionUpdated  Kind = "connection_updated"
	ConnectionDeleted  Kind = "connection_deleted"
	ConnectionDisabled Kind = "connection_disabled"
	ConnectionEnabled  Kind = "connection_enabled"

	IntegrationCreated  Kind = "integration_created"
	IntegrationUpdated  Kind = "integration_updated"
	IntegrationDeleted  Kind = "integration_deleted"
	IntegrationDisabled Kind = "integration_disabled"
	IntegrationEnabled  Kind = "integration_enabled"
)

// Kinds lists every kind, in the order of the documentation.
func Kinds() []Kind {
	return []Kind{
		Rotated, Unavailable, Recovered, Deleted, Denied, Invalid, AuthFailed, AuthRecovered, Expiring, Expired,
		StoreDown, StoreUp, StoreThrottled, TokenExpiring, TokenReplaced, CatalogAway, CatalogBack,
		ConnectionCreated, ConnectionUpdated, ConnectionDeleted, ConnectionDisabled, ConnectionEnabled,
		IntegrationCreated, IntegrationUpdated, IntegrationDeleted, IntegrationDisabled, IntegrationEnabled,
	}
}

// Notice is one thing that happened.
type Notice struct {
	Kind Kind
	At   time.Time

	// Integration and Connection say whose key it is, as far as that is known:
	// a path of a store may be anybody's.
	Integration string
	Connection  string

	// Store is the name of the store in the configuration.
	Store string

	// Key is the address of the key's document, where the store told.
	Key string

	// Version of the key that it is about, and the one Former to it.
	Version int
	Former  int

	// Field that is not usable. Only with [Invalid].
	Field string

	// Reason is a code: a class of errors.
	Reason string

	// Ends is when something runs out. Only with [Expiring], [Expired] and
	// [TokenExpiring].
	Ends time.Time
}

// Data is the notice as an event carries it: only what is set.
func (n *Notice) Data() map[string]any {
	d := make(map[string]any, 8)
	for name, s := range map[string]string{
		"integration": n.Integration, "connection": n.Connection, "store": n.Store, "key": n.Key, "field": n.Field, "reason": n.Reason,
	} {
		if s != "" {
			d[name] = s
		}
	}
	if n.Version != 0 {
		d["key_version"] = n.Version
	}
	if n.Former != 0 {
		d["former_version"] = n.Former
	}
	if !n.Ends.IsZero() {
		d["ends_at"] = n.Ends.UTC().Format(time.RFC3339)
	}
	return d
}
