// This file holds what is shown of a key in its place.

package custody

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// fingerprintLength is how much of the hash is kept, in bytes: two different
// keys do not meet by chance, and it stays short enough to be compared by eye.
const fingerprintLength = 16

// fingerprint tells keys apart without showing them: an HMAC-SHA256, in hex,
// with a random key that only the catalog has.
//
// Who sees fingerprints, in answers of the API or in a log, cannot try guesses
// of a key on them, as with a plain hash, nor compare them with those of
// another catalog. It does show that two connections have the same key. And it
// protects nothing from who can read the catalog's database: there is the key
// of the hash beside it, so short or predictable keys can be guessed; what
// providers make at random, 128 bits or more, cannot.
func (c *Custody) fingerprint(ctx context.Context, key secret.Value) (string, error) {
	hash := c.hash.Load()
	if hash == nil {
		read, err := c.cfg.Catalog.FingerprintKey(ctx)
		if err != nil {
			return "", err
		}
		hash = &read
		c.hash.Store(hash)
	}
	mac := hmac.New(sha256.New, []byte(hash.Reveal()))
	mac.Write([]byte(key.Reveal()))
	return hex.EncodeToString(mac.Sum(nil)[:fingerprintLength]), nil
}
