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
// and of Caddy's admin endpoint they never reach. What the Caddy configuration
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
// the catalog, and Caddy's admin endpoint.
func (a *App) neverDialled() []string {
	never := a.catalogConfig.Servers()
	if admin := dialled(adminAddress(a.ctx)); admin != "" {
		never = append(never, admin)
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

// adminAddress returns where the admin endpoint of the configuration listens.
func adminAddress(ctx caddy.Context) string {
	address := caddy.DefaultAdminListen
	if env := os.Getenv("CADDY_ADMIN"); env != "" {
		address = env
	}
	// Caddy shows a module every part of its configuration but this one. A field
	// that is not there any longer leaves the default guarded.
	cfg := reflect.Indirect(reflect.ValueOf(ctx).FieldByName("cfg"))
	if cfg.Kind() == reflect.Struct {
		if admin := reflect.Indirect(cfg.FieldByName("Admin")); admin.Kind() == reflect.Struct {
			if listen := admin.FieldByName("Listen"); listen.Kind() == reflect.String && listen.String() != "" {
				address = caddy.NewReplacer().ReplaceAll(listen.String(), "")
			}
		}
	}
	return address
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
