package api

// This file holds the checks that a field's tags ask for, and their messages.

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// checkText reports a text that is not as the field wants it.
func (f *field) checkText(s string, fs *faults, path []any) {
	n := utf8.RuneCountInString(s)
	wrong := func(code, message string) {
		if f.message != "" {
			message = f.message
		}
		fs.add(code, message, path...)
	}
	switch {
	case f.typ != nil && f.typ.Kind() == reflect.String && !storable(s): // keys and entries are checked for more
		wrong(wrongFormat, f.label+" has an invalid format")
	case f.min != nil && n < *f.min && n == 0:
		wrong(tooSmall, f.label+" is required")
	case f.min != nil && n < *f.min:
		wrong(tooSmall, fmt.Sprintf("%s must have at least %d characters", f.label, *f.min))
	case f.max != nil && n > *f.max:
		wrong(tooBig, fmt.Sprintf("%s must have at most %d characters", f.label, *f.max))
	case f.pattern != nil && !f.pattern.MatchString(s):
		wrong(wrongFormat, f.label+" has an invalid format")
	case f.enum != nil && !slices.Contains(f.enum, s):
		wrong(wrongValue, f.label+" must be one of: "+f.choices())
	}
}

// storable tells whether the catalog can hold a text, or look for it. PostgreSQL
// takes no other, and its refusal would look like a catalog that is away.
func storable(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// choices names what is allowed. Empty text is allowed silently: it clears.
func (f *field) choices() string {
	var b []byte
	for _, e := range f.enum {
		if e == "" {
			continue
		}
		if len(b) > 0 {
			b = append(b, ", "...)
		}
		b = append(b, e...)
	}
	return string(b)
}

func (f *field) checkNumber(n int, fs *faults, path []any) {
	switch {
	case f.min != nil && n < *f.min:
		fs.add(tooSmall, fmt.Sprintf("%s must be at least %d", f.label, *f.min), path...)
	case f.max != nil && n > *f.max:
		fs.add(tooBig, fmt.Sprintf("%s must be at most %d", f.label, *f.max), path...)
	}
}

func (f *field) checkCount(n int, fs *faults, path []any) {
	switch {
	case f.min != nil && n < *f.min:
		fs.add(tooSmall, fmt.Sprintf("%s must have at least %d elements", f.label, *f.min), path...)
	case f.max != nil && n > *f.max:
		fs.add(tooBig, fmt.Sprintf("%s must have at most %d elements", f.label, *f.max), path...)
	}
}
