package session

// This file holds how tokens are made, opened and used.

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// Catalog is what sessions need of a [catalog.DB].
type Catalog interface {
	SessionKeys(ctx context.Context) ([]catalog.SessionKey, error)
	AddSessionKey(ctx context.Context, after int64, keep time.Duration) error

	UseSession(ctx context.Context, id string, expires time.Time) error
	SessionUsed(ctx context.Context, id string) (bool, error)
	FreeSession(ctx context.Context, id string) error
}

// Sessions makes and opens tokens. Many, on one node or several, may share
// a catalog.
type Sessions struct {
	catalog Catalog
	now     func() time.Time

	// turn is held by who looks at the keys, also while they are read. A channel
	// and not a mutex, so that who waits behind that still obeys its context.
	turn   chan struct{}
	keys   []key // the newest first
	readAt time.Time

	failures failures
}

// New returns the sessions of a catalog, by a clock. It does no I/O.
func New(c Catalog, now func() time.Time) *Sessions {
	return &Sessions{catalog: c, now: now, turn: make(chan struct{}, 1), failures: failures{of: make(map[string]count)}}
}

var encoding = base64.RawURLEncoding

// Seal gives a session an id and a time to expire, and returns its token.
func (s *Sessions) Seal(ctx context.Context, of *Session) (string, error) {
	k, err := s.sealing(ctx)
	if err != nil {
		return "", err
	}
	of.ID, of.Expires = rand.Text(), s.now().Add(Lifetime).UTC().Truncate(time.Millisecond)
	plain, err := json.Marshal(of)
	if err != nil {
		return "", fmt.Errorf("writing a connect session: %w", err)
	}
	head := binary.BigEndian.AppendUint64(nil, uint64(k.ID))
	nonce := make([]byte, k.aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	token := Prefix + encoding.EncodeToString(k.aead.Seal(append(head, nonce...), nonce, plain, head))
	if len(token) > MaxToken {
		return "", ErrTooLarge
	}
	return token, nil
}

// Open returns what a token permits, whether it was used or not. It is an
// [ErrUnknown], an [ErrExpired], an [ErrBlocked], or an error of the catalog.
func (s *Sessions) Open(ctx context.Context, token string) (*Session, error) {
	text, ok := strings.CutPrefix(token, Prefix)
	if !ok || len(token) > MaxToken {
		return nil, ErrUnknown
	}
	raw, err := encoding.DecodeString(text)
	if err != nil || len(raw) < 8 || encoding.EncodeToString(raw) != text { // of texts for the same bytes, one is the token
		return nil, ErrUnknown // the decoder's error quotes what it was given
	}
	k, err := s.opening(ctx, int64(binary.BigEndian.Uint64(raw)))
	if err != nil {
		return nil, err
	}
	head, sealed := raw[:8], raw[8:]
	if len(sealed) < k.aead.NonceSize() {
		return nil, ErrUnknown
	}
	nonce, sealed := sealed[:k.aead.NonceSize()], sealed[k.aead.NonceSize():]
	plain, err := k.aead.Open(nil, nonce, sealed, head)
	if err != nil {
		return nil, ErrUnknown
	}
	of := new(Session)
	if err := json.Unmarshal(plain, of); err != nil {
		return nil, ErrUnknown // of another version of this program
	}
	if !s.now().Before(of.Expires) {
		return nil, ErrExpired
	}
	if s.failures.blocked(of.ID) {
		return nil, ErrBlocked
	}
	return of, nil
}

// Check is an [ErrUsed] when the session was used.
func (s *Sessions) Check(ctx context.Context, of *Session) error {
	used, err := s.catalog.SessionUsed(ctx, of.ID)
	if err == nil && used {
		err = ErrUsed
	}
	return err
}

// Use enters that the session is used: of all that try, on all nodes, one gets
// no error. The others get an [ErrUsed].
func (s *Sessions) Use(ctx context.Context, of *Session) error {
	err := s.catalog.UseSession(ctx, of.ID, of.Expires)
	if errors.Is(err, catalog.ErrExists) {
		return ErrUsed
	}
	return err
}

// Free gives a used session back to its end user: the key was not entered. It
// is for who has used it, and only then.
func (s *Sessions) Free(ctx context.Context, of *Session) error {
	return s.catalog.FreeSession(ctx, of.ID)
}

// Try begins a try, which [Sessions.Tried] ends. It is an [ErrBlocked] when too
// many have failed, or could with those that are under way: who tries at once is
// let try no more often than who waits for each answer.
func (s *Sessions) Try(of *Session) error {
	if !s.failures.begin(of, s.now()) {
		return ErrBlocked
	}
	return nil
}

// Tried ends a try, and says whether it failed for a reason of the end user's.
func (s *Sessions) Tried(of *Session, failed bool) { s.failures.end(of, failed) }
