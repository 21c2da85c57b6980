package apikeyinject

// This file holds the apikey_inject global option.

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

var appWords = []string{"store", "integration", "catalog", "egress"}

// parseGlobalOption parses the global option. Syntax:
//
//	apikey_inject {
//	    store <module> [<name>] {
//	        ...
//	    }
//	    integration <unique_key> [<base_url>] {
//	        # as in the apikey_inject directive, and
//	        transport http {
//	            ...
//	        }
//	    }
//	    catalog sqlite [<file>]
//	    catalog postgres <placeholder of the URL>
//	    egress {
//	        allow private_ranges|<ranges, addresses, hosts, .suffixes...>
//	    }
//	}
//
// The first store is the default.
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	d.Next() // consume the option
	if existing != nil {
		return nil, d.Err("apikey_inject already specified")
	}
	if d.NextArg() {
		return nil, d.Err("apikey_inject takes no arguments, only a block")
	}
	app := new(App)
	parsers := make(map[string]*integrationParser)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "store":
			err = parseStore(d, app)
		case "integration":
			err = parseIntegration(d, app, parsers)
		case "catalog":
			err = parseCatalog(d, app)
		case "egress":
			err = parseEgress(d, app)
		default:
			err = d.Errf("unknown subdirective %q of apikey_inject%s; known are %s",
				d.Val(), didYouMean(d.Val(), appWords), strings.Join(appWords, ", "))
		}
		if err != nil {
			return nil, err
		}
	}
	for _, key := range sortedKeys(parsers) { // a store may stand behind its users
		if app.Integrations[key].Key == nil {
			continue
		}
		if err := app.checkStoreNames(app.Integrations[key].Key.Store); err != nil {
			return nil, parsers[key].at["key.store"].Errf("key: store: %v", err)
		}
	}
	value, err := json.Marshal(app)
	if err != nil {
		return nil, d.WrapErr(err)
	}
	return httpcaddyfile.App{Name: "apikey_inject", Value: value}, nil
}

func parseStore(d *caddyfile.Dispenser, app *App) error {
	if !d.NextArg() {
		return arity(d, "store")
	}
	at := here(d)
	module := d.Val()
	info, err := caddy.GetModule("apikey_inject.stores." + module)
	if err != nil {
		known := []string{"vault", "local"}
		return d.Errf("unknown store %q%s; known are %s", module, didYouMean(module, known), strings.Join(known, ", "))
	}
	segment := d.NextSegment()
	name := module
	if len(segment) > 1 && segment[1].Text != "{" {
		name = segment[1].Text
		segment = append(segment[:1:1], segment[2:]...)
	}
	if _, ok := app.StoresRaw[name]; ok {
		return at.Errf("store %q already specified", name)
	}
	mod := info.New()
	if err := mod.(caddyfile.Unmarshaler).UnmarshalCaddyfile(caddyfile.NewDispenser(segment)); err != nil {
		return err
	}
	if app.StoresRaw == nil {
		app.StoresRaw = make(map[string]json.RawMessage)
		app.DefaultStore = name
	}
	app.StoresRaw[name] = caddyconfig.JSONModuleObject(mod, "store", module, nil)
	return nil
}

func parseIntegration(d *caddyfile.Dispenser, app *App, parsers map[string]*integrationParser) error {
	at := here(d)
	args := d.RemainingArgs()
	if len(args) < 1 || len(args) > 2 {
		return arity(at, "integration")
	}
	start := here(d)
	key := args[0]
	if err := checkUniqueKey(key); err != nil {
		return d.Errf("integration: %v", err)
	}
	if _, ok := app.Integrations[key]; ok {
		return d.Errf("integration %q already specified", key)
	}
	i := new(Integration)
	p := newIntegrationParser(i)
	p.words = slices.Concat(integrationWords, []string{"transport"})
	parsers[key] = &p
	if len(args) == 2 {
		i.BaseURL = args[1]
		p.at["base_url"] = start
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		if d.Val() == "transport" {
			err = p.once(d, func() error { return p.transport(d) })
		} else {
			err = p.option(d)
		}
		if err != nil {
			return err
		}
	}
	if _, err := p.compile(start); err != nil {
		return err
	}
	if app.Integrations == nil {
		app.Integrations = make(map[string]*Integration)
	}
	app.Integrations[key] = i
	return nil
}

func parseCatalog(d *caddyfile.Dispenser, app *App) error {
	if app.Catalog != nil {
		return d.Err("catalog already specified")
	}
	at := here(d)
	args := d.RemainingArgs()
	if len(args) < 1 || len(args) > 2 || len(args) == 1 && args[0] == "postgres" {
		return arity(at, "catalog")
	}
	if len(args) == 2 && args[1] == "" {
		return d.Err("catalog: an empty argument")
	}
	c := new(Catalog)
	switch {
	case args[0] == "postgres":
		c.Driver, c.URL = args[0], args[1]
	case args[0] != "sqlite":
		// Not quoted: it may be a URL that was put here, with its password.
		return d.Errf("catalog: the first argument is no database; known are sqlite, postgres")
	case len(args) == 2:
		c.Path = args[1]
	}
	if err := c.check(); err != nil {
		return d.Errf("catalog: %v", fieldCause(err))
	}
	app.Catalog = c
	return nil
}

func parseEgress(d *caddyfile.Dispenser, app *App) error {
	if app.Egress != nil {
		return d.Err("egress already specified")
	}
	start := here(d)
	if d.NextArg() {
		return d.Err("egress takes no arguments, only a block")
	}
	app.Egress = new(Egress)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() != "allow" {
			return d.Errf("unknown subdirective %q of egress%s; known is allow", d.Val(), didYouMean(d.Val(), []string{"allow"}))
		}
		at := here(d)
		entries := d.RemainingArgs()
		if len(entries) == 0 {
			return at.Errf("egress: allow: wrong number of arguments; write: allow private_ranges|<range, address, host or .suffix...>")
		}
		for _, entry := range entries {
			if err := (&Egress{Allow: []string{entry}}).check(); err != nil {
				return d.Errf("egress: allow: %v", fieldCause(err))
			}
		}
		app.Egress.Allow = append(app.Egress.Allow, entries...)
	}
	if len(app.Egress.Allow) == 0 {
		return start.Err("egress is empty; write allow and what may be reached")
	}
	return nil
}
