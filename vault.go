package apikeyinject

// This file holds the store module for HashiCorp Vault and OpenBao, adapted to
// internal/vault.

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
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

	// When the keys that routes name are read: `lazy`, for the first request
	// that needs one; `warm`, in the background from the start; `eager`, before
	// the configuration is in force, which then fails when one cannot be read
	// within 30s. Default: `warm`.
	Startup string `json:"startup,omitempty"`

	// What the paths of connections' keys begin with, where these are kept in
	// the catalog. Default: `caddy-apikey-inject`.
	Prefix string `json:"prefix,omitempty"`

	config vault.Config // with placeholders and environment filled in
}

// ClientCertificate names the files of a certificate and its key, in PEM.
type ClientCertificate struct {
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`
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
		Observe:   observeVault, ObserveLogin: observeLogin,
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
	raw := s.TrustPoolRaw // loading the module clears the field
	mod, err := ctx.LoadModule(s, "TrustPoolRaw")
	if err != nil {
		return fmt.Errorf("tls_trust_pool: %w", err)
	}
	ca, ok := mod.(caddytls.CA)
	if !ok {
		return wrong("tls_trust_pool", "is no pool of authorities")
	}
	// One file is read again by the client when it changes. Loading the module
	// has shown that it is there and holds certificates.
	var file struct {
		Provider string   `json:"provider"`
		PEM      []string `json:"pem_files"`
	}
	if err := json.Unmarshal(raw, &file); err == nil && file.Provider == "file" && len(file.PEM) == 1 {
		c.TLSFiles.CACert = file.PEM[0]
		return nil
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
	if err := checkStartup(s.Startup); err != nil {
		return &fieldError{"startup", err}
	}
	if err := checkPrefix(s.Prefix); err != nil {
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

func (s *VaultStore) prefix() string { return firstSet(s.Prefix, defaultPrefix) }

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
	return keyring.Options{TTL: time.Duration(s.TTL), MaxStale: time.Duration(s.MaxStale), Lazy: s.Startup == startupLazy}
}

func (s *VaultStore) eager() bool { return s.Startup == startupEager }

// Interface guards
var (
	_ caddy.Provisioner = (*VaultStore)(nil)
	_ keyStore          = (*VaultStore)(nil)
)
