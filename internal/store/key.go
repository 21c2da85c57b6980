package store

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// DefaultField is the field a key is read from when none is named.
const DefaultField = "apiKey"

// MaxKeyLength is the longest key in bytes, the bound Nango-compatible clients
// know (API.md: 1 to 8192).
const MaxKeyLength = 8192

// Key returns the usable key in the named field: a string, one trailing line
// end trimmed, neither empty nor with control characters. An empty name means
// [DefaultField], or the only field there is. The error is an [*InvalidError].
func (d *Document) Key(field string) (secret.Value, error) {
	name := field
	if name == "" {
		name = DefaultField
		if _, ok := d.Fields[name]; !ok && len(d.Fields) == 1 {
			for only := range d.Fields {
				name = only
			}
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
