package apikeyinject

// This file holds how operators rotate the keyset of a local store.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/seal"
)

const adminKeyset = adminPrefix + "keyset"

// rotateBudget bounds a rotation. What it cuts off the next one finishes.
const rotateBudget = 10 * time.Minute

// rotateRequest asks for a rotation. No keyset travels: the new one is written
// by whoever has the database open.
type rotateRequest struct {
	// The store, by its name in the app. Default: the only local one.
	Store string `json:"store,omitempty"`

	// A new file for the new keyset, as an absolute path. Required where the
	// configuration names the keyset, or several nodes share the database.
	Out string `json:"out,omitempty"`

	// Take the old keys out, once nothing is sealed with them.
	DropOld bool `json:"drop_old,omitempty"`
}

// serveKeyset rotates the keyset of a local store.
func (a *adminAPI) serveKeyset(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return apiError(http.StatusMethodNotAllowed, errors.New("method not allowed"))
	}
	q := new(rotateRequest)
	if err := readAdminBody(w, r, q, `{"drop_old": true}`); err != nil {
		return apiError(http.StatusBadRequest, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), rotateBudget)
	defer cancel()
	return a.withKeys(ctx, w, q.Store, func(k *localKeys) (any, error) { return k.rotate(ctx, q) })
}

// rotate gives the store's keyset a new primary key.
func (k *localKeys) rotate(ctx context.Context, q *rotateRequest) (*seal.Rotated, error) {
	if q.Out != "" && !filepath.IsAbs(q.Out) {
		return nil, wrong("out", "must be an absolute path: it is Caddy that writes the file")
	}
	done, err := k.store.Rotate(ctx, seal.Rotation{Out: q.Out, DropOld: q.DropOld, Shared: k.module.catalog.Driver != "sqlite"})
	if errors.Is(err, seal.ErrNeedsOut) {
		return nil, fmt.Errorf("%w: the configuration names the keyset, or several nodes share the database, so it is not replaced where it is. "+
			"Name a file with --out, put the new keyset into the old one's place on every node, run caddy reload --force, and then this again without --out, "+
			"which seals the stored keys anew", err)
	}
	return done, err
}
