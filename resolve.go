package apikeyinject

// This file holds how a request gets its key.

import (
	"errors"
	"net/http"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// resolve gets the key from the keyring and renders it.
func (h *Handler) resolve(r *http.Request, t *target, repl *caddy.Replacer) (*rendered, *keyring.Entry, *failure) {
	entry := t.fixed
	if entry == nil {
		id, ok := h.connection.id(r, repl)
		if !ok {
			return nil, nil, errConnection
		}
		repl.Set("http.apikey_inject.connection", id)
		entry = t.keys.Entry(t.integration.Key.address(id))
	}
	key, err := entry.Key(r.Context(), t.integration.Key.Field)
	if err != nil {
		return nil, nil, t.keyFailure(err)
	}
	ren, err := t.render(key)
	if err != nil {
		h.logger.Error("rendering the key", zap.String("integration", t.label), zap.Error(err))
		return nil, nil, errKeyInvalid
	}
	return ren, entry, nil
}

// render puts a key into its template. That of a fixed route is kept for as
// long as the key is.
func (t *target) render(key *keyring.Key) (*rendered, error) {
	if last := t.rendered.Load(); last != nil && last.key == key {
		return last, nil
	}
	inj, err := inject.Place(t.plan.placement, t.plan.template, key.Value, t.config)
	if err != nil {
		return nil, err
	}
	ren := &rendered{key: key, inj: inj, base: t.base, version: key.Version}
	if t.fixed != nil {
		t.rendered.Store(ren)
	}
	return ren, nil
}

// keyFailure says what the keyring's error means to the caller.
func (t *target) keyFailure(err error) *failure {
	var invalid *store.InvalidError
	var away *keyring.UnavailableError
	switch {
	case errors.Is(err, store.ErrNotFound) && t.fixed == nil:
		return errUnknownConnection
	case errors.Is(err, store.ErrNotFound):
		return errKeyNotFound
	case errors.As(err, &invalid):
		return errKeyInvalid
	case errors.As(err, &away):
		return failUnavailable(away.RetryAfter)
	}
	return failUnavailable(0)
}
