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
func (h *Handler) resolve(r *http.Request, repl *caddy.Replacer) (*rendered, *keyring.Entry, *failure) {
	entry := h.fixed
	if entry == nil {
		id, ok := h.connection.id(r, repl)
		if !ok {
			return nil, nil, errConnection
		}
		repl.Set("http.apikey_inject.connection", id)
		entry = h.keys.Entry(h.integration.Key.address(id))
	}
	key, err := entry.Key(r.Context(), h.integration.Key.Field)
	if err != nil {
		return nil, nil, h.keyFailure(err)
	}
	ren, err := h.render(key)
	if err != nil {
		h.logger.Error("rendering the key", zap.String("integration", h.label), zap.Error(err))
		return nil, nil, errKeyInvalid
	}
	return ren, entry, nil
}

// render puts a key into its template. That of a fixed route is kept for as
// long as the key is.
func (h *Handler) render(key *keyring.Key) (*rendered, error) {
	if last := h.rendered.Load(); last != nil && last.key == key {
		return last, nil
	}
	inj, err := inject.Place(h.plan.placement, h.plan.template, key.Value, h.config)
	if err != nil {
		return nil, err
	}
	ren := &rendered{key: key, inj: inj, version: key.Version}
	if h.fixed != nil {
		h.rendered.Store(ren)
	}
	return ren, nil
}

// keyFailure says what the keyring's error means to the caller.
func (h *Handler) keyFailure(err error) *failure {
	var invalid *store.InvalidError
	var away *keyring.UnavailableError
	switch {
	case errors.Is(err, store.ErrNotFound) && h.fixed == nil:
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
