// Waiting for a key, for who has the time: a configuration that must not start
// without its keys.

package keyring

import (
	"context"
	"errors"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// Await is [Entry.Key] for who has time. What says nothing about the key, such
// as a store that is away or throttles, is outlasted until ctx ends; the last
// such error is then returned. What no waiting mends is returned at once: no
// such document, no usable field, a policy that denies, no such mount, a document
// that is too large, and credentials that are refused.
func (e *Entry) Await(ctx context.Context, field string) (*Key, error) {
	var last error
	for {
		k, err := e.Key(ctx, field)
		if err == nil {
			return k, nil
		}
		if ctx.Err() != nil && last != nil && errors.Is(err, ctx.Err()) {
			return nil, last
		}
		away, ok := errors.AsType[*UnavailableError](err)
		if !ok || final(err) {
			return nil, err
		}
		// That the store is away is said of every key; why, only of the first.
		if last == nil || !errors.Is(err, errOpen) && !errors.Is(err, errPaused) && !errors.Is(err, errBusy) {
			last = err
		}
		t := time.NewTimer(away.RetryAfter)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, last
		}
	}
}

// final reports whether err stays however long it is waited.
func final(err error) bool {
	for _, target := range []error{store.ErrDenied, store.ErrMisconfigured, store.ErrRefused, store.ErrOversized, errClosed} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// ClassOf names the class of an error that an entry returned, as [Status] and
// [Event] do.
func ClassOf(err error) string { return classOf(err) }
