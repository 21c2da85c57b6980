// Package vault is a store of keys over HashiCorp Vault or OpenBao.
//
// It logs in by itself and stays logged in, finds out which version of the KV
// engine it reads, and sorts Vault's answers into the few classes that a cache
// can act on. It does not cache and hardly retries: its user does.
package vault

import (
	"crypto/tls"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// Defaults of a [Config].
const (
	// DefaultAddress is vault/api's.
	DefaultAddress = "https://127.0.0.1:8200"

	// DefaultMount is where a dev server and most others have the KV engine.
	DefaultMount = "secret"

	// DefaultRequestTimeout is far above the few milliseconds a healthy Vault
	// takes, and short enough for a request that waits.
	DefaultRequestTimeout = 5 * time.Second
)

// Config says which Vault to talk to and as whom. Strings are final: nothing in
// them is expanded.
type Config struct {
	// Addresses of one cluster: http, https or unix URLs. The first that
	// answers is kept until it does not. Default: VAULT_AGENT_ADDR, VAULT_ADDR,
	// then [DefaultAddress].
	Addresses []string

	// Namespace of the secrets. Default: VAULT_NAMESPACE, then none.
	Namespace string

	// Mount of the KV engine. Default: [DefaultMount].
	Mount string

	// Auth is how to log in. Default: the token in VAULT_TOKEN.
	Auth Auth

	// TLS is used for https addresses; what it leaves empty comes from
	// TLSFiles. May be nil.
	TLS *tls.Config

	// TLSFiles are read again when they change. Default: VAULT_CACERT,
	// VAULT_CACERT_BYTES, VAULT_CAPATH, VAULT_CLIENT_CERT, VAULT_CLIENT_KEY,
	// VAULT_TLS_SERVER_NAME and VAULT_SKIP_VERIFY, each on its own.
	TLSFiles TLSFiles

	// RequestTimeout bounds one call, over all addresses. Default:
	// VAULT_CLIENT_TIMEOUT, then [DefaultRequestTimeout].
	RequestTimeout time.Duration

	// Headers are sent with every request. None may begin with X-Vault-.
	// Default: VAULT_HEADERS, a JSON object of strings.
	Headers http.Header

	// Proxy is the URL of an HTTP proxy towards Vault. Default:
	// VAULT_PROXY_ADDR, VAULT_HTTP_PROXY, then none: a proxy meant for other
	// traffic is no place for a Vault token.
	Proxy string

	// RateLimit bounds requests per second, RateBurst how many may come at
	// once. Default: VAULT_RATE_LIMIT ("rate" or "rate:burst"), then no bound.
	RateLimit float64
	RateBurst int

	// SRVLookup finds an address without a port by its DNS SRV record.
	// Default: VAULT_SRV_LOOKUP.
	SRVLookup bool

	// DisableRedirects refuses also redirects to another of our addresses.
	// Default: VAULT_DISABLE_REDIRECTS.
	DisableRedirects bool

	// Observe is told of every call: what it was and what became of it, by the
	// Op and Class constants. It must not block. May be nil.
	Observe func(op, class string, took time.Duration)

	// ObserveLogin is told of every login: by which method, and one of the
	// Login constants. It must not block. May be nil.
	ObserveLogin func(method, result string)

	// Log may be nil.
	Log *zap.Logger
}

// TLSFiles name what an https connection needs.
type TLSFiles struct {
	CACert      string // PEM file of authorities
	CACertBytes string // PEM of authorities itself
	CAPath      string // folder of PEM files of authorities
	ClientCert  string // PEM file
	ClientKey   string // PEM file
	ServerName  string // for SNI and verification
	SkipVerify  bool   // accept any certificate
}

// Methods of logging in.
const (
	MethodToken      = "token"
	MethodTokenFile  = "token_file"
	MethodNone       = "none"
	MethodAppRole    = "approle"
	MethodKubernetes = "kubernetes"
	MethodJWT        = "jwt"
	MethodCert       = "cert"
	MethodUserpass   = "userpass"
	MethodLDAP       = "ldap"
)

// Methods lists every method in the order of the documentation.
func Methods() []string {
	return []string{
		MethodToken, MethodTokenFile, MethodAppRole, MethodKubernetes, MethodJWT,
		MethodCert, MethodUserpass, MethodLDAP, MethodNone,
	}
}

// Auth says how to log in.
type Auth struct {
	// Method is one of [Methods].
	Method string

	// Namespace to log in to. Default: the secrets' own.
	Namespace string

	// Mount of the method, without "auth/". Default: the method's name.
	Mount string

	// Token for the method token.
	Token secret.Value

	// TokenFile is a sink of Vault Agent or Proxy. It is watched, and the token
	// in it never renewed or revoked: that is the Agent's business.
	TokenFile string

	// RoleID, and SecretID or SecretIDFile, for approle.
	RoleID       secret.Value
	SecretID     secret.Value
	SecretIDFile string

	// Wrapped says that SecretID or SecretIDFile holds a response-wrapping
	// token. It is unwrapped once, after checking where it was made.
	Wrapped bool

	// Role for kubernetes, jwt and, with Wrapped, approle: there it is the
	// name that the wrapping token must have been made for, if set.
	Role string

	// JWT or JWTFile, for jwt and kubernetes. The file is read at each login,
	// for such tokens are short-lived. Default for kubernetes: the pod's
	// service account.
	JWT     secret.Value
	JWTFile string

	// Name of the certificate role, for cert. Empty: Vault tries all.
	Name string

	// Username, and Password or PasswordFile, for userpass and ldap.
	Username     string
	Password     secret.Value
	PasswordFile string
}

// serviceAccountToken is where Kubernetes puts a pod's token.
const serviceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token" //nolint:gosec // a path

// withDefaults fills what neither the operator nor the environment has said.
func (c Config) withDefaults() Config {
	if len(c.Addresses) == 0 {
		c.Addresses = []string{DefaultAddress}
	}
	c.Mount = strings.Trim(c.Mount, "/")
	if c.Mount == "" {
		c.Mount = DefaultMount
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = DefaultRequestTimeout
	}
	c.Namespace = strings.Trim(c.Namespace, "/")
	c.Auth = c.Auth.withDefaults(c.Namespace)
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	return c
}

func (a Auth) withDefaults(namespace string) Auth {
	a.Namespace = strings.Trim(a.Namespace, "/")
	if a.Namespace == "" {
		a.Namespace = namespace
	}
	a.Mount = strings.Trim(strings.TrimPrefix(a.Mount, "auth/"), "/")
	if a.Mount == "" {
		a.Mount = a.Method
	}
	if a.Method == MethodKubernetes && a.JWTFile == "" && a.JWT.Reveal() == "" {
		a.JWTFile = serviceAccountToken
	}
	return a
}
