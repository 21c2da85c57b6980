// Package seal keeps keys sealed in a SQL database: authenticated encryption
// with the address of each key as associated data, so that a row opens nowhere
// but where it was written.
package seal

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// errNotKeyset stands for every fault of a keyset's text. The parser's own
// error quotes what it could not read, and that may be key material.
var errNotKeyset = errors.New("not a Tink keyset for AEAD, in JSON and in clear")

// errDoesNotOpen is all that can be known: authenticated encryption does not
// tell a wrong key from altered bytes.
var errDoesNotOpen = errors.New("does not open: altered, copied from another address, or sealed with another keyset")

// Keyset seals with its primary key and opens with any of its keys: that is
// how a new primary key comes in while older rows are still there. It prints
// as a fixed string.
type Keyset struct {
	handle *keyset.Handle
	aead   tink.AEAD
}

// Generate makes a keyset of one new key. XChaCha20-Poly1305: its 192-bit
// nonces, drawn at random, put no bound on how many times a key may seal.
func Generate() (*Keyset, error) {
	h, err := keyset.NewHandle(aead.XChaCha20Poly1305KeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("making a keyset: %w", err)
	}
	return newKeyset(h)
}

// Parse reads a keyset in Tink's JSON form, in clear. No error of it quotes
// the text.
func Parse(text secret.Value) (*Keyset, error) {
	h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader([]byte(text.Reveal()))))
	if err != nil {
		return nil, errNotKeyset
	}
	return newKeyset(h)
}

func newKeyset(h *keyset.Handle) (*Keyset, error) {
	a, err := aead.New(h)
	if err != nil {
		return nil, errNotKeyset // it is one for signing, say
	}
	return &Keyset{handle: h, aead: a}, nil
}

// Text returns the keyset in Tink's JSON form, in clear, as [Parse] reads it.
func (k *Keyset) Text() (secret.Value, error) {
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(k.handle, keyset.NewJSONWriter(&b)); err != nil {
		return secret.Value{}, fmt.Errorf("writing a keyset: %w", err)
	}
	return secret.New(b.String()), nil
}

// equal tells whether two keysets are the same keys in the same order.
func (k *Keyset) equal(other *Keyset) (bool, error) {
	mine, err := k.Text()
	if err != nil {
		return false, err
	}
	theirs, err := other.Text()
	return subtle.ConstantTimeCompare([]byte(mine.Reveal()), []byte(theirs.Reveal())) == 1, err
}

// seal encrypts plain for the place that ad names.
func (k *Keyset) seal(plain, ad []byte) ([]byte, error) {
	sealed, err := k.aead.Encrypt(plain, ad)
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	return sealed, nil
}

// open decrypts what was sealed for the place that ad names.
func (k *Keyset) open(sealed, ad []byte) ([]byte, error) {
	plain, err := k.aead.Decrypt(sealed, ad)
	if err != nil {
		return nil, errDoesNotOpen
	}
	return plain, nil
}

const redacted = "REDACTED"

// String, and what else prints a Keyset, yields a fixed string.
func (*Keyset) String() string               { return redacted }
func (*Keyset) Format(s fmt.State, _ rune)   { _, _ = io.WriteString(s, redacted) }
func (*Keyset) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (*Keyset) MarshalText() ([]byte, error) { return []byte(redacted), nil }
