package apikeyinject

// This file holds the Caddyfile syntax of the stores.

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/apikeyinject/caddy-apikey-inject/internal/vault"
)

// UnmarshalCaddyfile sets up the store from Caddyfile tokens. Syntax:
//
//	store vault [<name>] {
//	    address         <urls...>
//	    namespace       <namespace>
//	    mount           <mount>
//	    auth            token <placeholder>
//	    auth            token_file <file>
//	    auth            approle|kubernetes|jwt|cert|userpass {
//	        ...
//	    }
//	    tls_trust_pool  <module> [<arguments...>]
//	    tls_client_auth <certificate file> <key file>
//	    tls_server_name <name>
//	    ttl             <duration>
//	    max_stale       <duration>
//	    prefix          <path>
//	    startup         lazy|warm|eager
//	}
func (s *VaultStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the module's name
	start := here(d)
	if d.NextArg() {
		return arity(start, "store")
	}
	p := newIntegrationParser(nil)
	words := []string{"address", "namespace", "mount", "auth", "tls_trust_pool", "tls_client_auth", "tls_server_name", "ttl", "max_stale", "prefix", "startup"}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := p.once(d, func() error {
			if known, err := holdingOption(d, &s.TTL, &s.MaxStale, &s.Prefix, &s.Startup); known {
				return err
			}
			switch d.Val() {
			case "address":
				if s.Addresses = d.RemainingArgs(); len(s.Addresses) == 0 {
					return arity(d, "address")
				}
				return nil
			case "namespace":
				return checkedArg(d, &s.Namespace, nil)
			case "mount":
				return checkedArg(d, &s.Mount, nil)
			case "auth":
				return s.parseAuth(d)
			case "tls_trust_pool":
				return s.parseTrustPool(d)
			case "tls_client_auth":
				s.ClientAuth = new(ClientCertificate)
				if !d.AllArgs(&s.ClientAuth.Certificate, &s.ClientAuth.Key) {
					return arity(p.at["tls_client_auth"], "tls_client_auth")
				}
				return nil
			case "tls_server_name":
				return checkedArg(d, &s.ServerName, nil)
			}
			return d.Errf("unknown subdirective %q of store vault%s; known are %s", d.Val(), didYouMean(d.Val(), words), strings.Join(words, ", "))
		}); err != nil {
			return err
		}
	}
	return p.report(s.check(), start)
}

// holdingOption parses what every store has: how long its keys are held, and
// when they are first read.
func holdingOption(d *caddyfile.Dispenser, ttl, maxStale *caddy.Duration, prefix, startup *string) (known bool, err error) {
	switch d.Val() {
	case "ttl":
		return true, parseDuration(d, ttl)
	case "max_stale":
		return true, parseDuration(d, maxStale)
	case "prefix":
		return true, checkedArg(d, prefix, func(s string) error { return fieldCause(checkPrefix(s)) })
	case "startup":
		return true, checkedArg(d, startup, checkStartup)
	}
	return false, nil
}

func parseDuration(d *caddyfile.Dispenser, into *caddy.Duration) error {
	word, at := d.Val(), here(d)
	var text string
	if !d.AllArgs(&text) {
		return arity(at, word)
	}
	dur, err := caddy.ParseDuration(text)
	if err != nil {
		return d.Errf("%s: %q is no duration such as 90s, 5m or 1d", word, text)
	}
	if dur <= 0 {
		return d.Errf("%s: must be more than 0", word)
	}
	*into = caddy.Duration(dur)
	return nil
}

func (s *VaultStore) parseTrustPool(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return arity(d, "tls_trust_pool")
	}
	module := d.Val()
	mod, err := caddyfile.UnmarshalModule(d, "tls.ca_pool.source."+module)
	if err != nil {
		return err
	}
	s.TrustPoolRaw = caddyconfig.JSONModuleObject(mod, "provider", module, nil)
	return nil
}

func (s *VaultStore) parseAuth(d *caddyfile.Dispenser) error {
	at := here(d)
	if !d.NextArg() {
		return arity(at, "auth")
	}
	a := &VaultAuth{Method: d.Val()}
	s.Auth = a
	allowed, ok := authFields[a.Method]
	if !ok {
		return d.WrapErr(a.check())
	}
	switch a.Method {
	case vault.MethodToken:
		return checkedArg(d, &a.Token, checkSecret)
	case vault.MethodTokenFile:
		return checkedArg(d, &a.TokenFile, nil)
	}
	if d.NextArg() {
		return at.Errf("auth %s takes no arguments, only a block", a.Method)
	}
	texts := map[string]*string{
		"role_id": &a.RoleID, "secret_id": &a.SecretID, "secret_id_file": &a.SecretIDFile, "role": &a.Role,
		"jwt_file": &a.JWTFile, "name": &a.Name, "username": &a.Username, "password": &a.Password,
		"mount": &a.Mount, "namespace": &a.Namespace,
	}
	secrets := map[string]bool{"secret_id": true, "password": true}
	p := newIntegrationParser(nil)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := p.once(d, func() error {
			word := d.Val()
			if !slices.Contains(allowed, word) {
				return d.Errf("unknown subdirective %q of auth %s%s; known are %s", word, a.Method, didYouMean(word, allowed), strings.Join(allowed, ", "))
			}
			if word == "wrapped" {
				a.Wrapped = true
				if d.NextArg() {
					return d.Errf("wrapped takes no arguments")
				}
				return nil
			}
			check := checkSecret
			if !secrets[word] {
				check = nil
			}
			return checkedArg(d, texts[word], check)
		}); err != nil {
			return err
		}
	}
	return nil
}

// UnmarshalCaddyfile sets up the store from Caddyfile tokens. Syntax:
//
//	store local [<name>] {
//	    keyset    <placeholder>
//	    ttl       <duration>
//	    max_stale <duration>
//	    prefix    <path>
//	    startup   lazy|warm|eager
//	}
func (s *LocalStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the module's name
	start := here(d)
	if d.NextArg() {
		return arity(start, "store")
	}
	p := newIntegrationParser(nil)
	words := []string{"keyset", "ttl", "max_stale", "prefix", "startup"}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := p.once(d, func() error {
			if known, err := holdingOption(d, &s.TTL, &s.MaxStale, &s.Prefix, &s.Startup); known {
				return err
			}
			if d.Val() == "keyset" {
				return checkedArg(d, &s.Keyset, checkSecret)
			}
			return d.Errf("unknown subdirective %q of store local%s; known are %s", d.Val(), didYouMean(d.Val(), words), strings.Join(words, ", "))
		}); err != nil {
			return err
		}
	}
	return p.report(s.check(), start)
}

// Interface guards
var (
	_ caddyfile.Unmarshaler = (*VaultStore)(nil)
	_ caddyfile.Unmarshaler = (*LocalStore)(nil)
)
