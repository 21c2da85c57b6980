package apikeyinject

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
)

// This file holds the subdirectives of more than one argument.

func (p *integrationParser) key(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 1 || len(args) > 2 {
		return arity(p.at["key"], "key")
	}
	k := &KeyReference{Path: args[0]}
	if len(args) == 2 {
		k.Field = args[1]
	}
	sub := newIntegrationParser(nil)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		words := map[string]*string{"store": &k.Store, "mount": &k.Mount, "namespace": &k.Namespace}
		into, ok := words[d.Val()]
		if !ok {
			known := sortedKeys(words)
			return d.Errf("unknown subdirective %q of key%s; known are %s", d.Val(), didYouMean(d.Val(), known), strings.Join(known, ", "))
		}
		if err := sub.once(d, func() error { return checkedArg(d, into, nil) }); err != nil {
			return err
		}
	}
	for word, at := range sub.at {
		p.at["key."+word] = at
	}
	if err := k.check(); err != nil {
		return p.report(err, p.at["key"])
	}
	p.into.Key = k
	return nil
}

func (p *integrationParser) allow(d *caddyfile.Dispenser) error {
	p.at["allow"] = here(d)
	if p.into.Allow == nil {
		p.into.Allow = new(Allow)
	}
	a := p.into.Allow
	if !d.NextArg() {
		return arity(p.at["allow"], "allow")
	}
	who := d.Val()
	lists := map[string]*[]string{"user": &a.Users, "client_cert": &a.ClientCerts, "token": &a.Tokens}
	if who == "anyone" {
		if d.NextArg() {
			return arity(p.at["allow"], "allow")
		}
		a.Anyone = true
		return nil
	}
	list, ok := lists[who]
	if !ok {
		known := append(sortedKeys(lists), "anyone")
		return d.Errf("allow: unknown kind of caller %q%s; allowed are %s", who, didYouMean(who, known), strings.Join(known, ", "))
	}
	names := d.RemainingArgs()
	if len(names) == 0 {
		return arity(p.at["allow"], "allow")
	}
	if slices.Contains(names, "") {
		return d.Errf("allow: an empty name")
	}
	*list = append(*list, names...)
	return nil
}

func (p *integrationParser) allowOrigin(d *caddyfile.Dispenser) error {
	p.at["allow_origin"] = here(d)
	origins := d.RemainingArgs()
	if len(origins) == 0 {
		return arity(p.at["allow_origin"], "allow_origin")
	}
	for _, o := range origins {
		if err := checkOrigin(o); err != nil {
			return d.Errf("allow_origin: %v", err)
		}
	}
	p.into.AllowOrigin = append(p.into.AllowOrigin, origins...)
	return nil
}

func (p *integrationParser) connectionConfig(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return arity(p.at["connection_config"], "connection_config")
	}
	p.into.ConnectionConfig = make(map[string]string)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name, at := d.Val(), here(d)
		if _, ok := p.into.ConnectionConfig[name]; ok {
			return d.Errf("connection_config: %s already specified", name)
		}
		p.at["connection_config."+name] = at
		var value string
		if !d.AllArgs(&value) {
			return at.Errf("connection_config: wrong number of arguments; write a name and its value")
		}
		if err := inject.CheckConfigValue(name, value); err != nil {
			return d.Errf("connection_config: %v", err)
		}
		p.into.ConnectionConfig[name] = value
	}
	return nil
}

// transport parses the transport of an integration in the global option. In a
// directive's block reverse_proxy parses it.
func (p *integrationParser) transport(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return arity(d, "transport")
	}
	if d.Val() != "http" {
		return d.Errf("transport: must be http, not %q", d.Val())
	}
	mod, err := caddyfile.UnmarshalModule(d, "http.reverse_proxy.transport.http")
	if err != nil {
		return err
	}
	p.into.TransportRaw = caddyconfig.JSONModuleObject(mod, "protocol", "http", nil)
	return nil
}
