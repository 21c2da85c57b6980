package apikeyinject

// This file holds the subdirectives of an integration, which stand in the
// global option and in the directive's own block.

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
)

var (
	// ownWords are an integration's own fields: not allowed beside its name.
	ownWords = []string{
		"base_url", "placement", "name", "template", "label", "display_name", "label_as", "key",
		"forward_credentials", "forwarded_headers", "insecure_http", "response_compression", "refused_statuses", "refused_after", "replay_buffer", "disabled",
		"verification", "connect", "max_age",
	}

	// routeWords may differ between the routes to one integration.
	routeWords = []string{"strip_prefix", "connection", "caller", "allow", "allow_origin", "connection_config", "audit"}

	// integrationWords are parsed by the integrationParser.
	integrationWords = slices.DeleteFunc(slices.Concat(ownWords, routeWords), func(w string) bool {
		return w == "connection" || w == "label_as"
	})
)

// jsonWords maps the JSON names in errors to the words of the Caddyfile.
var jsonWords = map[string]string{
	"key_placement": "placement", "key_name": "name", "value_template": "template", "key_label": "label",
	"addresses": "address", "tokens": "token",
}

// integrationParser parses one integration.
type integrationParser struct {
	into  *Integration
	plan  *plan
	words []string                        // what an error about an unknown word offers
	at    map[string]*caddyfile.Dispenser // where each word stands
}

func newIntegrationParser(into *Integration) integrationParser {
	return integrationParser{into: into, words: integrationWords, at: make(map[string]*caddyfile.Dispenser)}
}

// here remembers a place for an error to be found later.
func here(d *caddyfile.Dispenser) *caddyfile.Dispenser {
	c := *d
	return &c
}

// where returns the place of a word, or another if it is not written.
func (p *integrationParser) where(word string, otherwise *caddyfile.Dispenser) *caddyfile.Dispenser {
	if at, ok := p.at[word]; ok {
		return at
	}
	return otherwise
}

// once refuses a word that was there before.
func (p *integrationParser) once(d *caddyfile.Dispenser, parse func() error) error {
	word := d.Val()
	if _, ok := p.at[word]; ok {
		return d.Errf("%s already specified", word)
	}
	p.at[word] = here(d)
	return parse()
}

// option parses the subdirective that d stands on.
func (p *integrationParser) option(d *caddyfile.Dispenser) error {
	i := p.into
	text := func(into *string, check func(string) error) error {
		return p.once(d, func() error { return checkedArg(d, into, check) })
	}
	flag := func(into *bool) error {
		return p.once(d, func() error {
			at := here(d)
			if d.NextArg() {
				return at.Errf("%s takes no arguments", at.Val())
			}
			*into = true
			return nil
		})
	}
	switch d.Val() {
	case "base_url":
		return text(&i.BaseURL, func(s string) error { _, err := inject.ParseBaseTemplate(s); return err })
	case "placement":
		return text(&i.KeyPlacement, inject.CheckKind)
	case "name":
		return text(&i.KeyName, nil) // what is allowed depends on placement
	case "template":
		return text(&i.ValueTemplate, func(s string) error { _, err := inject.ParseTemplate(s); return err })
	case "label":
		return text(&i.KeyLabel, nil)
	case "display_name":
		return text(&i.DisplayName, nil)
	case "strip_prefix":
		return text(&i.StripPrefix, checkStripPrefix)
	case "caller":
		return text(&i.Caller, nil)
	case "key":
		return p.once(d, func() error { return p.key(d) })
	case "allow":
		return p.allow(d)
	case "allow_origin":
		return p.allowOrigin(d)
	case "connection_config":
		return p.once(d, func() error { return p.connectionConfig(d) })
	case "forward_credentials":
		return flag(&i.ForwardCredentials)
	case "forwarded_headers":
		return flag(&i.ForwardedHeaders)
	case "insecure_http":
		return flag(&i.InsecureHTTP)
	case "response_compression":
		return flag(&i.ResponseCompression)
	case "refused_statuses":
		return p.once(d, func() error { return p.refusedStatuses(d) })
	case "refused_after":
		return p.once(d, func() error { return p.refusedAfter(d) })
	case "verification":
		return p.once(d, func() error { return p.verification(d) })
	case "connect":
		return p.once(d, func() error { return p.connect(d) })
	case "max_age":
		return p.once(d, func() error { return parseDuration(d, &i.MaxAge) })
	case "replay_buffer":
		return p.once(d, func() error { return p.replayBuffer(d) })
	case "audit":
		return p.once(d, func() error { return onOff(d, &i.Audit) })
	case "disabled":
		return flag(&i.Disabled)
	}
	return d.Errf("unknown subdirective %q%s; known are %s", d.Val(), didYouMean(d.Val(), p.words), strings.Join(p.words, ", "))
}

// checkedArg reads the one argument of a subdirective.
func checkedArg(d *caddyfile.Dispenser, into *string, check func(string) error) error {
	word, at := d.Val(), here(d)
	if !d.AllArgs(into) {
		return arity(at, word)
	}
	if *into == "" {
		return d.Errf("%s: is empty", word)
	}
	if check == nil {
		return nil
	}
	if err := check(*into); err != nil {
		return d.Errf("%s: %v", word, err)
	}
	return nil
}

// compile checks the integration whole and reports at the word that is wrong,
// or, for what is missing, at start.
func (p *integrationParser) compile(start *caddyfile.Dispenser) (*plan, error) {
	pl, err := p.into.compile()
	return pl, p.report(err, start)
}

// report places the error of a check at the word it is about, in the words of
// the Caddyfile; what is missing is reported at start.
func (p *integrationParser) report(err error, start *caddyfile.Dispenser) error {
	var wrongField *fieldError
	if err == nil || !errors.As(err, &wrongField) {
		return wrapAt(start, err)
	}
	word, sub, _ := strings.Cut(wrongField.field, ".")
	if w, ok := jsonWords[word]; ok {
		word = w
	}
	at := p.where(wrongField.field, p.where(word, start))
	if sub != "" {
		word += ": " + sub
	}
	return at.Errf("%s: %v", word, wrongField.err)
}

func wrapAt(at *caddyfile.Dispenser, err error) error {
	if err == nil {
		return nil
	}
	return at.WrapErr(err)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
