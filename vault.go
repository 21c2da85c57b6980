package apikeyinject

// This file holds the store module for HashiCorp Vault and OpenBao, adapted to
// internal/vault.

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vault"
)

func init() {
	caddy.RegisterModule(new(VaultStore))
}

// VaultStore reads keys from HashiCorp Vault or OpenBao. Whatever is not
// configured comes from the `VAULT_*` environment variables of Vault's own
// tools.
//
// KV version 1 and 2 are told apart by themselves.
type VaultStore struct {
	// The addresses of one cluster: http, https or unix URLs. The first that
	// answers is used until it does not. Default: `VAULT_ADDR`.
	Addresses []string `json:"addresses,omitempty"`

	// The namespace of the keys. Default: `VAULT_NAMESPACE`.
	Namespace string `json:"namespace,omitempty"`

	// The mount of the KV engine. Default: `secret`.
	Mount string `json:"mount,omitempty"`

	// How to log in. Default: the token in `VAULT_TOKEN`.
	Auth *VaultAuth `json:"auth,omitempty"`

	// The authorities that Vault's certificate may come from.
	// Default: `VAULT_CACERT` and its like, then the system's.
	TrustPoolRaw json.RawMessage `json:"tls_trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	// The client certificate to show to Vault. Default: `VAULT_CLIENT_CERT`
	// and `VAULT_CLIENT_KEY`.
	ClientAuth *ClientCertificate `json:"tls_client_auth,omitempty"`

	// The name that Vault's certificate must be for, and that is sent as SNI.
	// Default: `VAULT_TLS_SERVER_NAME`, then the address's host.
	ServerName string `json:"tls_server_name,omitempty"`

	// How long a key is fresh. A new value in Vault is seen within this time.
	// Default: 5m.
	TTL caddy.Duration `json:"ttl,omitempty"`

	// How old a key may get while Vault is away. Default: 24h.
	MaxStale caddy.Duration `json:"max_stale,omitempty"`

	config vault.Config // with placeholders and environment filled in
}

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

// ClientCertificate names the files of a certificate and its key, in PEM.
type ClientCertificate struct {
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`
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

// CaddyModule returns the Caddy module information.
func (*VaultStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "apikey_inject.stores.vault",
		New: func() caddy.Module { return new(VaultStore) },
	}
}

// UnmarshalJSON refuses unknown fields with the nearest known one.
func (s *VaultStore) UnmarshalJSON(data []byte) error {
	type plain VaultStore
	return decodeStrict(data, (*plain)(s))
}

// Provision reads the configuration and fills in placeholders and environment.
// It reaches out to nothing.
func (s *VaultStore) Provision(ctx caddy.Context) error {
	if err := s.check(); err != nil {
		return err
	}
	x := expander{repl: caddy.NewReplacer()}
	c := vault.Config{
		Namespace: x.text("namespace", s.Namespace),
		Mount:     s.Mount,
		TLSFiles:  vault.TLSFiles{ServerName: x.text("tls_server_name", s.ServerName)},
		Log:       processLogger("apikey_inject.stores.vault"),
		Observe:   observeVault,
	}
	for _, a := range s.Addresses {
		c.Addresses = append(c.Addresses, x.text("address", a))
	}
	if s.ClientAuth != nil {
		c.TLSFiles.ClientCert = x.text("tls_client_auth", s.ClientAuth.Certificate)
		c.TLSFiles.ClientKey = x.text("tls_client_auth", s.ClientAuth.Key)
	}
	if s.Auth != nil {
		c.Auth = s.Auth.expanded(&x)
	}
	if x.err != nil {
		return x.err
	}
	if err := s.loadTrustPool(ctx, &c); err != nil {
		return err
	}
	c, err := c.WithEnv(os.Getenv)
	if err != nil {
		return err
	}
	if err := c.Validate(); err != nil {
		return err
	}
	s.config = c
	return nil
}

func (s *VaultStore) loadTrustPool(ctx caddy.Context, c *vault.Config) error {
	if len(s.TrustPoolRaw) == 0 {
		return nil
	}
	mod, err := ctx.LoadModule(s, "TrustPoolRaw")
	if err != nil {
		return fmt.Errorf("tls_trust_pool: %w", err)
	}
	ca, ok := mod.(caddytls.CA)
	if !ok {
		return wrong("tls_trust_pool", "is no pool of authorities")
	}
	c.TLS = &tls.Config{RootCAs: ca.CertPool(), MinVersion: tls.VersionTLS12}
	return nil
}

// quotedWord quotes what looks like a mistyped word, and nothing that could be
// a token written in its place.
func quotedWord(s string) string {
	if s == "" || len(s) > 16 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_-") != "" {
		return ""
	}
	return fmt.Sprintf(" %q", s)
}

// check refuses what can be seen without the environment. The Caddyfile calls
// it too.
func (s *VaultStore) check() error {
	for _, a := range s.Addresses {
		if strings.Contains(a, "{") {
			continue // known in Provision
		}
		if err := vault.CheckAddress(a); err != nil {
			return &fieldError{"addresses", err}
		}
	}
	if s.Mount != "" {
		if err := store.CheckPath(strings.Trim(s.Mount, "/")); err != nil {
			return &fieldError{"mount", err}
		}
	}
	if s.ClientAuth != nil && (s.ClientAuth.Certificate == "" || s.ClientAuth.Key == "") {
		return wrong("tls_client_auth", "needs a certificate and its key")
	}
	if err := checkAges(s.TTL, s.MaxStale); err != nil {
		return err
	}
	if s.Auth == nil {
		return nil
	}
	return s.Auth.check()
}

// checkAges refuses durations that contradict each other.
func checkAges(ttl, maxStale caddy.Duration) error {
	if ttl < 0 || ttl > 0 && time.Duration(ttl) < time.Second {
		return wrong("ttl", "%s must be at least 1s", time.Duration(ttl))
	}
	if maxStale < 0 || maxStale > 0 && maxStale < ttl {
		return wrong("max_stale", "%s must be at least the ttl, %s", time.Duration(maxStale), time.Duration(ttl))
	}
	return nil
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

func (s *VaultStore) identity() string { return s.config.Identity() }

func (s *VaultStore) open() (store.Store, error) {
	c, err := vault.New(s.config)
	if err != nil {
		return nil, fmt.Errorf("making a Vault client: %w", err)
	}
	return c, nil
}

// start hands our credentials to a client that another configuration may have
// made: a corrected secret id is the same identity. Vault being away is no
// error.
func (s *VaultStore) start(_ context.Context, c store.Store) error {
	c.(*vault.Client).Adopt(s.config)
	return nil
}

func (s *VaultStore) options() keyring.Options {
	return keyring.Options{TTL: time.Duration(s.TTL), MaxStale: time.Duration(s.MaxStale)}
}

// Interface guards
var (
	_ caddy.Provisioner = (*VaultStore)(nil)
	_ keyStore          = (*VaultStore)(nil)
)
