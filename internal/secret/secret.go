// Package secret holds the only type in this module that may carry key bytes.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted is what every way of printing a Value yields.
const redacted = "REDACTED"

// Value holds key material. Every way of printing it yields a fixed string,
// and the pointer keeps fmt from reaching the bytes through a holder's
// unexported field, where fmt cannot call the methods below.
//
// The zero Value holds nothing and reveals the empty string.
type Value struct{ p *string }

// New wraps s.
func New(s string) Value { return Value{p: &s} }

// Reveal returns the key material in clear. Callers place it on a wire and
// nowhere else: not in errors, logs, or exported fields.
func (v Value) Reveal() string {
	if v.p == nil {
		return ""
	}
	return *v.p
}

// IsZero tells whether the value was never set.
func (v Value) IsZero() bool { return v.p == nil }

// Same tells whether v and o are one and the same value in memory. It compares
// identity, not content, and so takes the same time for every content.
func (v Value) Same(o Value) bool { return v.p == o.p }

func (Value) String() string               { return redacted }
func (Value) GoString() string             { return redacted }
func (Value) Format(s fmt.State, _ rune)   { _, _ = io.WriteString(s, redacted) }
func (Value) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (Value) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
