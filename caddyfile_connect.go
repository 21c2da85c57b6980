package apikeyinject

// This file holds the apikey_inject_connect directive.

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("apikey_inject_connect", parseConnect)
	httpcaddyfile.RegisterDirectiveOrder("apikey_inject_connect", httpcaddyfile.Before, "reverse_proxy")
}

var connectWords = []string{"frame_ancestors", "allowed_origins"}

// parseConnect parses the handler directive of the Connect page's site. Syntax:
//
//	apikey_inject_connect [<matcher>] {
//	    frame_ancestors <origins...>
//	    allowed_origins <origins...>
//	}
func parseConnect(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	d := h.Dispenser
	d.Next() // consume the directive
	if d.NextArg() {
		return nil, d.Err("apikey_inject_connect takes no arguments, only a block")
	}
	c := new(Connect)
	p := newIntegrationParser(nil)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		lists := map[string]*[]string{"frame_ancestors": &c.FrameAncestors, "allowed_origins": &c.AllowedOrigins}
		list, ok := lists[d.Val()]
		if !ok {
			return nil, d.Errf("unknown subdirective %q of apikey_inject_connect%s; known are %s",
				d.Val(), didYouMean(d.Val(), connectWords), strings.Join(connectWords, ", "))
		}
		if err := p.once(d, func() error { return originArgs(d, list) }); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// originArgs reads one or more origins.
func originArgs(d *caddyfile.Dispenser, into *[]string) error {
	word := d.Val()
	if err := listArgs(d, into); err != nil {
		return err
	}
	if err := checkOrigins(word, *into); err != nil {
		return d.Errf("%s: %v", word, fieldCause(err))
	}
	return nil
}
