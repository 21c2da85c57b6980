// This file holds how a key is entered.

package custody

import (
	"context"
	"errors"
	"fmt"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// tries is how often Enter begins: once more when somebody else was faster, of
// whom the writer need not know.
const tries = 2

// AnyRevision in a connection that is entered replaces whatever row is there, or
// creates one.
const AnyRevision = -1

// Enter stores a key for a connection, beside it c.KeyExpiresAt unless that is
// zero, and then its description c, and sets on c KeyVersion, KeyUpdatedAt,
// Fingerprint, Revision and the times. Where c.Revision is 0 the connection must
// be new; else it replaces the row of that revision, or with [AnyRevision] any.
//
// It is a [catalog.ErrConflict] when the row has another revision, when a key of
// the connection is just being written or destroyed, or when somebody writes to
// the store past the catalog; a [catalog.ErrNotFound] when that row, or the
// integration, is gone; a [*store.InvalidError] when the key cannot be one. When
// the store or the catalog fails half-way the connection may be the old or the
// new one: a sweep decides, and until then further writes conflict.
func (c *Custody) Enter(ctx context.Context, conn *catalog.Connection, key secret.Value) error {
	who := connection{conn.Integration, conn.ID}
	doing := "entering the key of " + who.String()
	p, err := c.place(who)
	if err != nil {
		return err
	}
	clean, reason := store.CleanKey(key)
	if reason != "" {
		return fmt.Errorf("%s: %w", doing, &store.InvalidError{Field: p.field, Reason: reason})
	}
	row := *conn
	if row.Fingerprint, err = c.fingerprint(ctx, clean); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	for try := 1; ; try++ {
		made := row
		again, err := c.enter(ctx, p, &made, clean)
		if err == nil {
			*conn = made
			return nil
		}
		if try == tries || !again {
			if errors.Is(err, store.ErrConflict) || errors.Is(err, catalog.ErrExists) {
				err = fmt.Errorf("%w: %w", catalog.ErrConflict, err)
			}
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
}

// enter is one try. The store's version is asked before anything is entered in
// the catalog, also for a first key: a document of that address may have been
// there before, and a sweep must not take its versions for this write. Besides,
// a store that is away is found out before there is anything to clean up. With
// an error, again tells whether a further try would see what was in the way.
func (c *Custody) enter(ctx context.Context, p place, row *catalog.Connection, key secret.Value) (again bool, err error) {
	whatever := row.Revision == AnyRevision
	if whatever {
		row.Revision = 0
		current, err := c.cfg.Catalog.Connection(ctx, row.Integration, row.ID)
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return false, err
		}
		if current != nil {
			row.Revision = current.Revision
		}
	}
	version, err := p.version(ctx)
	if err != nil {
		return false, err
	}
	pending := &catalog.PendingKey{
		Integration: row.Integration, ID: row.ID, Version: version, Row: row,
		OfCatalog: !c.cfg.Configured(row.Integration),
	}
	if err := c.cfg.Catalog.BeginKeyWrite(ctx, pending); err != nil {
		return whatever && !errors.Is(err, catalog.ErrUnavailable), err
	}
	// From here on a client that leaves changes nothing.
	ctx, cancel := settling(ctx)
	defer cancel()
	fields := p.fields(key, row.KeyExpiresAt)
	written, fate, err := p.write(ctx, fields, version)
	if err != nil && fate == unknown {
		return false, err // the entry stays for a sweep
	}
	if err != nil {
		return fate == refused, errors.Join(err, c.cfg.Catalog.AbandonKeyWrite(ctx, pending))
	}
	if err := c.finish(ctx, pending, written); err != nil {
		return false, err
	}
	doc := &store.Document{Fields: make(map[string]store.Field, len(fields)), Version: written}
	for name, value := range fields {
		doc.Fields[name] = store.Field{Kind: "string", Value: value}
	}
	c.cfg.Learn(row.Integration, row.ID, doc)
	return false, nil
}

// finish writes the description. It may be repeated, so an answer that was lost
// costs nothing.
func (c *Custody) finish(ctx context.Context, pending *catalog.PendingKey, version int) error {
	err := c.cfg.Catalog.FinishKeyWrite(ctx, pending, version)
	if errors.Is(err, catalog.ErrUnavailable) {
		err = c.cfg.Catalog.FinishKeyWrite(ctx, pending, version)
	}
	return err
}
