package apikeyinject

// This file holds how to log in to Vault, and the rule for secrets in the
// configuration.

import (
	"errors"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vault"
)

// VaultAuth says how to log in to Vault. Secrets are given by placeholder or by
// file, never in clear: the configuration can be read at the admin endpoint.
type VaultAuth struct {
	// One of `token`, `token_file`, `approle`, `kubernetes`, `jwt`, `cert`,
	// `userpass`.
	Method string `json:"method,omitempty"`

	// The namespace to log in to. Default: the keys' own.
	Namespace string `json:"namespace,omitempty"`

	// The mount of the method. Default: its name.
	Mount string `json:"mount,omitempty"`

	// For `token`: a placeholder such as `{env.VAULT_TOKEN}`.
	Token string `json:"token,omitempty"`

	// For `token_file`: the sink of a Vault Agent, read again when it changes.
	TokenFile string `json:"token_file,omitempty"`

	// For `approle`.
	RoleID string `json:"role_id,omitempty"`

	// For `approle`: a placeholder.
	SecretID string `json:"secret_id,omitempty"`

	// For `approle`: a file, read at each login.
	SecretIDFile string `json:"secret_id_file,omitempty"`

	// For `approle`: the secret id is a response-wrapping token, to be
	// unwrapped once.
	Wrapped bool `json:"wrapped,omitempty"`

	// For `kubernetes` and `jwt`: the role. For a wrapped `approle`: the role
	// that the wrapping token must have been made for.
	Role string `json:"role,omitempty"`

	// For `kubernetes` and `jwt`: a file, read at each login. Default for
	// `kubernetes`: the pod's service account token.
	JWTFile string `json:"jwt_file,omitempty"`

	// For `cert`: the name of the certificate role. Default: Vault tries all.
	Name string `json:"name,omitempty"`

	// For `userpass`.
	Username string `json:"username,omitempty"`

	// For `userpass`: a placeholder.
	Password string `json:"password,omitempty"`
}

// authFields lists which fields a method takes; the first of each is required.
var authFields = map[string][]string{
	vault.MethodToken:      {"token"},
	vault.MethodTokenFile:  {"token_file"},
	vault.MethodAppRole:    {"role_id", "secret_id", "secret_id_file", "wrapped", "role", "mount", "namespace"},
	vault.MethodKubernetes: {"role", "jwt_file", "mount", "namespace"},
	vault.MethodJWT:        {"role", "jwt_file", "mount", "namespace"},
	vault.MethodCert:       {"name", "mount", "namespace"},
	vault.MethodUserpass:   {"username", "password", "mount", "namespace"},
}

// authMethods lists the methods in the order of the documentation.
var authMethods = []string{
	vault.MethodToken, vault.MethodTokenFile, vault.MethodAppRole, vault.MethodKubernetes,
	vault.MethodJWT, vault.MethodCert, vault.MethodUserpass,
}

// set returns which fields are set, by JSON name.
func (a *VaultAuth) set() map[string]bool {
	return map[string]bool{
		"token": a.Token != "", "token_file": a.TokenFile != "", "role_id": a.RoleID != "",
		"secret_id": a.SecretID != "", "secret_id_file": a.SecretIDFile != "", "wrapped": a.Wrapped,
		"role": a.Role != "", "jwt_file": a.JWTFile != "", "name": a.Name != "", "username": a.Username != "",
		"password": a.Password != "", "mount": a.Mount != "", "namespace": a.Namespace != "",
	}
}

func (a *VaultAuth) check() error {
	allowed, ok := authFields[a.Method]
	if !ok {
		return wrong("auth", "unknown method%s%s; allowed are %s", quotedWord(a.Method), didYouMean(a.Method, authMethods), strings.Join(authMethods, ", "))
	}
	set := a.set()
	for _, name := range sortedTrue(set) {
		if !slices.Contains(allowed, name) {
			return wrong("auth", "%s takes no %s; allowed are %s", a.Method, name, strings.Join(allowed, ", "))
		}
	}
	if a.Method != vault.MethodCert && !set[allowed[0]] {
		return wrong("auth", "%s needs %s", a.Method, allowed[0])
	}
	switch {
	case a.Method == vault.MethodAppRole && set["secret_id"] == set["secret_id_file"]:
		return wrong("auth", "approle needs secret_id or secret_id_file, and not both")
	case a.Method == vault.MethodJWT && !set["jwt_file"]:
		return wrong("auth", "jwt needs jwt_file")
	case a.Method == vault.MethodUserpass && !set["password"]:
		return wrong("auth", "userpass needs password")
	}
	for _, s := range []struct{ name, value string }{{"token", a.Token}, {"secret_id", a.SecretID}, {"password", a.Password}} {
		if err := checkSecret(s.value); err != nil {
			return &fieldError{"auth." + s.name, err}
		}
	}
	return nil
}

// checkSecret refuses a secret in clear. A literal would be readable at the
// admin endpoint and in Caddy's autosave file.
func checkSecret(s string) error {
	if s == "" {
		return nil
	}
	if placeholder.ReplaceAllString(s, "") != "" {
		return errors.New("is a secret and cannot stand here in clear; use {env.NAME} or {file./path} (not {$NAME}, which is filled in while parsing)")
	}
	if strings.Contains(s, "{http.") {
		return errors.New("cannot come from a request; use {env.NAME} or {file./path} (a file's name needs its leading slash)")
	}
	return nil
}

// expanded returns the auth with its placeholders filled in.
func (a *VaultAuth) expanded(x *expander) vault.Auth {
	return vault.Auth{
		Method:       a.Method,
		Namespace:    x.text("auth.namespace", a.Namespace),
		Mount:        x.text("auth.mount", a.Mount),
		Token:        x.secret("auth.token", a.Token),
		TokenFile:    x.text("auth.token_file", a.TokenFile),
		RoleID:       x.secret("auth.role_id", a.RoleID),
		SecretID:     x.secret("auth.secret_id", a.SecretID),
		SecretIDFile: x.text("auth.secret_id_file", a.SecretIDFile),
		Wrapped:      a.Wrapped,
		Role:         x.text("auth.role", a.Role),
		JWTFile:      x.text("auth.jwt_file", a.JWTFile),
		Name:         x.text("auth.name", a.Name),
		Username:     x.text("auth.username", a.Username),
		Password:     x.secret("auth.password", a.Password),
	}
}

// expander fills in placeholders and keeps the first error.
type expander struct {
	repl *caddy.Replacer
	err  error
}

func (x *expander) text(field, s string) string {
	if s == "" {
		return ""
	}
	out, err := x.repl.ReplaceOrErr(s, true, true)
	if err != nil && x.err == nil {
		x.err = &fieldError{field, err}
	}
	return out
}

func (x *expander) secret(field, s string) secret.Value {
	if s == "" {
		return secret.Value{}
	}
	return secret.New(strings.TrimSpace(x.text(field, s)))
}
