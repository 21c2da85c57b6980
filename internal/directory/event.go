// This file holds what a directory tells in the background.

package directory

import (
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// Kind says what happened.
type Kind string

// The kinds of events. Each is told when a state changes.
const (
	// CatalogAway: the catalog cannot be asked. What is held stays in use.
	CatalogAway Kind = "catalog_away"

	// CatalogBack: it can be asked again.
	CatalogBack Kind = "catalog_back"

	// ConnectionRefused: an upstream refused a connection's key. Of all nodes
	// that see the same, one tells.
	ConnectionRefused Kind = "connection_refused"

	// ConnectionAccepted: an upstream took a connection's key after that. Of
	// all nodes that see the same, one tells.
	ConnectionAccepted Kind = "connection_accepted"

	// ConnectionExpiring: a connection's key will be older than the max_age of its
	// integration, told when 14 days and when one day are left. Of all nodes one tells.
	ConnectionExpiring Kind = "connection_expiring"

	// ConnectionExpired: it is. The key stays in use. Of all nodes one tells.
	ConnectionExpired Kind = "connection_expired"
)

// Event is one thing that happened.
type Event struct {
	Kind Kind

	// Sighting is what was seen, for events of a connection.
	Sighting catalog.Sighting

	// Ends is when the key runs out. Only for [ConnectionExpiring] and
	// [ConnectionExpired].
	Ends time.Time

	// Err says why. Only for [CatalogAway].
	Err error
}

// tell tells the observer, one event at a time.
func (d *Directory) tell(e Event) {
	d.telling.Lock()
	defer d.telling.Unlock()
	d.opts.Observe(e)
}
