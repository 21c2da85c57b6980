// Vault's bodies, decoded no further than needed.

package vault

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// clockSkew is how far Vault's clock may run ahead of ours when it calls a
// version deleted.
const clockSkew = 5 * time.Minute

// errBody says that an answer is not what Vault sends. The decoder's own error
// may quote the body.
var errBody = errors.New("the body is not what Vault sends")

// envelope is what every answer of Vault has round its data.
type envelope struct {
	Data          json.RawMessage `json:"data"`
	LeaseDuration int             `json:"lease_duration"` // seconds
	Auth          *authInfo       `json:"auth"`
}

// authInfo is the answer to a login or renewal.
type authInfo struct {
	ClientToken   secretString    `json:"client_token"`
	LeaseDuration int             `json:"lease_duration"` // seconds
	Renewable     bool            `json:"renewable"`
	MFA           json.RawMessage `json:"mfa_requirement"`
}

// secretString decodes a JSON string into a [secret.Value] at once.
type secretString struct{ secret.Value }

func (s *secretString) UnmarshalJSON(b []byte) error {
	var v string
	if err := json.Unmarshal(b, &v); err != nil {
		return errBody
	}
	s.Value = secret.New(v)
	return nil
}

// versionInfo is KV version 2's metadata of one version.
type versionInfo struct {
	Version      int    `json:"version"`
	CreatedTime  string `json:"created_time"`
	DeletionTime string `json:"deletion_time"`
	Destroyed    bool   `json:"destroyed"`
}

// gone tells whether the version is deleted now; a deletion may also be
// announced for later.
func (v versionInfo) gone() bool {
	if v.Destroyed {
		return true
	}
	at, err := time.Parse(time.RFC3339Nano, v.DeletionTime)
	return err == nil && at.Before(time.Now().Add(clockSkew))
}

// kv2 is the data of an answer of KV version 2.
type kv2 struct {
	Data     json.RawMessage `json:"data"`
	Metadata *versionInfo    `json:"metadata"`
}

func decodeEnvelope(a *answer) (*envelope, error) {
	var e envelope
	if !a.json || json.Unmarshal(a.body, &e) != nil {
		return nil, errBody
	}
	return &e, nil
}

// decodeKV2 reads a document of KV version 2.
func decodeKV2(e *envelope) (*store.Document, error) {
	var k kv2
	if json.Unmarshal(e.Data, &k) != nil || k.Metadata == nil || k.Metadata.Version < 1 {
		return nil, errBody
	}
	fields, err := decodeFields(k.Data)
	if err != nil {
		return nil, err
	}
	doc := &store.Document{Fields: fields, Version: k.Metadata.Version}
	if at, err := time.Parse(time.RFC3339Nano, k.Metadata.CreatedTime); err == nil {
		doc.CreatedAt = at
	}
	return doc, nil
}

// decodePlain reads a document of any other engine. Its lease is a wish.
func decodePlain(e *envelope) (*store.Document, error) {
	fields, err := decodeFields(e.Data)
	if err != nil {
		return nil, err
	}
	return &store.Document{Fields: fields, TTL: time.Duration(e.LeaseDuration) * time.Second}, nil
}

// decodeAny reads a document whose engine is not known: KV version 2 shows
// itself by its metadata.
func decodeAny(e *envelope) (*store.Document, error) {
	var k kv2
	if json.Unmarshal(e.Data, &k) == nil && isObject(k.Data) && k.Metadata != nil && k.Metadata.Version > 0 && k.Metadata.CreatedTime != "" {
		return decodeKV2(e)
	}
	return decodePlain(e)
}

func isObject(raw json.RawMessage) bool { return kindOf(raw) == "object" }

func decodeFields(raw json.RawMessage) (map[string]store.Field, error) {
	if !isObject(raw) {
		return nil, errBody
	}
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return nil, errBody
	}
	fields := make(map[string]store.Field, len(m))
	for name, v := range m {
		f := store.Field{Kind: kindOf(v)}
		if f.Kind == "string" {
			var s secretString
			if err := s.UnmarshalJSON(v); err != nil {
				return nil, err
			}
			f.Value = s.Value
		}
		fields[name] = f
	}
	return fields, nil
}

// kindOf names the JSON kind of raw by its first byte, as [store.Field] does.
func kindOf(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return "null"
	}
	switch raw[0] {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "list"
	case 't', 'f':
		return "bool"
	case 'n':
		return "null"
	}
	return "number"
}

// isEmptyNotFound tells whether the body is exactly how Vault says that a path
// holds nothing: an empty list of errors, and neither data nor warnings.
func isEmptyNotFound(body []byte) bool {
	var m struct {
		Errors   *[]string       `json:"errors"`
		Data     json.RawMessage `json:"data"`
		Warnings []string        `json:"warnings"`
	}
	return json.Unmarshal(body, &m) == nil && m.Errors != nil && len(*m.Errors) == 0 &&
		len(m.Data) == 0 && len(m.Warnings) == 0
}

// isDeleted tells whether the body is that of a deleted or destroyed version.
func isDeleted(body []byte) bool {
	var m struct {
		Data kv2 `json:"data"`
	}
	return json.Unmarshal(body, &m) == nil && m.Data.Metadata != nil && m.Data.Metadata.gone()
}
