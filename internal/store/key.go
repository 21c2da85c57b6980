package store

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// DefaultField is the field a key is read from when none is named.
const DefaultField = "apiKey"

// ExpiresField is the field that says when a key runs out, in RFC 3339. It stands
// beside the key and is never one by default.
const ExpiresField = "expires_at"

// MaxKeyLength is the longest key in bytes, the bound Nango-compatible clients
// know (API.md: 1 to 8192).
const MaxKeyLength = 8192

// Key returns the usable key in the named field: a string, one trailing line
// end trimmed, neither empty nor with control characters. An empty name means
// [DefaultField], or the only field there is beside [ExpiresField]. The error is
// an [*InvalidError].
func (d *Document) Key(field string) (secret.Value, error) {
	name := field
	if name == "" {
		if name = d.DefaultName(); name == "" {
			name = DefaultField
		}
	}
	f, ok := d.Fields[name]
	if !ok {
		return secret.Value{}, &InvalidError{Field: name, Reason: "is missing; the fields there are " + d.names()}
	}
	if f.Kind != "string" {
		return secret.Value{}, &InvalidError{Field: name, Reason: fmt.Sprintf("is of the JSON type %s, must be a string", f.Kind)}
	}
	v, reason := CleanKey(f.Value)
	if reason != "" {
		return secret.Value{}, &InvalidError{Field: name, Reason: reason}
	}
	return v, nil
}

// DefaultName is the field that an empty name means, empty for none.
func (d *Document) DefaultName() string {
	if _, ok := d.Fields[DefaultField]; ok {
		return DefaultField
	}
	only := ""
	for name := range d.Fields {
		switch {
		case name == ExpiresField:
		case only != "":
			return ""
		default:
			only = name
		}
	}
	return only
}

// Expires returns when the key runs out, zero where the document does not say.
// What is there and says nothing is bad.
func (d *Document) Expires() (at time.Time, bad *InvalidError) {
	f, ok := d.Fields[ExpiresField]
	if !ok {
		return time.Time{}, nil
	}
	var err error
	if f.Kind == "string" {
		at, err = time.Parse(time.RFC3339, strings.TrimSpace(f.Value.Reveal()))
	}
	if f.Kind != "string" || err != nil { // whose text would quote the value
		return time.Time{}, &InvalidError{Field: ExpiresField, Reason: "is no RFC 3339 time such as 2027-01-31T00:00:00Z"}
	}
	return at, nil
}

func (d *Document) names() string {
	if len(d.Fields) == 0 {
		return "none"
	}
	names := slices.Sorted(maps.Keys(d.Fields))
	if len(names) > 8 {
		names = append(names[:8], "…")
	}
	return strings.Join(names, ", ")
}

// CleanKey trims one trailing line end off v and says in reason, without any of
// the value, why it cannot be a key. An empty reason means it can.
func CleanKey(v secret.Value) (clean secret.Value, reason string) {
	s := v.Reveal()
	t := strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
	if len(t) == len(s)-1 && strings.HasSuffix(s, "\r") { // a lone \r is no line end
		t = s
	}
	if t == "" {
		return secret.Value{}, "is empty"
	}
	if len(t) > MaxKeyLength {
		return secret.Value{}, fmt.Sprintf("is %d bytes long, at most %d are allowed", len(t), MaxKeyLength)
	}
	if !utf8.ValidString(t) {
		return secret.Value{}, "is not valid UTF-8"
	}
	for i := range len(t) {
		if t[i] < 0x20 || t[i] == 0x7f {
			return secret.Value{}, fmt.Sprintf("has a control character at byte %d", i)
		}
	}
	if len(t) == len(s) {
		return v, ""
	}
	return secret.New(t), ""
}
