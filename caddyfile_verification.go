package apikeyinject

// This file holds the subdirectives about how an integration's keys are tried,
// and about what the Connect page says of it.

import (
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// block parses the block of a word, each of whose lines stands there once.
func (p *integrationParser) block(d *caddyfile.Dispenser, word string, lines map[string]func() error) error {
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		line := d.Val()
		parse, ok := lines[line]
		if !ok {
			known := sortedKeys(lines)
			return d.Errf("%s: unknown subdirective %q%s; known are %s", word, line, didYouMean(line, known), strings.Join(known, ", "))
		}
		if _, ok := p.at[word+"."+line]; ok {
			return d.Errf("%s: %s already specified", word, line)
		}
		p.at[word+"."+line] = here(d)
		if err := parse(); err != nil {
			return err
		}
	}
	return nil
}

// verification parses
//
//	verification [<path>] {
//	    method GET|HEAD|POST
//	    path <path>
//	    headers {
//	        <name> <value>
//	    }
//	    success <statuses...>
//	    interval <duration>
//	}
func (p *integrationParser) verification(d *caddyfile.Dispenser) error {
	v := new(Verification)
	p.into.Verification = v
	switch args := d.RemainingArgs(); len(args) {
	case 0:
	case 1:
		v.Path = args[0]
		p.at["verification.path"] = here(d)
	default:
		return arity(p.at["verification"], "verification")
	}
	return p.block(d, "verification", map[string]func() error{
		"method":   func() error { return checkedArg(d, &v.Method, nil) },
		"path":     func() error { return checkedArg(d, &v.Path, nil) },
		"headers":  func() error { return p.verificationHeaders(d, v) },
		"success":  func() error { return p.success(d, v) },
		"interval": func() error { return parseDuration(d, &v.Interval) },
	})
}

func (p *integrationParser) verificationHeaders(d *caddyfile.Dispenser, v *Verification) error {
	if d.NextArg() {
		return d.Errf("verification: headers is a block of lines: <name> <value>")
	}
	v.Headers = make(map[string]string)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name, at := d.Val(), here(d)
		if _, ok := v.Headers[name]; ok {
			return d.Errf("verification: headers: %s already specified", name)
		}
		var value string
		if !d.AllArgs(&value) {
			return at.Errf("verification: headers: wrong number of arguments; write a name and its value")
		}
		if err := checkTrialHeader(name, value); err != nil {
			return at.Errf("verification: headers: %v", err)
		}
		v.Headers[name] = value
	}
	return nil
}

func (p *integrationParser) success(d *caddyfile.Dispenser, v *Verification) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.Errf("verification: success: wrong number of arguments; write: success <statuses...>")
	}
	for _, arg := range args {
		status, err := strconv.Atoi(arg)
		if err != nil {
			return d.Errf("verification: success: %q is no status; allowed are statuses such as 200", arg)
		}
		v.Success = append(v.Success, status)
	}
	return nil
}

// connect parses
//
//	connect {
//	    help_text <text>
//	    help_url  <https URL>
//	    logo_url  <https URL>
//	}
func (p *integrationParser) connect(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return arity(p.at["connect"], "connect")
	}
	t := new(ConnectTexts)
	p.into.Connect = t
	return p.block(d, "connect", map[string]func() error{
		"help_text": func() error { return checkedArg(d, &t.HelpText, nil) },
		"help_url":  func() error { return checkedArg(d, &t.HelpURL, nil) },
		"logo_url":  func() error { return checkedArg(d, &t.LogoURL, nil) },
	})
}

// refusedAfter parses a number.
func (p *integrationParser) refusedAfter(d *caddyfile.Dispenser) error {
	var text string
	if !d.AllArgs(&text) {
		return arity(p.at["refused_after"], "refused_after")
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return d.Errf("refused_after: %q is no number from 1", text)
	}
	p.into.RefusedAfter = n
	return nil
}
