package session

// This file holds the keys that seal tokens, as this node knows them.

import (
	"context"
	"crypto/cipher"
	"fmt"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

const (
	// rotation is how old a key becomes before another takes its place.
	rotation = 24 * time.Hour

	// recheck is how old what this node knows of the keys may become. Another
	// node's new key is found at once, by its first token.
	recheck = time.Minute

	// hurry parts two looks for keys that are not known, so that made-up tokens
	// do not become load of the catalog.
	hurry = time.Second
)

// key is one key, ready to be used.
type key struct {
	catalog.SessionKey

	aead cipher.AEAD
}

// sealing returns the newest key, which it makes when there is none or it is
// too old.
func (s *Sessions) sealing(ctx context.Context) (key, error) {
	if err := s.take(ctx); err != nil {
		return key{}, err
	}
	defer s.give()
	if err := s.refresh(ctx, recheck); err != nil {
		return key{}, err
	}
	var newest int64
	if len(s.keys) > 0 {
		if s.now().Sub(s.keys[0].MadeAt) < rotation {
			return s.keys[0], nil
		}
		newest = s.keys[0].ID
	}
	if err := s.catalog.AddSessionKey(ctx, newest, Lifetime); err != nil {
		return key{}, err
	}
	if err := s.read(ctx); err != nil {
		return key{}, err
	}
	if len(s.keys) == 0 {
		return key{}, fmt.Errorf("making a key of sessions: %w", catalog.ErrNotFound)
	}
	return s.keys[0], nil
}

// opening returns the key of an id. Once another has taken its place it is good
// for as long as a token is: who comes upon an old key cannot make new tokens
// with it.
func (s *Sessions) opening(ctx context.Context, id int64) (key, error) {
	if err := s.take(ctx); err != nil {
		return key{}, err
	}
	defer s.give()
	if err := s.refresh(ctx, recheck); err != nil {
		return key{}, err
	}
	k, ok := s.find(id)
	if !ok {
		if err := s.refresh(ctx, hurry); err != nil {
			return key{}, err
		}
		k, ok = s.find(id)
	}
	if !ok {
		return key{}, ErrUnknown
	}
	return k, nil
}

// take waits for the turn, which give ends.
func (s *Sessions) take(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the keys of sessions: %w", ctx.Err())
	}
}

func (s *Sessions) give() { <-s.turn }

func (s *Sessions) find(id int64) (key, bool) {
	for n, k := range s.keys {
		if k.ID == id {
			return k, n == 0 || s.now().Sub(s.keys[n-1].MadeAt) <= Lifetime
		}
	}
	return key{}, false
}

// refresh reads the keys, unless that was done less than age ago.
func (s *Sessions) refresh(ctx context.Context, age time.Duration) error {
	if !s.readAt.IsZero() && s.now().Sub(s.readAt) < age {
		return nil
	}
	return s.read(ctx)
}

func (s *Sessions) read(ctx context.Context) error {
	rows, err := s.catalog.SessionKeys(ctx)
	if err != nil {
		return err
	}
	keys := make([]key, 0, len(rows))
	for _, row := range rows {
		a, err := chacha20poly1305.NewX([]byte(row.Key.Reveal()))
		if err != nil {
			return fmt.Errorf("reading a key of sessions: %w", err) // of another length, which the catalog forbids
		}
		keys = append(keys, key{row, a})
	}
	s.keys, s.readAt = keys, s.now()
	return nil
}
