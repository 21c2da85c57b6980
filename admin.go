package apikeyinject

// This file holds what the admin endpoint answers to operators.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/seal"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func init() {
	caddy.RegisterModule(new(adminAPI))
}

const (
	// adminPrefix is the one pattern of this module: patterns of several
	// modules that conflict would end the process.
	adminPrefix = "/apikey_inject/"

	adminKeys = adminPrefix + "keys"

	// maxAdminBody bounds a request's body, in bytes. Each byte of the longest
	// key (8 KiB) may take six as a JSON escape.
	maxAdminBody = 64 << 10

	// adminBudget bounds the work for one request.
	adminBudget = 30 * time.Second
)

// adminAPI answers below /apikey_inject/ on the admin endpoint:
//
//	GET    /apikey_inject/keys        addresses and versions of a local store's keys
//	PUT    /apikey_inject/keys        sets a key
//	DELETE /apikey_inject/keys        deletes a key's document
//	POST   /apikey_inject/keyset      rotates the keyset of a local store
//	POST   /apikey_inject/explain     what would become of a request, and why
//	POST   /apikey_inject/refresh     reads a key again now
//	POST   /apikey_inject/invalidate  forgets what is held of a key
//	GET    /apikey_inject/health      whether this node can serve what is configured
//	       /apikey_inject/integrations, connections, providers, status,
//	       token, openapi.json        the management API
//
// The management API answers in its own shape, everything else in that of
// Caddy's admin endpoint. A key comes in a body and never goes out again. The
// endpoint logs each request's URL and headers, so nothing of a key may be
// there.
type adminAPI struct{}

// CaddyModule returns the Caddy module information.
func (*adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.apikey_inject",
		New: func() caddy.Module { return new(adminAPI) },
	}
}

// Routes returns the routes of the admin endpoint.
func (a *adminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: adminPrefix, Handler: caddy.AdminHandlerFunc(a.serve)}}
}

// serve answers a request. Caddy knows an [caddy.APIError] only by value.
func (a *adminAPI) serve(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), adminBudget)
	defer cancel()
	switch r.URL.Path {
	case adminExplain:
		return a.serveExplain(ctx, w, r)
	case adminRefresh, adminInvalidate:
		return a.serveHeld(ctx, w, r)
	case adminHealth:
		return a.serveHealth(w, r)
	case adminKeys:
		return a.serveKeys(w, r)
	case adminKeyset:
		return a.serveKeyset(w, r)
	}
	if served, err := a.serveManage(ctx, w, r); served {
		return err
	}
	return apiError(http.StatusNotFound, fmt.Errorf("there is no %s; there are %s, and the management API: integrations, connections, providers, status, token, openapi.json",
		r.URL.Path, strings.Join([]string{adminKeys, adminKeyset, adminExplain, adminRefresh, adminInvalidate, adminHealth}, ", ")))
}

// serveKeys reads and writes the keys of a local store.
func (a *adminAPI) serveKeys(w http.ResponseWriter, r *http.Request) error {
	// A client that leaves must not part what is stored from what is used.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), adminBudget)
	defer cancel()
	switch r.Method {
	case http.MethodGet:
		return a.withKeys(ctx, w, r.URL.Query().Get("store"), func(k *localKeys) (any, error) {
			infos, err := k.list(ctx)
			return map[string]any{"keys": infos}, err
		})
	case http.MethodPut, http.MethodDelete:
		q, err := readKeyRequest(w, r)
		if err != nil {
			return apiError(http.StatusBadRequest, err)
		}
		return a.withKeys(ctx, w, q.Store, func(k *localKeys) (any, error) {
			if r.Method == http.MethodPut {
				return k.set(ctx, q)
			}
			return map[string]any{"deleted": true}, k.remove(ctx, q)
		})
	}
	w.Header().Set("Allow", "GET, PUT, DELETE")
	return apiError(http.StatusMethodNotAllowed, errors.New("method not allowed"))
}

// readKeyRequest reads the body of a request. Its errors name fields and never
// quote what they hold.
func readKeyRequest(w http.ResponseWriter, r *http.Request) (*keyRequest, error) {
	if r.URL.RawQuery != "" {
		return nil, errors.New("the address belongs into the body, as JSON: URLs are logged")
	}
	q := new(keyRequest)
	if err := readAdminBody(w, r, q, `{"path": "acme/prod", "key": "…"}`); err != nil {
		return nil, err
	}
	return q, nil
}

// readAdminBody decodes the body of a request into v. Its errors name fields,
// show an example, and never quote what the body holds.
func readAdminBody(w http.ResponseWriter, r *http.Request, v any, example string) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAdminBody))
	if err != nil {
		return fmt.Errorf("reading the body, at most %d bytes: %w", maxAdminBody, err)
	}
	if !json.Valid(body) { // the decoder's own error quotes a letter
		return fmt.Errorf("the body is no JSON such as %s", example)
	}
	return decodeStrict(body, v)
}

// writeAdmin answers with JSON.
func writeAdmin(w http.ResponseWriter, answer any) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(answer)
}

// withKeys runs do on the local store of that name, in the configuration that
// serves, and answers with what it returns.
func (*adminAPI) withKeys(ctx context.Context, w http.ResponseWriter, named string, do func(*localKeys) (any, error)) error {
	app, err := activeApp()
	if err != nil {
		return err
	}
	name, local, err := app.localStore(named)
	if err != nil {
		return apiError(http.StatusBadRequest, err)
	}
	// A share of our own, because no route may use this store yet, and a
	// reload may end the app meanwhile.
	ring, err := acquireRing(local)
	if err != nil {
		return apiError(http.StatusServiceUnavailable, err)
	}
	defer ring.release()
	if err := local.start(ctx, ring.store); err != nil {
		return apiError(http.StatusServiceUnavailable, err)
	}
	answer, err := do(&localKeys{name: name, module: local, store: ring.store.(*localStore), ring: ring.Ring})
	if err != nil {
		return apiError(keysStatus(err), err)
	}
	return writeAdmin(w, answer)
}

// keysStatus is the status for an error of localKeys.
func keysStatus(err error) int {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, store.ErrConflict), errors.Is(err, seal.ErrStillOld), errors.Is(err, seal.ErrNeedsOut):
		return http.StatusConflict
	case errors.Is(err, store.ErrUnavailable):
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

func apiError(status int, err error) error {
	return caddy.APIError{HTTPStatus: status, Err: err, Message: err.Error()}
}

// Interface guard
var _ caddy.AdminRouter = (*adminAPI)(nil)
