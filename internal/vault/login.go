// Logging in, by each method.

package vault

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// auth is the [lessor] of a client.
type auth struct {
	c *Client

	mu     sync.Mutex
	cfg    Auth
	static map[[32]byte]bool // given tokens not to try again
	seen   string            // fingerprint of the credentials that could be read last
	unwrap [32]byte          // hash of the wrapping token that was unwrapped
	opened secret.Value      // what it held
}

func (l *auth) config() Auth {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cfg
}

// fromFile returns value, or what the file holds without white space round it.
func fromFile(what string, value secret.Value, file string) (secret.Value, error) {
	if file == "" {
		return value, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return secret.Value{}, fmt.Errorf("reading the %s: %w", what, err)
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return secret.Value{}, fmt.Errorf("reading the %s: %s is empty", what, file)
	}
	return secret.New(s), nil
}

// proof returns what the method proves itself with, read anew.
func (a Auth) proof() (secret.Value, error) {
	switch a.Method {
	case MethodToken:
		return a.Token, nil
	case MethodTokenFile:
		return fromFile("token", secret.Value{}, a.TokenFile)
	case MethodAppRole:
		return fromFile("secret_id", a.SecretID, a.SecretIDFile)
	case MethodKubernetes, MethodJWT:
		return fromFile("JWT", a.JWT, a.JWTFile)
	case MethodUserpass, MethodLDAP:
		return fromFile("password", a.Password, a.PasswordFile)
	}
	return secret.Value{}, nil
}

// fingerprint is a hash: it is compared and never shown. A file that is away for
// a moment is no new credential.
func (l *auth) fingerprint() string {
	a := l.config()
	v, err := a.proof()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		sum := sha256.Sum256([]byte(a.RoleID.Reveal() + "\x00" + a.Username + "\x00" + v.Reveal()))
		l.seen = string(sum[:])
	}
	return l.seen
}

func (l *auth) login(ctx context.Context) (*token, error) {
	a := l.config()
	v, err := a.proof()
	if err != nil {
		return nil, err
	}
	var body map[string]string
	path := "auth/" + a.Mount + "/login"
	switch a.Method {
	case MethodNone:
		return &token{}, nil
	case MethodToken, MethodTokenFile:
		return l.given(v, a.Method == MethodToken)
	case MethodAppRole:
		if a.Wrapped {
			if v, err = l.unwrapped(ctx, a, v); err != nil {
				return nil, err
			}
		}
		body = map[string]string{"role_id": a.RoleID.Reveal(), "secret_id": v.Reveal()}
	case MethodKubernetes, MethodJWT:
		body = map[string]string{"role": a.Role, "jwt": v.Reveal()}
	case MethodCert:
		body = map[string]string{"name": a.Name}
	case MethodUserpass, MethodLDAP:
		path += "/" + a.Username
		body = map[string]string{"password": v.Reveal()}
	}
	return l.post(ctx, a, call{method: http.MethodPost, path: path, namespace: a.Namespace, body: body})
}

// post makes the login and sorts its refusals.
func (l *auth) post(ctx context.Context, a Auth, q call) (*token, error) {
	r, err := l.c.send(ctx, q)
	if err != nil {
		return nil, err
	}
	switch {
	case r.status/100 == 2:
	case r.status/100 == 4 && r.json && r.status != http.StatusTooManyRequests && r.status != http.StatusPreconditionFailed:
		locks := a.Method == MethodAppRole || a.Method == MethodUserpass || a.Method == MethodLDAP
		return nil, &refusedError{fmt.Errorf("logging in at auth/%s: refused with %s", a.Mount, r.described()), locks}
	default:
		return nil, fmt.Errorf("logging in at auth/%s: answered %s", a.Mount, r.described())
	}
	e, err := decodeEnvelope(r)
	if err != nil {
		return nil, fmt.Errorf("logging in at auth/%s: %w", a.Mount, err)
	}
	if e.Auth == nil || e.Auth.ClientToken.Reveal() == "" {
		if e.Auth != nil && kindOf(e.Auth.MFA) == "object" {
			return nil, &refusedError{fmt.Errorf("logging in at auth/%s: Vault asks for a second factor", a.Mount), true}
		}
		return nil, fmt.Errorf("logging in at auth/%s: %w", a.Mount, errBody)
	}
	return &token{
		value: e.Auth.ClientToken.Value, own: true, renewable: e.Auth.Renewable,
		ttl: time.Duration(e.Auth.LeaseDuration) * time.Second,
	}, nil
}

// given takes a token that somebody else made. One that Vault has called dead
// is not offered again until it changes, or the wait for refused credentials is
// over.
func (l *auth) given(v secret.Value, tended bool) (*token, error) {
	if l.wasBad(v) {
		return nil, &refusedError{errors.New("the given token is no longer valid"), true}
	}
	return &token{value: v, tended: tended}, nil
}

// wasBad tells whether a given token is noted as dead, and forgets that: after the
// long wait it is tried once more, as a sealed cluster may have been restored.
func (l *auth) wasBad(v secret.Value) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	bad := l.static[sha256.Sum256([]byte(v.Reveal()))]
	clear(l.static)
	return bad
}

// bad notes a given token as dead.
func (l *auth) bad(v secret.Value) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.static = map[[32]byte]bool{sha256.Sum256([]byte(v.Reveal())): true}
}

func (l *auth) renew(ctx context.Context, t *token) (time.Duration, bool, error) {
	a := l.config()
	q := call{method: http.MethodPost, path: "auth/token/renew-self", namespace: a.Namespace, token: t.value, body: map[string]string{}}
	r, err := l.c.send(ctx, q)
	if err != nil {
		return 0, false, err
	}
	err = failure(q, r)
	switch {
	case err == nil:
	case errors.Is(err, errTokenDead):
		return 0, false, err
	case r.json && (r.status == http.StatusBadRequest || r.status == http.StatusForbidden):
		// "lease is not renewable", or no policy to renew: live it out. No lock:
		// the session's one loop, which calls this, is all that writes it.
		return time.Until(t.ends), false, nil
	default:
		return 0, false, err
	}
	e, err := decodeEnvelope(r)
	if err != nil || e.Auth == nil {
		return 0, false, fmt.Errorf("renewing the token: %w: %w", errBody, store.ErrUnavailable)
	}
	return time.Duration(e.Auth.LeaseDuration) * time.Second, e.Auth.Renewable, nil
}

func (l *auth) lookup(ctx context.Context, t *token) (time.Duration, bool, error) {
	q := call{method: http.MethodGet, path: "auth/token/lookup-self", namespace: l.config().Namespace, token: t.value}
	r, err := l.c.send(ctx, q)
	if err != nil {
		return 0, false, err
	}
	switch err := failure(q, r); {
	case errors.Is(err, errForbidden):
		return 0, false, nil // a token without the default policy may be good and not look at itself
	case err != nil:
		return 0, false, err
	}
	var body struct {
		Data struct {
			TTL       int  `json:"ttl"` // seconds
			Renewable bool `json:"renewable"`
		} `json:"data"`
	}
	if json.Unmarshal(r.body, &body) != nil {
		return 0, false, fmt.Errorf("looking up the token: %w: %w", errBody, store.ErrUnavailable)
	}
	return time.Duration(body.Data.TTL) * time.Second, body.Data.Renewable, nil
}
