package apikeyinject

// This file holds what operators do with the keys of a local store, in the
// running Caddy or beside a stopped one.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// keyRequest names a key of a local store, and gives it when it is to be set.
type keyRequest struct {
	// The store, by its name in the app. Default: the only local one.
	Store string `json:"store,omitempty"`

	// The address, as `key` in an integration has it.
	Namespace string `json:"namespace,omitempty"`
	Mount     string `json:"mount,omitempty"`
	Path      string `json:"path,omitempty"`

	// The field to set. Default: `apiKey`.
	Field string `json:"field,omitempty"`

	// The key to set.
	Key *keyText `json:"key,omitempty"`
}

// keyText is a key in a request's body. It can be read from JSON, and never
// written to it.
type keyText struct{ secret.Value }

// UnmarshalJSON reads a JSON string.
func (t *keyText) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) != nil { // whose error could quote the value
		return errors.New("must be a string")
	}
	t.Value = secret.New(s)
	return nil
}

// keyInfo describes a stored document, without any of its values.
type keyInfo struct {
	Store     string    `json:"store"`
	Namespace string    `json:"namespace,omitempty"`
	Mount     string    `json:"mount,omitempty"`
	Path      string    `json:"path"`
	Version   int       `json:"version"`
	CreatedAt time.Time `json:"created_at"`
}

// address checks what the request names. The errors are [*fieldError]s.
func (q *keyRequest) address() (store.Address, error) {
	if q.Path == "" {
		return store.Address{}, wrong("path", "is required: the path that `key` names in the integration")
	}
	if strings.Contains(q.Path, connectionID) {
		return store.Address{}, wrong("path", "holds %s: write the id of a connection in its place", connectionID)
	}
	for _, f := range []struct{ name, value string }{
		{"path", strings.TrimPrefix(q.Path, "/")}, {"mount", q.Mount}, {"namespace", q.Namespace},
	} {
		if f.name != "path" && f.value == "" {
			continue
		}
		if err := store.CheckPath(f.value); err != nil {
			return store.Address{}, &fieldError{f.name, err}
		}
	}
	if len(q.Field) > store.MaxSegment || strings.ContainsFunc(q.Field, unicode.IsControl) {
		return store.Address{}, wrong("field", "is longer than %d bytes or has a control character", store.MaxSegment)
	}
	return store.Address{Namespace: q.Namespace, Mount: q.Mount, Path: q.Path}, nil
}

// localKeys writes the keys of one local store.
type localKeys struct {
	name   string
	module *LocalStore
	store  *localStore
	ring   *keyring.Ring // nil where no Caddy runs
}

// set stores the key that q holds, and has the ring use it at once. A key that
// cannot be sent is a [*fieldError].
func (k *localKeys) set(ctx context.Context, q *keyRequest) (*keyInfo, error) {
	a, err := q.address()
	if err != nil {
		return nil, err
	}
	if q.Key == nil {
		return nil, wrong("key", "is required")
	}
	key, reason := store.CleanKey(q.Key.Value)
	if reason != "" {
		return nil, wrong("key", "%s", reason)
	}
	k.store.writes.Lock()
	defer k.store.writes.Unlock()
	d, err := k.store.put(ctx, a, q.Field, key)
	if err != nil {
		return nil, err
	}
	if k.ring != nil {
		k.ring.Learn(a, d)
	}
	return &keyInfo{
		Store: k.name, Namespace: a.Namespace, Mount: a.Mount, Path: a.Path,
		Version: d.Version, CreatedAt: d.CreatedAt,
	}, nil
}

// remove deletes the document that q names, and has the ring forget it. Where
// there is none the error is [store.ErrNotFound].
func (k *localKeys) remove(ctx context.Context, q *keyRequest) error {
	a, err := q.address()
	if err != nil {
		return err
	}
	if q.Field != "" || q.Key != nil {
		return wrong("path", "stands alone: the whole document is deleted")
	}
	k.store.writes.Lock()
	defer k.store.writes.Unlock()
	_, missing := k.store.Get(ctx, a)
	// Also when nothing is there: a deletion whose bytes could not be wiped is
	// finished by another one.
	if err := k.store.Delete(ctx, a); err != nil {
		return err
	}
	if k.ring != nil {
		k.ring.Invalidate(a)
	}
	if errors.Is(missing, store.ErrNotFound) {
		return fmt.Errorf("%s: %w", a, store.ErrNotFound)
	}
	return nil
}

// list describes every document, ordered by address.
func (k *localKeys) list(ctx context.Context) ([]keyInfo, error) {
	docs, err := k.store.List(ctx)
	if err != nil {
		return nil, err
	}
	infos := make([]keyInfo, 0, len(docs)) // [] and not null in JSON
	for _, d := range docs {
		infos = append(infos, keyInfo{
			Store: k.name, Namespace: d.Address.Namespace, Mount: d.Address.Mount, Path: d.Address.Path,
			Version: d.Version, CreatedAt: d.CreatedAt,
		})
	}
	return infos, nil
}

// localStore finds a local store by its name, or the only one there is.
func (a *App) localStore(name string) (string, *LocalStore, error) {
	var local []string
	for _, n := range slices.Sorted(maps.Keys(a.modules)) {
		if _, ok := a.modules[n].(*LocalStore); ok {
			local = append(local, n)
		}
	}
	if len(local) == 0 {
		return "", nil, wrong("store", "the configuration has no local store; keys in a Vault are written with Vault's own tools")
	}
	if name == "" && len(local) > 1 {
		return "", nil, wrong("store", "is required: there are several local stores: %s", strings.Join(local, ", "))
	}
	if name == "" {
		name = local[0]
	}
	if err := a.checkStore(name); err != nil {
		return "", nil, &fieldError{"store", err}
	}
	s, ok := a.modules[name].(*LocalStore)
	if !ok {
		return "", nil, wrong("store", "%q is no local store; local ones are %s", name, strings.Join(local, ", "))
	}
	return name, s, nil
}
