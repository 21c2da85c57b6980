package api

// This file holds a catalog, a store of keys and a Caddy config in memory,
// which behave as the interfaces promise.

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// fake is all of them at once.
type fake struct {
	mu     sync.Mutex
	now    func() time.Time
	ints   map[string]catalog.Integration
	conns  map[pair]catalog.Connection
	keys   map[pair]string // newest only
	static []*catalog.Integration
	status map[pair]KeyStatus
	used   map[string]bool // connect sessions
	seals  []catalog.SessionKey

	down    error             // every call to the catalog fails so
	keyDown error             // every call to the store fails so
	between func(call string) // runs before a write, unlocked
	read    int               // rows of connections that were listed
}

func newFake(now func() time.Time) *fake {
	return &fake{
		now: now, ints: map[string]catalog.Integration{}, conns: map[pair]catalog.Connection{},
		used: map[string]bool{}, keys: map[pair]string{}, status: map[pair]KeyStatus{}, between: func(string) {},
	}
}

func (f *fake) lock(call string) error {
	f.between(call)
	f.mu.Lock()
	if f.down != nil {
		return fmt.Errorf("asking the fake at db.internal: %w", f.down)
	}
	return nil
}

func (f *fake) CreateIntegration(_ context.Context, i *catalog.Integration) error {
	err := f.lock("CreateIntegration")
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	if _, ok := f.ints[i.UniqueKey]; ok {
		return catalog.ErrExists
	}
	i.CreatedAt, i.UpdatedAt, i.Revision = f.now(), f.now(), 1
	f.ints[i.UniqueKey] = *i
	return nil
}

func (f *fake) Integration(_ context.Context, key string) (*catalog.Integration, error) {
	err := f.lock("Integration")
	defer f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	i, ok := f.ints[key]
	if !ok {
		return nil, catalog.ErrNotFound
	}
	return &i, nil
}

func (f *fake) Integrations(context.Context) (list []*catalog.Integration, err error) {
	err = f.lock("Integrations")
	defer f.mu.Unlock()
	for _, i := range f.ints {
		list = append(list, &i)
	}
	return list, err
}

func (f *fake) UpdateIntegration(_ context.Context, key string, i *catalog.Integration) error {
	err := f.lock("UpdateIntegration")
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	old, ok := f.ints[key]
	switch {
	case !ok:
		return catalog.ErrNotFound
	case old.Revision != i.Revision:
		return catalog.ErrConflict
	}
	if key != i.UniqueKey {
		if _, taken := f.ints[i.UniqueKey]; taken {
			return catalog.ErrExists
		}
		if f.count(key) > 0 {
			return catalog.ErrHasConnections
		}
		delete(f.ints, key)
	}
	i.UpdatedAt, i.Revision = f.now(), i.Revision+1
	f.ints[i.UniqueKey] = *i
	return nil
}

func (f *fake) DeleteIntegration(_ context.Context, key string, revision int64, withConnections bool) (gone []catalog.Connection, err error) {
	err = f.lock("DeleteIntegration")
	defer f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	i, ok := f.ints[key]
	switch {
	case !ok:
		return nil, catalog.ErrNotFound
	case i.Revision != revision:
		return nil, catalog.ErrConflict
	case f.count(key) > 0 && !withConnections:
		return nil, catalog.ErrHasConnections
	}
	delete(f.ints, key)
	for p, c := range f.conns {
		if p.integration == key {
			gone = append(gone, c)
			delete(f.conns, p)
		}
	}
	return gone, nil
}

func (f *fake) count(key string) (n int) {
	for p := range f.conns {
		if p.integration == key {
			n++
		}
	}
	return n
}

func (f *fake) CountConnections(_ context.Context, key string) (int, error) {
	err := f.lock("CountConnections")
	defer f.mu.Unlock()
	return f.count(key), err
}

func (f *fake) Connection(_ context.Context, integration, id string) (*catalog.Connection, error) {
	err := f.lock("Connection")
	defer f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	c, ok := f.conns[pair{integration, id}]
	if !ok {
		return nil, catalog.ErrNotFound
	}
	return &c, nil
}

func (f *fake) Connections(_ context.Context, q catalog.ConnectionFilter) ([]*catalog.Connection, error) {
	err := f.lock("Connections")
	defer f.mu.Unlock()
	list := []*catalog.Connection{}
	for _, c := range f.conns {
		if matches(q, &c) {
			list = append(list, &c)
		}
	}
	slices.SortFunc(list, func(x, y *catalog.Connection) int { return cmp.Compare(x.ID, y.ID) })
	from := min(q.Offset, len(list))
	list = list[from:]
	if q.Limit > 0 {
		list = list[:min(q.Limit, len(list))]
	}
	f.read += len(list)
	return list, err
}

func matches(q catalog.ConnectionFilter, c *catalog.Connection) bool {
	user, org := "", ""
	if c.EndUser != nil {
		user = c.EndUser.ID
		if c.EndUser.Organization != nil {
			org = c.EndUser.Organization.ID
		}
	}
	for name, value := range q.Tags {
		if c.Tags[name] != value {
			return false
		}
	}
	return (q.ID == "" || q.ID == c.ID) && (q.EndUserID == "" || q.EndUserID == user) &&
		(q.OrganizationID == "" || q.OrganizationID == org) && strings.Contains(c.ID+user, q.Search) &&
		(len(q.Integrations) == 0 || slices.Contains(q.Integrations, c.Integration)) &&
		(q.KeyBefore.IsZero() || c.KeyUpdatedAt.Before(q.KeyBefore))
}

