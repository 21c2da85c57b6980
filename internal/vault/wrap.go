// A secret_id that comes in a response-wrapping token.

package vault

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// unwrapped returns the secret_id inside wrapping. It opens a wrapping token
// once and keeps what it held, for logging in again later; a new one is opened
// when the file changes.
func (l *auth) unwrapped(ctx context.Context, a Auth, wrapping secret.Value) (secret.Value, error) {
	sum := sha256.Sum256([]byte(wrapping.Reveal()))
	l.mu.Lock()
	known, opened := l.unwrap == sum, l.opened
	l.mu.Unlock()
	if known {
		return opened, nil
	}
	// Somebody may have opened it and wrapped a secret_id of his own: Vault
	// tells where a wrapping token was made, and that cannot be forged.
	data, err := l.wrapping(ctx, call{
		method: http.MethodPost, path: "sys/wrapping/lookup", namespace: a.Namespace,
		body: map[string]string{"token": wrapping.Reveal()},
	})
	if err != nil {
		return secret.Value{}, err
	}
	if !madeFor(a, data.CreationPath) {
		return secret.Value{}, &refusedError{errors.New("unwrapping the secret_id: the wrapping token was not made for a secret_id of this role"), true}
	}
	data, err = l.wrapping(ctx, call{
		method: http.MethodPost, path: "sys/wrapping/unwrap", namespace: a.Namespace, token: wrapping,
	})
	if err != nil {
		return secret.Value{}, err
	}
	if data.SecretID.Reveal() == "" {
		return secret.Value{}, &refusedError{errors.New("unwrapping the secret_id: it holds none"), true}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unwrap, l.opened = sum, data.SecretID.Value
	return l.opened, nil
}

// madeFor tells whether a wrapping token made at path holds a secret_id of the
// role, or of any role of the mount when none is named.
func madeFor(a Auth, path string) bool {
	rest, ok := strings.CutPrefix(path, "auth/"+a.Mount+"/role/")
	if !ok {
		return false
	}
	role, ok := strings.CutSuffix(rest, "/secret-id")
	return ok && !strings.Contains(role, "/") && (a.Role == "" || a.Role == role)
}

type wrappingData struct {
	CreationPath string       `json:"creation_path"`
	SecretID     secretString `json:"secret_id"`
}

func (l *auth) wrapping(ctx context.Context, q call) (*wrappingData, error) {
	r, err := l.c.send(ctx, q)
	if err != nil {
		return nil, err
	}
	if r.status/100 == 4 && r.json {
		return nil, &refusedError{fmt.Errorf("unwrapping the secret_id: refused with %s", r.described()), true}
	}
	if r.status/100 != 2 {
		return nil, fmt.Errorf("unwrapping the secret_id: answered %s", r.described())
	}
	e, err := decodeEnvelope(r)
	if err != nil {
		return nil, fmt.Errorf("unwrapping the secret_id: %w", err)
	}
	var d wrappingData
	if json.Unmarshal(e.Data, &d) != nil {
		return nil, fmt.Errorf("unwrapping the secret_id: %w", errBody)
	}
	return &d, nil
}
