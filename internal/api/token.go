package api

// This file holds who calls: tokens, what each may do, and how one is found
// without telling by its time how near a guess was.

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// The scopes a token can have.
const (
	ScopeIntegrationsRead  = "integrations:read"
	ScopeIntegrationsWrite = "integrations:write"
	ScopeConnectionsRead   = "connections:read"
	ScopeConnectionsWrite  = "connections:write"
	ScopeConnectSessions   = "connect_sessions:write"
	ScopeProxy             = "proxy"
	ScopeStatus            = "status"
)

// Scopes are all that there are.
func Scopes() []string {
	return []string{
		ScopeIntegrationsRead, ScopeIntegrationsWrite, ScopeConnectionsRead, ScopeConnectionsWrite,
		ScopeConnectSessions, ScopeProxy, ScopeStatus,
	}
}

// Token is a caller of the API.
type Token struct {
	// Name stands in audit entries. Required, unique.
	Name string

	// Value is what the caller sends. Required, unique.
	Value secret.Value

	// Scopes it has. Empty: all.
	Scopes []string

	// Integrations and Connections it is limited to, by unique key and by id.
	// Empty: no limit.
	Integrations, Connections []string
}

// Allows tells whether the token has a scope. The empty scope has everybody.
func (t *Token) Allows(scope string) bool {
	return scope == "" || len(t.Scopes) == 0 || slices.Contains(t.Scopes, scope)
}

// AllowsIntegration tells whether the token may touch an integration.
func (t *Token) AllowsIntegration(key string) bool {
	return len(t.Integrations) == 0 || slices.Contains(t.Integrations, key)
}

// AllowsConnection tells whether the token may touch a connection.
func (t *Token) AllowsConnection(integration, id string) bool {
	return t.AllowsIntegration(integration) && (len(t.Connections) == 0 || slices.Contains(t.Connections, id))
}

// Tokens finds the token of a request.
type Tokens struct {
	tokens  []Token
	digests [][sha256.Size]byte
	key     [32]byte // new in every process: nothing outside can compute a digest
}

// NewTokens checks tokens and makes them ready to be looked up. Its errors name
// the token and hold nothing of its value.
func NewTokens(list []Token) (*Tokens, error) {
	t := &Tokens{tokens: slices.Clone(list)}
	_, _ = rand.Read(t.key[:]) // never fails, as of Go 1.24
	for i, tok := range list {
		if tok.Name == "" {
			return nil, fmt.Errorf("reading API token %d: it has no name", i+1)
		}
		if err := tok.check(); err != nil {
			return nil, fmt.Errorf("reading API token %s: %w", tok.Name, err)
		}
		d := t.digest(tok.Value.Reveal())
		for j, other := range list[:i] {
			if other.Name == tok.Name {
				return nil, fmt.Errorf("reading API token %s: there are two of this name", tok.Name)
			}
			if d == t.digests[j] {
				return nil, fmt.Errorf("reading API token %s: it has the value of token %s", tok.Name, other.Name)
			}
		}
		t.digests = append(t.digests, d)
	}
	return t, nil
}

func (t *Token) check() error {
	v := t.Value.Reveal()
	if v == "" {
		return errors.New("it has no value")
	}
	if strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return errors.New("it has a blank or other character that no header may carry there")
	}
	for _, s := range t.Scopes {
		if !slices.Contains(Scopes(), s) {
			return fmt.Errorf("unknown scope %q; there are %s", s, strings.Join(Scopes(), ", "))
		}
	}
	if slices.Contains(t.Integrations, "") || slices.Contains(t.Connections, "") {
		return errors.New("a limit holds an empty name")
	}
	return nil
}

// digest is a hash that nobody outside can compute. None ever leaves, so that
// there is nothing to extend and an HMAC would only cost allocations.
func (t *Tokens) digest(s string) [sha256.Size]byte {
	var room [sha256.Size + 256]byte // of most tokens
	return sha256.Sum256(append(append(room[:0], t.key[:]...), s...))
}

// Authenticate returns the token of a request. All tokens are compared, by
// digests of equal length, whatever was sent. The error is 401
// missing_auth_header or 401 unknown_account.
func (t *Tokens) Authenticate(r *http.Request) (*Token, *Error) {
	sent, ok := bearer(r)
	if !ok {
		return nil, refuse(http.StatusUnauthorized, "missing_auth_header", "The request needs one header Authorization: Bearer <token>")
	}
	d, found := t.digest(sent), -1
	for i := range t.digests {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(d[:], t.digests[i][:]), i, found)
	}
	if found < 0 {
		return nil, refuse(http.StatusUnauthorized, "unknown_account", "This token is not known here")
	}
	return &t.tokens[found], nil
}

// bearer returns what the only Authorization header carries. Of two, who stands
// in front of us may have checked the other one.
func bearer(r *http.Request) (string, bool) {
	h := r.Header.Values("Authorization")
	if len(h) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(h[0], " ")
	token = strings.Trim(token, " ")
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}
