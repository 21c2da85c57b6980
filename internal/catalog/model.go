package catalog

import (
	"encoding/json"
	"errors"
	"time"
)

// What the catalog answers when it does not do what was asked.
var (
	// ErrNotFound says that there is no such integration or connection.
	ErrNotFound = errors.New("not in the catalog")

	// ErrExists says that the id is taken.
	ErrExists = errors.New("already in the catalog")

	// ErrConflict says that the row was changed since it was read.
	ErrConflict = errors.New("changed meanwhile")

	// ErrHasConnections says that an integration still has connections.
	ErrHasConnections = errors.New("the integration has connections")

	// ErrUnavailable says that the database could not be asked; it says nothing
	// about any row.
	ErrUnavailable = errors.New("the catalog is unavailable")

	// ErrChangesLost says that changes were pruned before they were read, or
	// that the catalog is another one than before: whoever holds anything of it
	// drops all that and starts from [DB.LastChange].
	ErrChangesLost = errors.New("changes were pruned before they were read")
)

// Integration is one upstream API, made through the management API.
type Integration struct {
	UniqueKey   string
	Provider    string // "private-api-generic" or "private-api-bearer"
	DisplayName string // never empty

	ForwardWebhooks bool

	BaseURL       string
	KeyPlacement  string // "header" or "query"
	KeyName       string
	ValueTemplate string
	KeyLabel      string

	Connect      *ConnectTexts
	Verification *Verification
	MaxAge       time.Duration // 0: keys do not age

	// RefusedStatuses are those by which the upstream refuses a key. None: no
	// answer does; nil: the default. RefusedAfter is how often in a row it must
	// refuse one. 0: the default.
	RefusedStatuses []int
	RefusedAfter    int

	Disabled bool

	CreatedAt, UpdatedAt time.Time

	// Revision counts the writes of this row, from 1.
	Revision int64
}

// ConnectTexts is what the Connect page shows beside the form.
type ConnectTexts struct {
	HelpText string `json:"help_text,omitempty"`
	HelpURL  string `json:"help_url,omitempty"`
	LogoURL  string `json:"logo_url,omitempty"`
}

// Verification is the request that tries a key, when it is entered and then now
// and again.
type Verification struct {
	Method  string            `json:"method,omitempty"` // GET, HEAD or POST. Default: GET
	Path    string            `json:"path"`             // relative to the base URL
	Headers map[string]string `json:"headers,omitempty"`
	Success []int             `json:"success,omitempty"` // Default: 2xx

	// Interval is how often known keys are tried. 0: never.
	Interval time.Duration `json:"interval,omitempty"`
}

// Connection is one customer's credential for an integration, without its key.
type Connection struct {
	// Integration is the unique key. It may be one of the Caddy config, which
	// the catalog does not hold.
	Integration string

	// ID is compared byte by byte.
	ID string

	Config   map[string]string // for ${connectionConfig.NAME}
	Metadata json.RawMessage   // a JSON object, kept byte for byte
	Tags     map[string]string
	EndUser  *EndUser

	WebhookURLOverride string

	// Origin is what the integration's base URL pointed at when the key was
	// entered: a key goes nowhere else.
	Origin string

	// BoundSince is the first version of the key that may go where the row leads
	// now: those before were entered for another origin or config. The catalog
	// sets it.
	BoundSince int

	// Fingerprint tells keys apart without showing them: a keyed hash.
	Fingerprint string

	// KeyVersion is the version of the key's document in its store.
	KeyVersion   int
	KeyUpdatedAt time.Time

	// KeyExpiresAt is when that version runs out, to the second, as was said when
	// it was entered. Zero: it was not said. A key that was put into the store
	// past the catalog has its own in its document only.
	KeyExpiresAt time.Time

	Disabled bool

	// AuthFailedVersion is the version of the key that the upstream refused
	// last, 0 for none; LastAuthFailureAt says when.
	AuthFailedVersion int
	LastAuthFailureAt time.Time
	LastUsedAt        time.Time // to the minute or so

	// Unverified says that the upstream gave no verdict on the key when it was
	// entered, nor since. VerifyAt is when the key is due to be tried, zero for
	// at once. Both are written with a key, and after that by verdicts and
	// [DB.ClaimVerifications] only.
	Unverified bool
	VerifyAt   time.Time

	CreatedAt, UpdatedAt time.Time

	// Revision counts the writes of this row's description, from 1. What
	// traffic notes (last use, auth failures) does not count.
	Revision int64
}

// EndUser is whom a connection belongs to, in the words of the product.
type EndUser struct {
	ID           string        `json:"id"`
	Email        string        `json:"email,omitempty"`
	DisplayName  string        `json:"display_name,omitempty"`
	Organization *Organization `json:"organization,omitempty"`
}

// Organization is the end user's.
type Organization struct {
	ID          string `json:"id"`
	DisplayName string `json:"display_name,omitempty"`
}

// ConnectionFilter picks connections. Zero fields pick all.
type ConnectionFilter struct {
	ID             string            // exact
	Search         string            // part of the id, or of the end user's id, email, or display name; case ignored
	EndUserID      string            // exact
	OrganizationID string            // exact
	Integrations   []string          // any of these
	Tags           map[string]string // all of these
	KeyBefore      time.Time         // whose key was written before
	Limit, Offset  int               // Limit 0: no limit
}

// Change says that a row was written or deleted, so that what other nodes have
// of it is out of date.
type Change struct {
	// Seq orders all changes of a catalog, without gaps.
	Seq int64

	Integration string
	Connection  string // empty: the integration itself
}

// PendingKey is a key write or deletion that spans a store and the catalog:
// see [DB.BeginKeyWrite].
type PendingKey struct {
	Integration string
	ID          string

	// Version is that of the key's document in its store before: what the write
	// gives as check-and-set, 0 for none.
	Version int

	// Row is the connection to write once the key is in the store, with the new
	// key's fingerprint. Its Revision is the one that was read, 0 for a
	// connection to be made. Nil for a deletion.
	Row *Connection

	// OfCatalog says that the integration is one of the catalog, which must
	// still be there when the write begins.
	OfCatalog bool

	// Deletion says that the connection is gone and its key is to follow.
	Deletion bool

	// BeganAt is set by the catalog.
	BeganAt time.Time

	token string // tells this write from others of the same connection
}

// Sighting is what traffic tells of a connection's key.
type Sighting struct {
	Integration string
	ID          string
	Version     int // of the key that was used
	At          time.Time
}
