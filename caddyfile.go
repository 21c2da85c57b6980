package apikeyinject

// This file holds the apikey_inject directive.

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("apikey_inject", parseGlobalOption)
	httpcaddyfile.RegisterHandlerDirective("apikey_inject", parseDirective)
	httpcaddyfile.RegisterDirectiveOrder("apikey_inject", httpcaddyfile.Before, "reverse_proxy")
}

// parseDirective parses the handler directive. Syntax:
//
//	apikey_inject [<matcher>] [<integration>|<base_url>] {
//	    # what belongs to the route
//	    strip_prefix      <prefix>
//	    connection        <id>
//	    caller            <placeholder>
//	    allow             user|client_cert|token <names...>
//	    allow             anyone
//	    allow_origin      <origins...>
//	    connection_config {
//	        <name> <value>
//	    }
//	    audit             on|off
//
//	    # the integration, unless the argument names one
//	    base_url     <url>
//	    placement    header|query
//	    name         <header or query parameter>
//	    template     <template with ${apiKey}>
//	    label        <text>
//	    display_name <text>
//	    label_as     <text>
//	    key          <path> [<field>] {
//	        store     <name>
//	        mount     <mount>
//	        namespace <namespace>
//	    }
//	    forward_credentials
//	    forwarded_headers
//	    insecure_http
//	    response_compression
//	    refused_statuses off|<statuses...>
//	    refused_after    <number>
//	    replay_buffer    <size>
//	    verification     [<path>] {
//	        method   GET|HEAD|POST
//	        path     <path>
//	        headers  {
//	            <name> <value>
//	        }
//	        success  <statuses...>
//	        interval <duration>
//	    }
//	    connect {
//	        help_text <text>
//	        help_url  <https URL>
//	        logo_url  <https URL>
//	    }
//	    max_age  <duration>
//	    disabled
//
//	    # any option of reverse_proxy but to and dynamic
//	}
func parseDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	p := directiveParser{helper: h, handler: new(Handler)}
	p.integrationParser = newIntegrationParser(&p.handler.Integration)
	if err := p.parse(); err != nil {
		return nil, err
	}
	return p.handler, nil
}

type directiveParser struct {
	integrationParser
	helper  httpcaddyfile.Helper
	handler *Handler
	start   *caddyfile.Dispenser // at the directive
	rest    []caddyfile.Segment  // reverse_proxy's share of the block, by subdirective
}

func (p *directiveParser) parse() error {
	d := p.helper.Dispenser
	d.Next() // consume the directive
	p.start = here(d)
	if err := p.argument(d); err != nil {
		return err
	}
	// Walked at its first level: deeper tokens and arguments may be any word,
	// as in `lb_policy query key`.
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := p.line(d); err != nil {
			return err
		}
	}
	// reverse_proxy first: it finds the words that nobody knows, and what they
	// stand for would be reported as missing.
	rp, err := p.parseProxy()
	if err != nil {
		return err
	}
	if err := p.finish(); err != nil {
		return err
	}
	return p.finishProxy(rp)
}

// argument parses what stands behind the matcher.
func (p *directiveParser) argument(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return nil
	}
	arg := d.Val()
	if strings.Contains(arg, "://") {
		if _, err := inject.ParseBaseTemplate(arg); err != nil {
			return d.Errf("base_url: %v", err)
		}
		p.handler.BaseURL = arg
		p.at["base_url"] = here(d)
	} else {
		p.handler.Name = arg
		p.at["integration"] = here(d)
	}
	if d.NextArg() {
		return d.Errf("unexpected argument %q: the upstream is base_url, and there is one", d.Val())
	}
	return nil
}

// line parses one subdirective, or hands it on to reverse_proxy.
func (p *directiveParser) line(d *caddyfile.Dispenser) error {
	word := d.Val()
	switch word {
	case "to", "dynamic":
		return d.Errf("%s is not allowed: the upstream is base_url", word)
	}
	if p.handler.Name != "" && slices.Contains(ownWords, word) {
		return d.Errf("%s is not allowed beside integration %q: it belongs into the integration; allowed here are %s, and the options of reverse_proxy",
			word, p.handler.Name, strings.Join(routeWords, ", "))
	}
	switch {
	case word == "connection":
		return p.once(d, func() error { return checkedArg(d, &p.handler.Connection, nil) })
	case word == "label_as":
		return p.once(d, func() error { return checkedArg(d, &p.handler.LabelAs, nil) })
	case slices.Contains(integrationWords, word):
		return p.option(d)
	}
	if _, ok := p.at[word]; ok && word == "transport" {
		return d.Errf("%s already specified", word) // reverse_proxy would merge them
	}
	p.at[word] = here(d)
	p.rest = append(p.rest, d.NextSegment())
	return nil
}

// finish checks what needs more than one line.
func (p *directiveParser) finish() error {
	h := p.handler
	in := &h.Integration
	var pl *plan
	app, err := globalApp(p.helper)
	if err != nil {
		return p.start.WrapErr(err)
	}
	if strings.ContainsAny(h.Name, "{}") {
		return p.finishChoice()
	}
	if h.Name == "" {
		if pl, err = p.compile(p.start); err != nil {
			return err
		}
		if in.Key == nil {
			return p.report(errNoKey, p.start)
		}
		if err := app.checkStoreNames(in.Key.Store); err != nil {
			return p.where("key.store", p.start).Errf("key: store: %v", err)
		}
	} else {
		named, ok := app.Integrations[h.Name]
		if !ok {
			return p.at["integration"].WrapErr(unknownIntegration(h.Name, sortedKeys(app.Integrations)))
		}
		if err := h.check(); err != nil {
			return p.report(err, p.start)
		}
		if in = named; len(in.TransportRaw) > 0 && p.at["transport"] != nil {
			return p.at["transport"].Errf("transport: is not allowed: integration %q has a transport of its own", h.Name)
		}
		if pl, err = named.compile(); err != nil {
			return p.start.WrapErr(err)
		}
	}
	if err := checkConnectionKey(h.Connection, in.Key); err != nil {
		return p.where("connection", p.where("key", p.where("integration", p.start))).WrapErr(err)
	}
	if _, err := newIDSource(h.Connection, h.Allow != nil); err != nil {
		return p.where("connection", p.start).Errf("connection: %v", err)
	}
	t := &target{integration: in, plan: pl}
	if err := t.configure(h); err != nil {
		return p.report(err, p.start)
	}
	if t.incomplete != nil && in.Key != nil {
		return p.report(t.incomplete, p.start)
	}
	p.plan = pl
	return nil
}

// finishChoice is finish for a route whose integration is chosen per request.
func (p *directiveParser) finishChoice() error {
	h := p.handler
	if _, err := newIDSource(h.Name, h.Allow != nil); err != nil {
		return p.at["integration"].Errf("integration: %v", err)
	}
	if _, err := newIDSource(h.Connection, h.Allow != nil); err != nil {
		return p.where("connection", p.start).Errf("connection: %v", err)
	}
	return p.report(h.check(), p.start)
}

// globalApp returns the app as the global option configured it.
func globalApp(h httpcaddyfile.Helper) (*App, error) {
	app := new(App)
	if opt, ok := h.Option("apikey_inject").(httpcaddyfile.App); ok {
		if err := json.Unmarshal(opt.Value, app); err != nil {
			return nil, err
		}
	}
	return app, nil
}
