package seal

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// maxDocument bounds the fields of one document together, in bytes: eight of
// the longest keys.
const maxDocument = 8 * store.MaxKeyLength

// maxAddress bounds each part of an address, in bytes. It leaves room for an
// integration and a connection of 255 bytes each and their prefix.
const maxAddress = 1024

// normal returns the address as rows are found by: without what it ignores. An
// address that no row can have is an [store.ErrMisconfigured].
func normal(a store.Address) (store.Address, error) {
	if strings.HasPrefix(a.Path, "/") {
		a.Mount = "" // as store.Address has it
	}
	if a.Path == "" {
		return a, fmt.Errorf("addressing a key: the path is empty: %w", store.ErrMisconfigured)
	}
	for _, part := range []string{a.Namespace, a.Mount, a.Path} {
		if len(part) > maxAddress {
			return a, fmt.Errorf("addressing a key: a part of %d bytes, at most %d are allowed: %w", len(part), maxAddress, store.ErrMisconfigured)
		}
		// Not every database takes other text, and none may change it.
		if !utf8.ValidString(part) || strings.ContainsRune(part, 0) {
			return a, fmt.Errorf("addressing a key: %q is not text: %w", part, store.ErrMisconfigured)
		}
	}
	return a, nil
}

// Purposes keep apart what is sealed for what: the same bytes sealed for one
// never open for another.
const (
	purposeKey   = "apikey_inject sealed key 1"
	purposeCheck = "apikey_inject keyset check 1"
)

// place is the associated data of a version of a document. Each part goes with
// its length, so that no two places share their bytes; with the version, an
// older row cannot be passed off as the newest by its number.
func place(a store.Address, version int) []byte {
	ad := []byte(purposeKey)
	for _, part := range []string{a.Namespace, a.Mount, a.Path} {
		ad = binary.AppendUvarint(ad, uint64(len(part)))
		ad = append(ad, part...)
	}
	return binary.AppendUvarint(ad, uint64(version)) //nolint:gosec // versions are positive
}

// encode puts fields into the form that is sealed. Values are bytes there: as
// JSON strings, those that are no UTF-8 would come back changed.
func encode(fields map[string]secret.Value) ([]byte, error) {
	if len(fields) == 0 {
		return nil, &store.InvalidError{Reason: "the document has no fields"}
	}
	size := 0
	raw := make(map[string][]byte, len(fields))
	for name, v := range fields {
		if name == "" || !utf8.ValidString(name) {
			return nil, &store.InvalidError{Reason: "the document has a field whose name is empty or not text"}
		}
		if v.IsZero() {
			return nil, &store.InvalidError{Field: name, Reason: "has no value"}
		}
		raw[name] = []byte(v.Reveal())
		size += len(name) + len(raw[name])
	}
	if size > maxDocument {
		return nil, &store.InvalidError{Reason: fmt.Sprintf("the document is %d bytes long, at most %d are allowed", size, maxDocument)}
	}
	return json.Marshal(raw)
}

// decode is the reverse of encode. Its error quotes nothing of plain.
func decode(plain []byte) (map[string]store.Field, error) {
	var raw map[string][]byte
	if err := json.Unmarshal(plain, &raw); err != nil {
		return nil, errors.New("its content is not a document of ours")
	}
	fields := make(map[string]store.Field, len(raw))
	for name, v := range raw {
		fields[name] = store.Field{Kind: "string", Value: secret.New(string(v))}
	}
	return fields, nil
}
