package apikeyinject

// This file holds what may be reached where the upstream is not the operator's
// own word alone: integrations made through the API, and base URLs that each
// connection fills in.

import (
	"net"
	"net/url"
	"os"
	"reflect"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/egress"
)

// Egress opens addresses that are closed to integrations made through the API,
// and to base URLs with `${connectionConfig.NAME}`. These reach public
// addresses only, unless it says more; the addresses of stores, of the catalog
// and of Caddy's admin endpoints they never reach. What the Caddy configuration
// itself names is not concerned.
type Egress struct {
	// What is opened: `private_ranges` (without loopback), a range such as
	// `10.1.0.0/16`, an address, a host name, or the names below a suffix such
	// as `.internal.example`. Names open private addresses; loopback is opened
	// only by an address or a range of its own.
	Allow []string `json:"allow,omitempty"`
}

// check refuses entries that mean nothing.
func (e *Egress) check() error {
	if e == nil {
		return nil
	}
	if _, err := egress.New(egress.Config{Allow: e.Allow}); err != nil {
		return &fieldError{"egress.allow", err}
	}
	return nil
}

// provisionEgress makes the policy. It resolves nothing.
func (a *App) provisionEgress() error {
	cfg := egress.Config{Never: a.neverDialled()}
	if a.Egress != nil {
		cfg.Allow = a.Egress.Allow
	}
	var err error
	if a.egress, err = egress.New(cfg); err != nil {
		return &fieldError{"egress.allow", err}
	}
	return nil
}

// neverDialled lists where no integration of the API may lead: to the stores,
// the catalog, and Caddy's admin endpoints.
func (a *App) neverDialled() []string {
	never := a.catalogConfig.Servers()
	for _, listen := range adminAddresses(a.ctx) {
		if admin := dialled(listen); admin != "" {
			never = append(never, admin)
		}
	}
	for _, mod := range a.modules {
		if v, ok := mod.(*VaultStore); ok {
			for _, address := range v.config.Addresses {
				never = append(never, hostPort(address))
			}
		}
	}
	return never
}

// adminAddresses returns where the admin endpoints of the configuration listen,
// the remote one as well if there is one.
func adminAddresses(ctx caddy.Context) []string {
	local := caddy.DefaultAdminListen
	if env := os.Getenv("CADDY_ADMIN"); env != "" {
		local = env
	}
	// Caddy shows a module every part of its configuration but this one. A field
	// that is not there any longer leaves the default guarded.
	admin := below(reflect.ValueOf(ctx), "cfg", "Admin")
	addresses := []string{listenOf(admin, local)}
	if remote := below(admin, "Remote"); remote.IsValid() {
		addresses = append(addresses, listenOf(remote, caddy.DefaultRemoteAdminListen))
	}
	return addresses
}

// below follows fields of structs, and is invalid where one is not there or
// leads to nothing.
func below(v reflect.Value, names ...string) reflect.Value {
	for _, name := range names {
		if v.Kind() != reflect.Struct {
			return reflect.Value{}
		}
		v = reflect.Indirect(v.FieldByName(name))
	}
	return v
}

// listenOf returns where an endpoint of that configuration listens.
func listenOf(endpoint reflect.Value, otherwise string) string {
	listen := below(endpoint, "Listen")
	if listen.Kind() != reflect.String || listen.String() == "" {
		return otherwise
	}
	return caddy.NewReplacer().ReplaceAll(listen.String(), "")
}

// dialled returns host and port of an address that Caddy listens on. It is empty
// where nobody can dial it, or know it: a socket that has a path or comes by
// a file descriptor, and a port that the system picks.
func dialled(listen string) string {
	parsed, err := caddy.ParseNetworkAddress(listen)
	if err != nil || parsed.IsUnixNetwork() || parsed.IsFdNetwork() || parsed.StartPort == 0 {
		return "" // what is no address is Caddy's to refuse
	}
	return parsed.JoinHostPort(0)
}

// hostPort returns host and port of a URL, the port always present.
func hostPort(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return strings.TrimPrefix(s, "unix://")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
