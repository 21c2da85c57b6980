package apikeyinject

// This file holds how a request gets its key.

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// use is the key of one request: whose it is, and what it makes of the
// integration.
type use struct {
	ren   *rendered
	entry *keyring.Entry
	field string

	// customer is whose key it is, where the catalog knows; nil elsewhere.
	customer *customer
	rereads  int // of its row, because a newer key was entered meanwhile
}

// maxRereads bounds them. Nobody enters keys that fast.
const maxRereads = 3

// resolve finds whose key the request uses, gets it from the keyring, and
// renders it.
func (h *Handler) resolve(r *http.Request, ex *exchange, repl *caddy.Replacer) *failure {
	t := ex.target
	id, asked, fail := h.connectionOf(r, ex.call, repl)
	if fail != nil {
		return fail
	}
	switch {
	case asked && (t.catalogued || h.chosen != nil):
		ex.customer, fail = h.customer(r.Context(), t, id)
		switch {
		case fail == errUnknownConnection && !t.catalogued:
			ex.entry = t.keys.Entry(t.each.address(id)) // the store alone knows it
		case fail != nil:
			return fail
		default:
			ex.entry = ex.customer.entry
			if ex.explained == nil { // what is explained is no use of the key
				ex.customer.dir.Used(ex.customer.conn)
			}
		}
	case asked:
		ex.entry = t.keys.Entry(t.each.address(id))
	case t.own == nil:
		return errConnection
	default:
		ex.entry = t.own
	}
	overtaken, fail := ex.fetch(r.Context(), asked)
	if overtaken {
		if ex.rereads++; ex.rereads > maxRereads {
			return failUnavailable(0)
		}
		return h.resolve(r, ex, repl)
	}
	return fail
}

// fetch gets the key of a connection, or the integration's own, from the keyring
// and renders it. overtaken says that the connection's row is to be read again.
func (ex *exchange) fetch(ctx context.Context, ofConnection bool) (overtaken bool, f *failure) {
	t := ex.target
	ex.field = t.field(ofConnection)
	key, err := ex.entry.Key(ctx, ex.field)
	if err == nil && ex.customer != nil {
		key = ex.customer.newest(ctx, key, ex.field)
	}
	switch {
	case err != nil:
		return false, t.keyFailure(err, ofConnection)
	case ex.customer.overtaken(ctx, key):
		return true, nil
	case !ex.customer.takes(key):
		return false, failUnavailable(0) // its store has a newer one, and does not answer
	}
	ex.ren, err = ex.render(key)
	switch {
	case errors.Is(err, errIncomplete):
		return false, errConnectionConfig
	case err != nil:
		t.logger.Error("rendering the key", zap.String("integration", t.label), zap.Error(err))
		return false, errKeyInvalid
	}
	return false, nil
}

// connectionOf returns the connection of a request. asked is false where the
// integration's own key is meant.
func (h *Handler) connectionOf(r *http.Request, c *call, repl *caddy.Replacer) (id string, asked bool, f *failure) {
	switch {
	case c != nil:
		if id, asked = c.connection, c.asked; asked && store.CheckSegment(id) != nil {
			return "", true, errConnection
		}
	case h.connection.expr != "":
		if id, asked = h.connection.id(r, repl); !asked {
			return "", true, errConnection
		}
	}
	if asked {
		repl.Set("http.apikey_inject.connection", id)
	}
	return id, asked, nil
}

// render puts a key into its template. What a route without connections, or a
// connection of the catalog, used last is kept for as long as the key is.
func (ex *exchange) render(key *keyring.Key) (ren *rendered, err error) {
	t := ex.target
	switch {
	case ex.customer != nil:
		ren, err = t.render(&ex.customer.rendered, key, ex.customer.base, ex.customer.config)
	case ex.entry == t.own:
		ren, err = t.render(&t.rendered, key, t.base, t.config)
	default:
		ren, err = t.render(nil, key, t.base, t.config)
	}
	if err == nil && ex.call != nil && ex.call.override != nil {
		elsewhere := *ren
		elsewhere.base = ex.call.override
		ren = &elsewhere
	}
	return ren, err
}

// render returns what is kept, or renders anew and keeps that.
func (t *target) render(kept *atomic.Pointer[rendered], key *keyring.Key, base *inject.Base, config map[string]string) (*rendered, error) {
	if kept != nil {
		if last := kept.Load(); last != nil && last.key == key {
			return last, nil
		}
	}
	if base == nil {
		return nil, t.incomplete
	}
	inj, err := inject.Place(t.plan.placement, t.plan.template, key.Value, config)
	if err != nil {
		return nil, err
	}
	ren := &rendered{key: key, inj: inj, base: base, version: key.Version}
	if kept != nil {
		kept.Store(ren)
	}
	return ren, nil
}

// keyFailure says what the keyring's error means to the caller.
func (t *target) keyFailure(err error, ofConnection bool) *failure {
	var invalid *store.InvalidError
	var away *keyring.UnavailableError
	switch {
	case errors.Is(err, store.ErrNotFound) && ofConnection:
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
