package apikeyinject

// This file holds the apikey_inject_api directive.

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("apikey_inject_api", parseAPI)
	httpcaddyfile.RegisterDirectiveOrder("apikey_inject_api", httpcaddyfile.Before, "reverse_proxy")
}

var (
	apiWords     = []string{"token", "strip_prefix", "connect_url", "failures", "base_url_override", "webhook", "slack", "retry_methods", "retry_max_wait", "dashboard", "audit", "proxy"}
	tokenWords   = []string{"scopes", "integrations", "connections"}
	webhookWords = []string{"secret"}
)

// parseAPI parses the handler directive of the management API and the gateway.
// Syntax:
//
//	apikey_inject_api [<matcher>] {
//	    token <name> <placeholder> {
//	        scopes       <scopes...>
//	        integrations <unique keys...>
//	        connections  <ids...>
//	    }
//	    connect_url       <url>
//	    failures          <events> <window>
//	    strip_prefix      <prefix>
//	    base_url_override <unique key> <hosts...>
//	    webhook <url> {
//	        secret <placeholder>
//	    }
//	    slack             <placeholder>
//	    retry_methods     <methods...>
//	    retry_max_wait    <duration>
//	    dashboard         on|off
//	    audit             on|off
//	    proxy {
//	        # any option of reverse_proxy but to and dynamic
//	    }
//	}
func parseAPI(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	d := h.Dispenser
	d.Next() // consume the directive
	start := here(d)
	if d.NextArg() {
		return nil, d.Err("apikey_inject_api takes no arguments, only a block")
	}
	a := new(API)
	p := newIntegrationParser(nil)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "token":
			err = a.parseToken(d)
		case "base_url_override":
			err = a.parseOverride(d)
		case "strip_prefix":
			err = p.once(d, func() error { return checkedArg(d, &a.StripPrefix, checkStripPrefix) })
		case "connect_url":
			err = p.once(d, func() error { return checkedArg(d, &a.ConnectURL, checkConnectURL) })
		case "failures":
			err = p.once(d, func() error { return failureArgs(d, &a.Failures) })
		case "webhook":
			err = p.once(d, func() error { return a.parseWebhook(d) })
		case "slack":
			err = p.once(d, func() error { return checkedArg(d, &a.Slack, checkSlack) })
		case "retry_methods":
			err = p.once(d, func() error { return listArgs(d, &a.RetryMethods) })
		case "retry_max_wait":
			err = p.once(d, func() error { return parseDuration(d, &a.RetryMaxWait) })
		case "dashboard":
			var on *bool
			if err = p.once(d, func() error { return onOff(d, &on) }); err == nil {
				a.Dashboard = *on
			}
		case "audit":
			err = p.once(d, func() error { return onOff(d, &a.Audit) })
		case "proxy":
			err = p.once(d, func() error { return a.parseProxy(h, d) })
		default:
			err = d.Errf("unknown subdirective %q of apikey_inject_api%s; known are %s",
				d.Val(), didYouMean(d.Val(), apiWords), strings.Join(apiWords, ", "))
		}
		if err != nil {
			return nil, err
		}
	}
	return a, p.report(a.check(), start)
}

func (a *API) parseToken(d *caddyfile.Dispenser) error {
	at, t := here(d), new(APIToken)
	if !d.Args(&t.Name, &t.Token) || d.NextArg() {
		return at.Errf("token: wrong number of arguments; write: token <name> <placeholder>")
	}
	for _, other := range a.Tokens {
		if other.Name == t.Name {
			return d.Errf("token %q already specified", t.Name)
		}
	}
	p := newIntegrationParser(nil)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		lists := map[string]*[]string{"scopes": &t.Scopes, "integrations": &t.Integrations, "connections": &t.Connections}
		list, ok := lists[d.Val()]
		if !ok {
			return d.Errf("unknown subdirective %q of token%s; known are %s", d.Val(), didYouMean(d.Val(), tokenWords), strings.Join(tokenWords, ", "))
		}
		if err := p.once(d, func() error { return listArgs(d, list) }); err != nil {
			return err
		}
	}
	p.at["token"] = at
	if err := t.check(); err != nil {
		return p.report(err, at)
	}
	a.Tokens = append(a.Tokens, t)
	return nil
}

func (a *API) parseWebhook(d *caddyfile.Dispenser) error {
	at := here(d)
	a.Webhook = new(Webhook)
	if !d.Args(&a.Webhook.URL) || d.NextArg() {
		return at.Errf("webhook: wrong number of arguments; write: webhook <url>, and its secret in a block")
	}
	p := newIntegrationParser(nil)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() != "secret" {
			return d.Errf("unknown subdirective %q of webhook%s; known are %s", d.Val(), didYouMean(d.Val(), webhookWords), strings.Join(webhookWords, ", "))
		}
		if err := p.once(d, func() error { return checkedArg(d, &a.Webhook.Secret, checkSecret) }); err != nil {
			return err
		}
	}
	return p.report(a.Webhook.check(), at)
}

func (a *API) parseOverride(d *caddyfile.Dispenser) error {
	at := here(d)
	args := d.RemainingArgs()
	if len(args) < 2 {
		return at.Errf("base_url_override: wrong number of arguments; write: base_url_override <unique key> <hosts...>")
	}
	if _, ok := a.BaseURLOverride[args[0]]; ok {
		return at.Errf("base_url_override of %q already specified", args[0])
	}
	if a.BaseURLOverride == nil {
		a.BaseURLOverride = make(map[string][]string)
	}
	a.BaseURLOverride[args[0]] = slices.Clone(args[1:])
	if err := (&API{Tokens: []*APIToken{{Name: "x", Token: "{env.X}"}}, BaseURLOverride: a.BaseURLOverride}).check(); err != nil {
		return at.Errf("base_url_override: %v", fieldCause(err))
	}
	return nil
}

// parseProxy lets reverse_proxy parse its options for the gateway.
func (a *API) parseProxy(h httpcaddyfile.Helper, d *caddyfile.Dispenser) error {
	at := here(d)
	segment := d.NextSegment()
	for n, token := range segment {
		if n > 0 && (token.Text == "to" || token.Text == "dynamic") && segment[n-1].Line < token.Line {
			there := caddyfile.NewDispenser(segment[n:])
			there.Next()
			return there.Errf("proxy: %s is not allowed: the upstream is an integration's base URL", token.Text)
		}
	}
	segment[0].Text = "reverse_proxy"
	rp := new(reverseproxy.Handler)
	if err := rp.UnmarshalCaddyfile(caddyfile.NewDispenser(segment)); err != nil {
		return err
	}
	if err := rp.FinalizeUnmarshalCaddyfile(h); err != nil {
		return err
	}
	a.ProxyRaw = caddyconfig.JSONModuleObject(rp, "handler", "reverse_proxy", nil)
	if err := checkProxy(a.ProxyRaw, nil); err != nil {
		return at.WrapErr(err)
	}
	return nil
}

// listArgs reads one or more arguments.
func listArgs(d *caddyfile.Dispenser, into *[]string) error {
	word, at := d.Val(), here(d)
	args := d.RemainingArgs()
	if len(args) == 0 || slices.Contains(args, "") {
		return at.Errf("%s: wrong number of arguments; write one or more, none of them empty", word)
	}
	*into = append(*into, args...)
	return nil
}

var _ caddy.Module = (*API)(nil)
