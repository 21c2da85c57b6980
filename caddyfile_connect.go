package apikeyinject

// This file holds the apikey_inject_connect directive.

import (
	"errors"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("apikey_inject_connect", parseConnect)
	httpcaddyfile.RegisterDirectiveOrder("apikey_inject_connect", httpcaddyfile.Before, "reverse_proxy")
}

var (
	connectWords = []string{"frame_ancestors", "allowed_origins", "brand", "failures"}
	brandWords   = []string{"name", "logo", "color"}
)

// parseConnect parses the handler directive of the Connect page's site. Syntax:
//
//	apikey_inject_connect [<matcher>] {
//	    frame_ancestors <origins...>
//	    allowed_origins <origins...>
//	    brand {
//	        name  <name>
//	        logo  <https url|file>
//	        color <background> [<words>]
//	    }
//	    failures        <events> <window>
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
		var parse func() error
		switch word := d.Val(); word {
		case "frame_ancestors", "allowed_origins":
			parse = func() error { return originArgs(d, lists[word]) }
		case "brand":
			parse = func() error { return c.parseBrand(d) }
		case "failures":
			parse = func() error { return failureArgs(d, &c.Failures) }
		default:
			return nil, d.Errf("unknown subdirective %q of apikey_inject_connect%s; known are %s",
				word, didYouMean(word, connectWords), strings.Join(connectWords, ", "))
		}
		if err := p.once(d, parse); err != nil {
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

// parseBrand reads the block of brand.
func (c *Connect) parseBrand(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.Err("brand takes no arguments, only a block")
	}
	c.Brand = new(Brand)
	p := newIntegrationParser(nil)
	at := here(d)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		var parse func() error
		switch word {
		case "name":
			parse = func() error { return checkedArg(d, &c.Brand.Name, nil) }
		case "logo":
			parse = func() error { return checkedArg(d, &c.Brand.Logo, nil) }
		case "color":
			parse = func() error { return c.Brand.colourArgs(d) }
		default:
			return d.Errf("unknown subdirective %q of brand%s; known are %s", word, didYouMean(word, brandWords), strings.Join(brandWords, ", "))
		}
		if err := p.once(d, parse); err != nil {
			return err
		}
	}
	if _, err := c.Brand.check(); err != nil {
		word := "brand"
		if f, ok := errors.AsType[*fieldError](err); ok {
			word = strings.TrimPrefix(f.field, "brand.")
		}
		if word == "text_color" { // they share a line
			word = "color"
		}
		return p.where(word, at).Errf("%s: %v", word, fieldCause(err))
	}
	return nil
}

// colourArgs reads one or two colours. To Caddy a # that is not in quotes begins
// a comment.
func (b *Brand) colourArgs(d *caddyfile.Dispenser) error {
	at, args := here(d), d.RemainingArgs()
	if len(args) < 1 || len(args) > 2 {
		return at.Errf("color: wrong number of arguments; write: color <background> [<words>], such as 0a7d4f, or \"#0a7d4f\" in quotes")
	}
	b.Color = args[0]
	if len(args) == 2 {
		b.TextColor = args[1]
	}
	return nil
}

// failureArgs reads how often calls may fail in which time.
func failureArgs(d *caddyfile.Dispenser, into **FailureLimit) error {
	at := here(d)
	var events, window string
	if !d.AllArgs(&events, &window) {
		return arity(at, "failures")
	}
	l := new(FailureLimit)
	*into = l
	n, err := strconv.Atoi(events)
	if err != nil || n < 1 {
		return d.Errf("failures: %q is no number of failures; write: failures %s", events, usages["failures"])
	}
	every, err := caddy.ParseDuration(window)
	if err != nil || every <= 0 {
		return d.Errf("failures: %q is no duration such as 10m", window)
	}
	l.Events, l.Window = n, caddy.Duration(every)
	if err := l.check(); err != nil {
		return d.Errf("failures: %v", fieldCause(err))
	}
	return nil
}
