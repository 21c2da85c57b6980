package apikeyinject

// This file holds the app: stores and integrations of one configuration.

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/custody"
	"github.com/apikeyinject/caddy-apikey-inject/internal/egress"
)

func init() {
	caddy.RegisterModule(new(App))
}

// App holds the stores that keys are read from, and the integrations that
// routes use by name.
//
// A configuration without it works too: the only store is then `vault`, as the
// `VAULT_*` environment variables describe it.
type App struct {
	// The stores, by name. Default: one named `vault`.
	StoresRaw map[string]json.RawMessage `json:"stores,omitempty" caddy:"namespace=apikey_inject.stores inline_key=store"`

	// The store of keys that name none. Default: the only store there is.
	DefaultStore string `json:"default_store,omitempty"`

	// The integrations, by their unique keys.
	Integrations map[string]*Integration `json:"integrations,omitempty"`

	// The database of what is made through the API, and of the `local` store.
	// It is opened only when something needs it.
	Catalog *Catalog `json:"catalog,omitempty"`

	// What may be reached where the upstream is not the operator's own word
	// alone. Default: public addresses only.
	Egress *Egress `json:"egress,omitempty"`

	ctx     caddy.Context
	egress  *egress.Policy
	logger  *zap.Logger
	plans   map[string]*plan
	modules map[string]keyStore

	catalogConfig catalog.Config
	nobody        *target // for requests that name no integration there is

	opened   atomic.Pointer[pooledCatalog] // the catalog, once something needs it; set under mu
	sweeping sync.Once
	operated onDemand
	trying   tryOnDemand
	origin   *eventOrigin     // of events
	events   *caddyevents.App // nil: the configuration has none
	crowded  sync.Once        // that notices are dropped is logged once
	telling  chan struct{}    // closed once it is known whom to tell
	owners   atomic.Pointer[owners]

	mu      sync.Mutex // guards what follows: handlers ask while provisioning, and requests after that
	started bool
	ended   bool // cleaned up; requests of this configuration may still run
	writes  bool // something writes to the catalog
	outside *outside
	keeper  *custody.Custody
	keptIn  *openCatalog // of keeper
	views   map[string]*heldView
	tried   triedKeys
	aged    []agedKey
	refs    []*keyUse // keys of routes
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "apikey_inject",
		New: func() caddy.Module { return new(App) },
	}
}

// UnmarshalJSON refuses unknown fields with the nearest known one, and says in
// which integration they stand.
func (a *App) UnmarshalJSON(data []byte) error {
	type plain App
	var in struct {
		*plain
		Integrations map[string]json.RawMessage `json:"integrations,omitempty"`
	}
	in.plain = (*plain)(a)
	if err := decodeStrict(data, &in); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(in.Integrations)) {
		i := new(Integration)
		if err := decodeStrictAt("integrations."+key+".", in.Integrations[key], i); err != nil {
			return err
		}
		if a.Integrations == nil {
			a.Integrations = make(map[string]*Integration, len(in.Integrations))
		}
		a.Integrations[key] = i
	}
	return nil
}

// Provision reads the configuration. It reaches out to nothing.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.logger, a.telling = ctx, ctx.Logger(), make(chan struct{})
	a.views = make(map[string]*heldView)
	a.nobody = &target{integration: new(Integration), label: nobody, labelValue: nobody, counters: countersOf(nobody)}
	if err := a.compile(); err != nil {
		return err
	}
	if err := a.loadStores(ctx); err != nil {
		return err
	}
	if err := a.provisionEgress(); err != nil {
		return err
	}
	if err := a.provisionEvents(ctx); err != nil {
		return err
	}
	for _, i := range a.Integrations {
		a.ages(i)
	}
	return a.registerMetrics(ctx)
}

// compile checks every integration, used or not.
func (a *App) compile() error {
	a.plans = make(map[string]*plan, len(a.Integrations))
	for _, key := range slices.Sorted(maps.Keys(a.Integrations)) {
		if err := checkUniqueKey(key); err != nil {
			return fmt.Errorf("integrations: %w", err)
		}
		p, err := a.Integrations[key].compile()
		if err != nil {
			return fmt.Errorf("integrations.%s.%w", key, err)
		}
		a.plans[key] = p
	}
	return nil
}

// checkUniqueKey refuses what cannot name an integration.
func checkUniqueKey(s string) error {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789~:.@ _-"
	if s == "" || len(s) > 255 || strings.Trim(s, allowed) != "" || strings.TrimSpace(s) != s {
		return fmt.Errorf("%q is no unique key: 1 to 255 letters, digits, spaces and ~:.@_- are allowed, no space at its ends", s)
	}
	return nil
}

// integration returns the integration of that unique key.
func (a *App) integration(key string) (*Integration, *plan, error) {
	i, ok := a.Integrations[key]
	if !ok {
		return nil, nil, unknownIntegration(key, slices.Sorted(maps.Keys(a.Integrations)))
	}
	return i, a.plans[key], nil
}

func unknownIntegration(key string, known []string) error {
	if len(known) == 0 {
		return fmt.Errorf("there is no integration %q: none is defined in the apikey_inject app", key)
	}
	return fmt.Errorf("there is no integration %q%s; there are %s", key, didYouMean(key, known), strings.Join(known, ", "))
}

// openBudget bounds the opening of the local store's database, migrations
// included.
const openBudget = time.Minute

// Start begins reading keys. Nothing waits for a store that is away: it is a
// warning now and a 503 later, unless it is to start eagerly. The local store's
// database has to open: what keeps it from that is a mistake, and does not go by
// itself.
func (a *App) Start() error {
	a.useEvents()
	a.findOwners()
	if p := a.opened.Load(); p != nil {
		p.join(a)
	}
	if err := a.startStores(); err != nil {
		return err
	}
	if err := a.startCatalog(); err != nil {
		return err
	}
	a.startOutside()
	if a.writes {
		a.keepSwept()
	}
	a.keepTried()
	a.keepAges()
	return a.awaitEager(a.ctx)
}

// Stop does nothing: requests of this configuration still run, and get their
// keys. See Cleanup.
func (*App) Stop() error { return nil }

// Cleanup releases the rings. A ring that no other configuration holds lingers
// for the requests that still run.
func (a *App) Cleanup() error {
	a.trying.close()
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, v := range a.views {
		v.end(a)
		delete(a.views, name)
	}
	if p := a.opened.Load(); p != nil && !a.ended {
		a.stopOutside(p)
		p.leave(a)
		p.release()
	}
	a.ended = true
	return nil
}

// loadApp returns the app of the configuration that is being provisioned.
func loadApp(ctx caddy.Context) (*App, error) {
	mod, err := ctx.App("apikey_inject")
	if err != nil {
		return nil, fmt.Errorf("loading the apikey_inject app: %w", err)
	}
	return mod.(*App), nil
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
	_ json.Unmarshaler   = (*App)(nil)
)
