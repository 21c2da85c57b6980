package api

// This file holds what a connection looks like on its way out: everything but
// its key.

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

type connectionsAnswer struct {
	Connections []connectionSummary `json:"connections" required:"true" nullable:"false"`
}

// connectionSummary is a connection in a list.
type connectionSummary struct {
	ID           int64             `json:"id" required:"true" description:"A number made of the two ids below, for clients that want one."`
	ConnectionID string            `json:"connection_id" required:"true"`
	Integration  string            `json:"provider_config_key" required:"true"`
	Provider     string            `json:"provider" required:"true"`
	Created      string            `json:"created" required:"true" format:"date-time"`
	Metadata     json.RawMessage   `json:"metadata" required:"true"`
	Errors       []connectionError `json:"errors" required:"true" nullable:"false"`
	EndUser      *endUserData      `json:"end_user" required:"true"`
	Tags         map[string]string `json:"tags" required:"true" nullable:"false"`

	// What Nango tells of one connection only: with it a list is all that an
	// export has to ask for.
	Config     map[string]string `json:"connection_config" required:"true" nullable:"false"`
	WebhookURL *string           `json:"webhook_url_override" required:"true"`
	Disabled   bool              `json:"disabled" required:"true" description:"By itself, whatever its integration is."`

	state
}

// connectionData is a connection alone.
type connectionData struct {
	ID            int64             `json:"id" required:"true" description:"A number made of the two ids below, for clients that want one."`
	ConnectionID  string            `json:"connection_id" required:"true"`
	Integration   string            `json:"provider_config_key" required:"true"`
	Provider      string            `json:"provider" required:"true"`
	CreatedAt     string            `json:"created_at" required:"true" format:"date-time"`
	UpdatedAt     string            `json:"updated_at" required:"true" format:"date-time"`
	LastFetchedAt *string           `json:"last_fetched_at" required:"true"`
	Config        map[string]string `json:"connection_config" required:"true" nullable:"false"`
	Metadata      json.RawMessage   `json:"metadata" required:"true"`
	WebhookURL    *string           `json:"webhook_url_override" required:"true"`
	Errors        []connectionError `json:"errors" required:"true" nullable:"false"`
	EndUser       *endUserData      `json:"end_user" required:"true"`
	Tags          map[string]string `json:"tags" required:"true" nullable:"false"`
	Credentials   credentialsData   `json:"credentials" required:"true"`
	Disabled      bool              `json:"disabled" required:"true" description:"By itself, whatever its integration is."`

	state
}

// credentialsData stands where Nango shows the key.
type credentialsData struct {
	Type        string `json:"type" required:"true" enum:"API_KEY"`
	Fingerprint string `json:"fingerprint" required:"true" description:"Tells keys apart without showing them: a keyed hash."`
}

// connectionError is Nango's list of what is wrong with a connection.
type connectionError struct {
	Type  string `json:"type" required:"true"`
	LogID string `json:"log_id" required:"true"`
}

type endUserData struct {
	ID           string            `json:"id" required:"true"`
	DisplayName  *string           `json:"display_name" required:"true"`
	Email        *string           `json:"email" required:"true"`
	Tags         map[string]string `json:"tags" required:"true"`
	Organization *organizationData `json:"organization" required:"true"`
}

type organizationData struct {
	ID          string  `json:"id" required:"true"`
	DisplayName *string `json:"display_name" required:"true"`
}

// state is how a key is doing.
type state struct {
	Status            string  `json:"status" required:"true" enum:"ok,auth_failed,missing,stale,disabled,origin_changed,unknown"`
	KeyVersion        int     `json:"key_version" required:"true"`
	KeyAgeSeconds     *int64  `json:"key_age_seconds" required:"true"`
	LastUsedAt        *string `json:"last_used_at" required:"true"`
	LastAuthFailureAt *string `json:"last_auth_failure_at" required:"true"`

	ExpiresAt *string `json:"expires_at" required:"true" description:"When the key runs out: what its document says or, if that is sooner, its integration's max_age."`
	Expiry    string  `json:"expiry,omitempty" enum:"expiring,expired" description:"Expiring: 14 days are left, or a quarter of a shorter life. An expired key stays in use."`
}

