package store

import (
	"errors"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

func TestValuesThatAreKeys(t *testing.T) {
	for sent, want := range map[string]string{
		"K": "K", "K\n": "K", "K\r\n": "K", " K ": " K ", "${apiKey}": "${apiKey}", "é": "é", strings.Repeat("k", MaxKeyLength): strings.Repeat("k", MaxKeyLength),
	} {
		if got, reason := CleanKey(secret.New(sent)); got.Reveal() != want || reason != "" {
			t.Errorf("%.20q: got %.20q, %q", sent, got.Reveal(), reason)
		}
	}
	for _, sent := range []string{
		"", "\n", "\r\n", "K\r", "K\n\n", "a\nb", "a\tb", "a\x00b", "a\x7f", "\xff", strings.Repeat("k", MaxKeyLength+1),
	} {
		got, reason := CleanKey(secret.New(sent))
		if reason == "" || !got.IsZero() {
			t.Errorf("%.20q is accepted", sent)
		}
		if len(sent) > 2 && strings.Contains(reason, sent) {
			t.Errorf("the reason holds the value: %q", reason)
		}
	}
}

func TestTheFieldThatHoldsTheKey(t *testing.T) {
	text := func(s string) Field { return Field{Kind: "string", Value: secret.New(s)} }
	for name, tc := range map[string]struct {
		fields map[string]Field
		field  string
		want   string // empty: refused
	}{
		"the default":        {map[string]Field{"apiKey": text("K"), "b": text("B")}, "", "K"},
		"the only one":       {map[string]Field{"token": text("K")}, "", "K"},
		"one of several":     {map[string]Field{"a": text("A"), "b": text("B")}, "", ""},
		"the named":          {map[string]Field{"apiKey": text("K"), "b": text("B")}, "b", "B"},
		"a named one absent": {map[string]Field{"apiKey": text("K")}, "b", ""},
		"no field":           {nil, "", ""},
		"a number":           {map[string]Field{"apiKey": {Kind: "number"}}, "", ""},
		"null":               {map[string]Field{"apiKey": {Kind: "null"}}, "", ""},
		"an object":          {map[string]Field{"apiKey": {Kind: "object"}}, "", ""},
		"a list":             {map[string]Field{"apiKey": {Kind: "list"}}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := (&Document{Fields: tc.fields}).Key(tc.field)
			var invalid *InvalidError
			if tc.want == "" && (!errors.As(err, &invalid) || invalid.Field == "") {
				t.Errorf("got %v, want an error that names the field", err)
			}
			if got.Reveal() != tc.want {
				t.Errorf("got %q, want %q", got.Reveal(), tc.want)
			}
		})
	}
}

func TestAnIDNeverBecomesAnotherPath(t *testing.T) {
	for _, id := range []string{"", ".", "..", "a/b", "../x", "%2e%2e", "%2E", "a%2fb", "%252e%252e", "a\nb", "a\u0085", "\xff", "%00", strings.Repeat("x", MaxSegment+1)} {
		if CheckSegment(id) == nil {
			t.Errorf("%.20q is accepted", id)
		}
	}
	for _, id := range []string{"Cust-1", "cust-1", "a b", "a_b", "a..b", "ab", "é", "e\u0301", "100%", "...", "user@example.com"} {
		if err := CheckSegment(id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
}
