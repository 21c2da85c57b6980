// What is refused before anything is dialled.

package vault

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// Validate returns nil when c can be used, else an error of one line that names
// the field at fault. It reads no file and holds no secret.
func (c Config) Validate() error {
	c = c.withDefaults()
	for _, a := range c.Addresses {
		if _, err := parseEndpoint(a); err != nil {
			return fmt.Errorf("address: %w", err)
		}
	}
	if err := checkSegments(c.Mount); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	for _, ns := range []string{c.Namespace, c.Auth.Namespace} {
		if err := checkSegments(ns); ns != "" && err != nil {
			return fmt.Errorf("namespace: %w", err)
		}
	}
	if c.RequestTimeout < 0 {
		return errors.New("request_timeout: must not be negative")
	}
	if c.RateLimit < 0 || c.RateBurst < 0 {
		return errors.New("rate_limit: must not be negative")
	}
	for name := range c.Headers {
		if strings.HasPrefix(strings.ToLower(name), "x-vault-") {
			return fmt.Errorf("headers: %s belongs to Vault's own protocol", name)
		}
	}
	if c.Proxy != "" {
		if u, err := url.Parse(c.Proxy); err != nil || u.Host == "" {
			return errors.New("proxy: must be a URL with a host")
		}
	}
	if (c.TLSFiles.ClientCert == "") != (c.TLSFiles.ClientKey == "") {
		return errors.New("tls_client_auth: needs both a certificate and a key")
	}
	if c.Auth.Method == MethodCert && c.TLSFiles.ClientCert == "" && !hasClientCert(c.TLS) {
		return errors.New("auth cert: needs tls_client_auth")
	}
	return c.Auth.validate()
}

func (a Auth) validate() error {
	if a.Method == "" {
		return errors.New("auth: is missing, and VAULT_TOKEN is not set")
	}
	if !slices.Contains(Methods(), a.Method) {
		return fmt.Errorf("auth: unknown method %q; there are %s", a.Method, strings.Join(Methods(), ", "))
	}
	if err := checkSegments(a.Mount); err != nil {
		return fmt.Errorf("auth %s mount: %w", a.Method, err)
	}
	switch a.Method {
	case MethodToken:
		return need(a, "token", a.Token.Reveal())
	case MethodTokenFile:
		return need(a, "file name", a.TokenFile)
	case MethodAppRole:
		if err := need(a, "role_id", a.RoleID.Reveal()); err != nil {
			return err
		}
		if a.Wrapped {
			return oneOf(a, "secret_id", a.SecretID, a.SecretIDFile)
		}
		if a.SecretIDFile != "" { // a role may be bound by address alone, without secret_id
			return oneOf(a, "secret_id", a.SecretID, a.SecretIDFile)
		}
	case MethodKubernetes, MethodJWT:
		if a.Method == MethodKubernetes {
			if err := need(a, "role", a.Role); err != nil { // the jwt method may have a default role
				return err
			}
		}
		return oneOf(a, "jwt", a.JWT, a.JWTFile)
	case MethodUserpass, MethodLDAP:
		if err := need(a, "username", a.Username); err != nil {
			return err
		}
		if err := checkSegments(a.Username); err != nil || strings.Contains(a.Username, "/") {
			return fmt.Errorf("auth %s username: must be one path segment", a.Method)
		}
		return oneOf(a, "password", a.Password, a.PasswordFile)
	}
	return nil
}

func need(a Auth, what, value string) error {
	if value == "" {
		return fmt.Errorf("auth %s: %s is missing or empty", a.Method, what)
	}
	return nil
}

func oneOf(a Auth, what string, value secret.Value, file string) error {
	if value.Reveal() == "" && file == "" {
		return fmt.Errorf("auth %s: %s or %s_file is missing or empty", a.Method, what, what)
	}
	if value.Reveal() != "" && file != "" {
		return fmt.Errorf("auth %s: %s and %s_file exclude each other", a.Method, what, what)
	}
	return nil
}

// checkSegments refuses a path that joining could turn into another one: an
// empty or dotted segment, or a control character in it.
func checkSegments(path string) error {
	for seg := range strings.SplitSeq(path, "/") {
		if seg == "" || seg == "." || seg == ".." {
			return fmt.Errorf("path %q has an empty or dotted segment", path)
		}
		for _, r := range seg {
			if r < 0x20 || r == 0x7f {
				return fmt.Errorf("path %q has a control character", path)
			}
		}
	}
	return nil
}