// stateOf puts together what the catalog and this node know of a connection.
// i is its integration, nil when there is none any more.
func (a *API) stateOf(i *catalog.Integration, c *catalog.Connection) state {
	live := a.cfg.Status.Connection(c.Integration, c.ID)
	s := state{
		Status:            a.stateIn(i, groupOf(c)),
		KeyVersion:        c.KeyVersion,
		KeyAgeSeconds:     a.age(c.KeyUpdatedAt),
		LastUsedAt:        stampOrNull(later(c.LastUsedAt, live.LastUsedAt)),
		LastAuthFailureAt: stampOrNull(later(c.LastAuthFailureAt, live.LastAuthFailureAt)),
	}
	says := live.ExpiresAt
	if live.Version < c.KeyVersion { // this node does not hold the document
		says = c.KeyExpiresAt
	}
	s.ExpiresAt, s.Expiry = a.expiry(i, c.KeyUpdatedAt, says)
	if (s.Status == StateOK || s.Status == StateUnknown) && troubles(live.State) {
		s.Status = live.State
	}
	return s
}

// stateIn is the state of the connections of a group, as the catalog knows it.
func (a *API) stateIn(i *catalog.Integration, g catalog.Group) string {
	switch {
	case g.Standing == catalog.StandingDisabled || i != nil && i.Disabled:
		return StateDisabled
	case i != nil && !a.configured(i.UniqueKey) && g.Origin != a.cfg.Origin(i.BaseURL):
		return StateOriginChanged
	}
	return string(g.Standing)
}

// groupOf is the group that a connection is in.
func groupOf(c *catalog.Connection) catalog.Group {
	return catalog.Group{Integration: c.Integration, Origin: c.Origin, Standing: c.Standing()}
}

// configured tells whether an integration is one of the Caddy config, which keys
// follow wherever it leads.
func (a *API) configured(key string) bool {
	_, ok := a.cfg.Static.Where(key)
	return ok
}

func (a *API) age(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	n := int64(max(0, a.cfg.Now().Sub(t).Seconds()))
	return &n
}

func later(x, y time.Time) time.Time {
	if x.After(y) {
		return x
	}
	return y
}

func (a *API) summary(i *catalog.Integration, c *catalog.Connection) connectionSummary {
	s := a.stateOf(i, c)
	return connectionSummary{
		ID: numberOf(c), ConnectionID: c.ID, Integration: c.Integration, Provider: providerOf(i), Created: stamp(c.CreatedAt),
		Metadata: metadataOf(c), Errors: errorsOf(s), EndUser: endUserOf(c.EndUser), Tags: filled(c.Tags),
		Config: filled(c.Config), WebhookURL: orNull(c.WebhookURLOverride), Disabled: c.Disabled, state: s,
	}
}

func (a *API) connectionData(i *catalog.Integration, c *catalog.Connection) *connectionData {
	s := a.stateOf(i, c)
	return &connectionData{
		ID: numberOf(c), ConnectionID: c.ID, Integration: c.Integration, Provider: providerOf(i),
		CreatedAt: stamp(c.CreatedAt), UpdatedAt: stamp(c.UpdatedAt), LastFetchedAt: s.LastUsedAt,
		Config: filled(c.Config), Metadata: metadataOf(c), WebhookURL: orNull(c.WebhookURLOverride),
		Errors: errorsOf(s), EndUser: endUserOf(c.EndUser), Tags: filled(c.Tags),
		Credentials: credentialsData{Type: "API_KEY", Fingerprint: c.Fingerprint}, Disabled: c.Disabled, state: s,
	}
}

func providerOf(i *catalog.Integration) string {
	if i == nil {
		return generic
	}
	return i.Provider
}

// numberOf stands for Nango's row number: stable, and exact in JavaScript.
func numberOf(c *catalog.Connection) int64 {
	sum := sha256.Sum256([]byte(c.Integration + "/" + c.ID))
	return int64(binary.BigEndian.Uint64(sum[:]) >> 11)
}

func metadataOf(c *catalog.Connection) json.RawMessage {
	if len(c.Metadata) == 0 {
		return null
	}
	return c.Metadata
}

func errorsOf(s state) []connectionError {
	if s.Status == StateAuthFailed {
		return []connectionError{{Type: "auth"}}
	}
	return []connectionError{}
}

func endUserOf(u *catalog.EndUser) *endUserData {
	if u == nil {
		return nil
	}
	d := &endUserData{ID: u.ID, DisplayName: orNull(u.DisplayName), Email: orNull(u.Email)}
	if o := u.Organization; o != nil {
		d.Organization = &organizationData{o.ID, orNull(o.DisplayName)}
	}
	return d
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func filled(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
