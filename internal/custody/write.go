// This file holds how a key gets into its store when answers get lost.

package custody

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// sends is how often a key is sent at most.
const sends = 2

// fate is what became of a key that was not stored.
type fate int

const (
	unknown fate = iota // it may be in the store, or get there yet
	refused             // it is not: the store had another version all along
	lost                // it is not there, or somebody else wrote after it
)

// fields are what a key's document holds.
func (p place) fields(key secret.Value, expires time.Time) map[string]secret.Value {
	fields := make(map[string]secret.Value, 2)
	if !expires.IsZero() {
		fields[store.ExpiresField] = secret.New(expires.UTC().Format(time.RFC3339))
	}
	fields[p.field] = key // in the end: it is the key that must be there
	return fields
}

// write stores a key as the version after cas and returns that.
//
// A key whose answer was lost is not sent again before the store has said which
// version it has. Only who has the entry in the catalog writes, so the version
// after cas is this key. While it is cas the key may be sent again, even if the
// first one is still under way: check-and-set lets only one of both through.
func (p place) write(ctx context.Context, fields map[string]secret.Value, cas int) (version int, f fate, err error) {
	for sent := 1; ; sent++ {
		version, err = p.store.Put(ctx, p.address, fields, cas)
		switch {
		case err == nil:
			return version, unknown, nil
		case sent > 1: // the first may have done it
		case errors.Is(err, store.ErrConflict):
			return 0, refused, err
		case undone(err):
			return 0, lost, err
		}
		now, verr := p.version(ctx)
		switch {
		case verr != nil:
			return 0, unknown, fmt.Errorf("%w; asking what became of it: %w", err, verr)
		case now == cas+1:
			return now, unknown, nil
		case now != cas:
			return 0, lost, fmt.Errorf("writing after version %d, now there is %d: %w: %w", cas, now, store.ErrConflict, err)
		case sent == sends:
			return 0, unknown, err
		}
	}
}

// undone tells whether an error of the store means that it did nothing.
func undone(err error) bool {
	var (
		invalid   *store.InvalidError
		throttled *store.ThrottledError
	)
	return errors.Is(err, store.ErrDenied) || errors.Is(err, store.ErrMisconfigured) || errors.Is(err, store.ErrRefused) ||
		errors.As(err, &invalid) || errors.As(err, &throttled)
}
