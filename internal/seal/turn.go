package seal

// This file holds how a keyset gets a new primary key and loses its old ones.
// The order of the keys in it tells their age: the newest is the last.

import (
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// Keys returns how many keys the keyset has.
func (k *Keyset) Keys() int { return k.handle.Len() }

// staged tells whether the newest key is not the primary one yet.
func (k *Keyset) staged() (bool, error) {
	last, err := k.handle.Entry(k.handle.Len() - 1)
	if err != nil {
		return false, fmt.Errorf("reading the keyset: %w", err)
	}
	return !last.IsPrimary() && last.KeyStatus() == keyset.Enabled, nil
}

// stage returns the keyset with a new key, which opens and does not seal yet.
func (k *Keyset) stage() (*Keyset, error) {
	m := keyset.NewManagerFromHandle(k.handle)
	if _, err := m.Add(aead.XChaCha20Poly1305KeyTemplate()); err != nil {
		return nil, fmt.Errorf("adding a key to the keyset: %w", err)
	}
	return managed(m)
}

// promote returns the keyset with its newest key as the primary one.
func (k *Keyset) promote() (*Keyset, error) {
	last, err := k.handle.Entry(k.handle.Len() - 1)
	if err != nil {
		return nil, fmt.Errorf("reading the keyset: %w", err)
	}
	m := keyset.NewManagerFromHandle(k.handle)
	if err := m.SetPrimary(last.KeyID()); err != nil {
		return nil, fmt.Errorf("making the newest key the primary one: %w", err)
	}
	return managed(m)
}

// renewed returns the keyset with a new primary key.
func (k *Keyset) renewed() (*Keyset, error) {
	staged, err := k.stage()
	if err != nil {
		return nil, err
	}
	return staged.promote()
}

// alone returns a keyset of the primary key only: it opens what needs no other.
func (k *Keyset) alone() (*Keyset, error) {
	m := keyset.NewManagerFromHandle(k.handle)
	for i := range k.handle.Len() {
		e, err := k.handle.Entry(i)
		if err != nil {
			return nil, fmt.Errorf("reading the keyset: %w", err)
		}
		if e.IsPrimary() {
			continue
		}
		if err := m.Delete(e.KeyID()); err != nil {
			return nil, fmt.Errorf("taking an old key out of the keyset: %w", err)
		}
	}
	return managed(m)
}

func managed(m *keyset.Manager) (*Keyset, error) {
	h, err := m.Handle()
	if err != nil {
		return nil, fmt.Errorf("making a keyset: %w", err)
	}
	return newKeyset(h)
}
