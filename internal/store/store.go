// Package store says what a store of keys is and how its answers are classed.
//
// A store keeps documents: sets of named fields at an address. The keyring
// knows stores only through this package, so every store behaves the same
// towards requests.
package store

import (
	"context"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// Address names one document in a store. It is comparable and may serve as a
// map key.
type Address struct {
	// Namespace of the store. Empty: the store's own.
	Namespace string

	// Mount of the engine. Empty: the store's own. Ignored when Path begins
	// with a slash.
	Mount string

	// Path below the mount. With a leading slash it is the whole path of any
	// engine, mount included, read as it is.
	Path string
}

// String returns the address as a person would write it: namespace, mount, and
// path, parted by slashes. It holds no key.
func (a Address) String() string {
	s := a.Path
	if a.Mount != "" && (s == "" || s[0] != '/') {
		s = a.Mount + "/" + s
	}
	if a.Namespace != "" {
		return a.Namespace + ":" + s
	}
	return s
}

// Field is one field of a document as the store gave it.
type Field struct {
	// Kind is the JSON kind: "string", "number", "bool", "object", "list" or
	// "null". Only strings can be keys.
	Kind string

	// Value is set when Kind is "string". It is not yet checked: see
	// [Document.Key].
	Value secret.Value
}

// Document is what a store holds at an address.
type Document struct {
	Fields map[string]Field

	// Version counts the writes of this document, from 1. Zero: the store has
	// no versions.
	Version int

	// CreatedAt is when this version was written, by the store's clock. Zero:
	// not known.
	CreatedAt time.Time

	// TTL is how long the store wishes the document to be held. It only ever
	// shortens the keyring's ttl. Zero: no wish.
	TTL time.Duration
}

// Reader reads documents. Its errors are those of this package; an error that
// is none of them counts as [ErrUnavailable].
type Reader interface {
	// Get reads the newest version of a document. It does not retry and does
	// not cache; it obeys ctx.
	Get(ctx context.Context, a Address) (*Document, error)
}

// Former is what a [Store] that keeps former versions offers besides.
type Former interface {
	// Former reads the version before newest. That is told by its number: what
	// is written meanwhile does not change which one it is. [ErrNotFound] is
	// authoritative: there is none, or it is deleted.
	Former(ctx context.Context, a Address, newest int) (*Document, error)
}

// Store reads and writes documents.
type Store interface {
	Reader

	// Put writes a new version of a document with check-and-set: cas is the
	// version the writer believes is the newest, 0 for none. It returns the
	// version written, or [ErrConflict].
	Put(ctx context.Context, a Address, fields map[string]secret.Value, cas int) (int, error)

	// Delete removes a document with all its versions. Deleting what is not
	// there is no error.
	Delete(ctx context.Context, a Address) error

	// Healthy asks the store, without credentials and in one short call,
	// whether it can serve. The circuit breaker probes with it.
	Healthy(ctx context.Context) error

	// Close ends background work and revokes what the store itself logged in
	// for. It waits for that no longer than ctx allows.
	Close(ctx context.Context) error
}
