package apikeyinject

// This file holds how operators have one key read again, or forgotten, on this
// node.

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/api"
	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

const (
	adminRefresh    = adminPrefix + "refresh"
	adminInvalidate = adminPrefix + "invalidate"
)

// heldRequest names a key that this node may hold.
type heldRequest struct {
	// The unique key of the integration. Required.
	Integration string `json:"integration,omitempty"`

	// Whose key. Default: the integration's own.
	Connection string `json:"connection,omitempty"`
}

// heldAnswer says what this node holds, or has just forgotten. It has no room
// for a value.
type heldAnswer struct {
	Integration string     `json:"integration"`
	Connection  string     `json:"connection,omitempty"`
	Store       string     `json:"store"`
	State       string     `json:"state"`
	Version     int        `json:"version"`
	AgeSeconds  *int64     `json:"age_seconds"` // since this version was written, where the store says
	CheckedAt   *time.Time `json:"checked_at"`
}

// serveHeld refreshes or invalidates one key.
func (*adminAPI) serveHeld(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return apiError(http.StatusMethodNotAllowed, errors.New("method not allowed"))
	}
	q := new(heldRequest)
	if err := readAdminBody(w, r, q, `{"integration": "acme", "connection": "cust-1"}`); err != nil {
		return apiError(http.StatusBadRequest, err)
	}
	app, err := activeApp()
	if err != nil {
		return err
	}
	if err := app.operate(true); err != nil {
		return apiError(http.StatusServiceUnavailable, err)
	}
	do, action := app.refreshHeld, "key.refresh"
	if r.URL.Path == adminInvalidate {
		do, action = app.invalidateHeld, "key.invalidate"
	}
	entry := api.AuditEntry{Token: "admin", Action: action, Integration: q.Integration, Connection: q.Connection, Status: http.StatusOK}
	answer, err := do(ctx, q)
	if err != nil {
		entry.Status, entry.Code = heldStatus(err), "refused"
		app.auditChange(entry)
		return apiError(entry.Status, err)
	}
	app.auditChange(entry)
	return writeAdmin(w, answer)
}

// heldStatus is the status for an error of a refresh.
func heldStatus(err error) int {
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, catalog.ErrUnavailable), errors.Is(err, errEnded), errors.Is(err, store.ErrDenied), errors.Is(err, store.ErrMisconfigured):
		return http.StatusServiceUnavailable
	}
	return keysStatus(err)
}

// refreshHeld reads a key again, by a read that begins now.
func (a *App) refreshHeld(ctx context.Context, q *heldRequest) (*heldAnswer, error) {
	v, ref, err := a.keyNamed(ctx, q)
	if err != nil {
		return nil, err
	}
	if err := v.ring.Refresh(ctx, ref.address(q.Connection)); err != nil {
		return nil, err
	}
	return a.heldNow(v, ref, q), nil
}

// invalidateHeld forgets a key. The answer is what was held before.
func (a *App) invalidateHeld(ctx context.Context, q *heldRequest) (*heldAnswer, error) {
	v, ref, err := a.keyNamed(ctx, q)
	if err != nil {
		return nil, err
	}
	before := a.heldNow(v, ref, q)
	v.ring.Invalidate(ref.address(q.Connection))
	return before, nil
}

// keyNamed says where a key is, and has this node read again what the catalog
// says of it.
func (a *App) keyNamed(ctx context.Context, q *heldRequest) (*heldView, *KeyReference, error) {
	if q.Integration == "" {
		return nil, nil, wrong("integration", "is required: its unique key")
	}
	if q.Connection != "" {
		if err := store.CheckSegment(q.Connection); err != nil {
			return nil, nil, &fieldError{"connection", err}
		}
	}
	ref, err := a.referenceNamed(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	if p := a.opened.Load(); p != nil {
		if open := p.ready.Load(); open != nil {
			_ = open.dir.Refresh(ctx, q.Integration, q.Connection) // the key is what was asked for
		}
	}
	v, err := a.heldView(ref.Store)
	return v, ref, err
}

func (a *App) referenceNamed(ctx context.Context, q *heldRequest) (*KeyReference, error) {
	i := a.Integrations[q.Integration]
	ref, known := a.keyOf(q.Integration), adminCatalog{apiCatalog{a}}
	if i == nil {
		if _, err := known.Integration(ctx, q.Integration); err != nil {
			return nil, a.notThere(err, unknownIntegration(q.Integration, slices.Sorted(maps.Keys(a.Integrations))))
		}
	}
	if q.Connection != "" {
		if i != nil && i.Key != nil && i.Key.perConnection() {
			return ref, nil // the store alone knows who there is
		}
		_, err := known.Connection(ctx, q.Integration, q.Connection)
		return ref, a.notThere(err, fmt.Errorf("there is no connection %q of integration %q", q.Connection, q.Integration))
	}
	if i == nil || i.Key == nil || i.Key.perConnection() {
		return nil, wrong("connection", "is required: integration %q has no key of its own", q.Integration)
	}
	return i.Key, nil
}

// notThere puts plain words in place of an [catalog.ErrNotFound].
func (*App) notThere(err, words error) error {
	if errors.Is(err, catalog.ErrNotFound) {
		return plainly{words, err}
	}
	return err
}

// plainly is an error with another's class and words of its own.
type plainly struct {
	error
	class error
}

func (p plainly) Unwrap() error { return p.class }

func (a *App) heldNow(v *heldView, ref *KeyReference, q *heldRequest) *heldAnswer {
	st := v.Peek(ref.address(q.Connection))
	answer := &heldAnswer{
		Integration: q.Integration, Connection: q.Connection, Store: firstSet(ref.Store, a.DefaultStore), State: st.State, Version: st.Version,
	}
	if !st.CreatedAt.IsZero() {
		age := int64(max(0, time.Since(st.CreatedAt)).Seconds())
		answer.AgeSeconds = &age
	}
	if !st.CheckedAt.IsZero() {
		checked := st.CheckedAt.UTC().Truncate(time.Second)
		answer.CheckedAt = &checked
	}
	return answer
}