func (f *fake) UpdateConnection(_ context.Context, c *catalog.Connection) error {
	err := f.lock("UpdateConnection")
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	old, ok := f.conns[pair{c.Integration, c.ID}]
	switch {
	case !ok:
		return catalog.ErrNotFound
	case old.Revision != c.Revision:
		return catalog.ErrConflict
	}
	c.UpdatedAt, c.Revision = f.now(), c.Revision+1
	f.conns[pair{c.Integration, c.ID}] = *c
	return nil
}

func (f *fake) Groups(_ context.Context, keys []string) (list []catalog.Group, err error) {
	err = f.lock("Groups")
	defer f.mu.Unlock()
	counts := make(map[catalog.Group]int)
	for _, c := range f.conns {
		if len(keys) == 0 || slices.Contains(keys, c.Integration) {
			counts[groupOf(&c)]++
		}
	}
	for g, n := range counts {
		g.Count = n
		list = append(list, g)
	}
	slices.SortFunc(list, func(x, y catalog.Group) int {
		return cmp.Or(cmp.Compare(x.Integration, y.Integration), cmp.Compare(x.Origin, y.Origin), cmp.Compare(x.Standing, y.Standing))
	})
	return list, err
}

func (f *fake) ConnectionsIn(_ context.Context, g catalog.Group, limit, offset int) (list []*catalog.Connection, err error) {
	err = f.lock("ConnectionsIn")
	defer f.mu.Unlock()
	for _, c := range f.conns {
		at := groupOf(&c)
		if at.Count = g.Count; at == g {
			list = append(list, &c)
		}
	}
	slices.SortFunc(list, func(x, y *catalog.Connection) int { return cmp.Compare(x.ID, y.ID) })
	from := min(offset, len(list))
	return list[from:min(from+limit, len(list))], err
}

func (f *fake) Enter(_ context.Context, c *catalog.Connection, key secret.Value) error {
	err := f.lock("Enter")
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	if f.keyDown != nil {
		return fmt.Errorf("writing kv/acme at vault.internal: %w", f.keyDown)
	}
	p := pair{c.Integration, c.ID}
	if f.conns[p].Revision != c.Revision {
		return catalog.ErrConflict
	}
	base := ""
	for _, i := range append(slices.Collect(maps.Values(f.ints)), deref(f.static)...) {
		if i.UniqueKey == c.Integration {
			base = i.BaseURL
		}
	}
	if c.Revision == 0 {
		c.CreatedAt = f.now()
	}
	c.Origin, c.Fingerprint = plainOrigin(base), fmt.Sprintf("fp-%d", len(key.Reveal()))
	c.KeyVersion, c.KeyUpdatedAt, c.UpdatedAt, c.Revision = c.KeyVersion+1, f.now(), f.now(), c.Revision+1
	f.conns[p], f.keys[p] = *c, key.Reveal()
	return nil
}

func deref(list []*catalog.Integration) (out []catalog.Integration) {
	for _, i := range list {
		out = append(out, *i)
	}
	return out
}

func (f *fake) Remove(_ context.Context, integration, id string) error {
	err := f.lock("Remove")
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	p := pair{integration, id}
	if _, ok := f.conns[p]; !ok {
		return catalog.ErrNotFound
	}
	delete(f.conns, p)
	if f.keyDown != nil {
		return f.keyDown
	}
	delete(f.keys, p)
	return nil
}

func (f *fake) Destroy(_ context.Context, gone []catalog.Connection) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keyDown != nil {
		return f.keyDown
	}
	for _, c := range gone {
		delete(f.keys, pair{c.Integration, c.ID})
	}
	return nil
}

func (f *fake) SessionKeys(context.Context) ([]catalog.SessionKey, error) {
	err := f.lock("SessionKeys")
	defer f.mu.Unlock()
	return f.seals, err
}

func (f *fake) AddSessionKey(context.Context, int64, time.Duration) error {
	err := f.lock("AddSessionKey")
	defer f.mu.Unlock()
	if err == nil {
		f.seals = []catalog.SessionKey{{ID: 1, Key: secret.New(strings.Repeat("k", 32)), MadeAt: f.now()}}
	}
	return err
}

func (f *fake) UseSession(_ context.Context, id string, _ time.Time) error {
	err := f.lock("UseSession")
	defer f.mu.Unlock()
	if err == nil && f.used[id] {
		err = catalog.ErrExists
	}
	if err == nil {
		f.used[id] = true
	}
	return err
}

func (f *fake) SessionUsed(_ context.Context, id string) (bool, error) {
	err := f.lock("SessionUsed")
	defer f.mu.Unlock()
	return f.used[id], err
}

func (f *fake) FreeSession(_ context.Context, id string) error {
	err := f.lock("FreeSession")
	defer f.mu.Unlock()
	delete(f.used, id)
	return err
}

// config is the Caddy config of the fake.
type config struct{ *fake }

func (c config) Integrations() []*catalog.Integration { return c.static }

func (c config) Where(key string) (string, bool) {
	for _, i := range c.static {
		if i.UniqueKey == key {
			return "Caddyfile:12", true
		}
	}
	return "", false
}

// health is the status of the fake.
type health struct{ *fake }

func (h health) Connection(integration, id string) KeyStatus { return h.status[pair{integration, id}] }

func (h health) Held() iter.Seq2[*catalog.Connection, KeyStatus] {
	return func(yield func(*catalog.Connection, KeyStatus) bool) {
		for p, s := range h.status {
			if c, ok := h.conns[p]; ok && !yield(&c, s) {
				return
			}
		}
	}
}

func (h health) Stores() []StoreStatus {
	return []StoreStatus{
		{Name: "default", Module: "vault", Reachable: h.keyDown == nil, Since: start.Add(-time.Hour), TokenTTL: time.Hour},
		{Name: "keys", Module: "local", Reachable: true},
	}
}
