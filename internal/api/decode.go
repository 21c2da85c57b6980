package api

// This file holds how a JSON body becomes a Go value. Everything that is wrong
// with it is found in one pass; nothing of a value gets into a message.

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// decoder decodes one body.
type decoder struct {
	faults *faults
	nulls  *[]string
}

// member is a name in an object, and its value.
type member struct {
	name  string
	value jsontext.Value
}

// members returns what is in an object, in its order. raw is known to be valid.
func members(raw jsontext.Value) []member {
	d := jsontext.NewDecoder(bytes.NewReader(raw))
	var list []member
	_, _ = d.ReadToken() // {
	for d.PeekKind() == '"' {
		name, _ := d.ReadToken()
		m := member{name: name.String()}
		v, err := d.ReadValue()
		if err != nil {
			return list
		}
		m.value = v.Clone()
		list = append(list, m)
	}
	return list
}

// elements returns what is in an array.
func elements(raw jsontext.Value) []jsontext.Value {
	d := jsontext.NewDecoder(bytes.NewReader(raw))
	var list []jsontext.Value
	_, _ = d.ReadToken() // [
	for d.PeekKind() != ']' {
		v, err := d.ReadValue()
		if err != nil {
			return list
		}
		list = append(list, v.Clone())
	}
	return list
}

// object decodes raw, an object, into the struct v.
func (d *decoder) object(raw jsontext.Value, s *shape, v reflect.Value, path []any) {
	var seen []string
	for _, m := range members(raw) {
		at := append(slices.Clip(path), m.name)
		i := slices.IndexFunc(s.body, func(f field) bool { return f.name == m.name })
		if i < 0 {
			d.faults.add(unknownKeys, unknownField(m.name), at...)
			continue
		}
		seen = append(seen, m.name)
		d.field(m.value, &s.body[i], v.FieldByIndex(s.body[i].index), at)
	}
	for _, f := range s.body {
		if f.required && !slices.Contains(seen, f.name) {
			d.faults.add(wrongType, f.label+" is required", append(slices.Clip(path), f.name)...)
		}
	}
}

// field decodes a value into a field, making room for it behind a pointer.
func (d *decoder) field(raw jsontext.Value, f *field, v reflect.Value, path []any) {
	if f.nullable && raw.Kind() == 'n' {
		*d.nulls = append(*d.nulls, f.name)
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(f.typ))
		v = v.Elem()
	}
	switch f.typ {
	case secretType:
		if s, ok := d.text(raw, f, path); ok {
			v.Set(reflect.ValueOf(secret.New(s)))
		}
		return
	case objectType:
		if d.kind(raw, '{', f.label, "an object", path) {
			v.Set(reflect.ValueOf(raw))
		}
		return
	case manyType:
		v.Set(reflect.ValueOf(d.oneOrMany(raw, f, path)))
		return
	case listType:
		v.Set(reflect.ValueOf(d.list(raw, f, path)))
		return
	case textsType:
		v.Set(reflect.ValueOf(d.texts(raw, f, path)))
		return
	}
	switch f.typ.Kind() { //nolint:exhaustive // shapeOf knows no others
	case reflect.String:
		if s, ok := d.text(raw, f, path); ok {
			v.SetString(s)
		}
	case reflect.Bool:
		if raw.Kind() != 't' && raw.Kind() != 'f' {
			d.faults.add(wrongType, f.label+" must be a boolean", path...)
			return
		}
		v.SetBool(raw.Kind() == 't')
	case reflect.Int:
		if n, ok := d.whole(raw, f.label, path); ok {
			v.SetInt(int64(n))
			f.checkNumber(n, d.faults, path)
		}
	case reflect.Slice:
		v.Set(reflect.ValueOf(d.numbers(raw, f, path)))
	case reflect.Struct:
		if d.kind(raw, '{', f.label, "an object", path) {
			d.object(raw, f.inner, v, path)
		}
	}
}

// kind tells whether raw is of a kind of JSON, and reports it if not.
func (d *decoder) kind(raw jsontext.Value, want jsontext.Kind, label, name string, path []any) bool {
	if raw.Kind() == want {
		return true
	}
	d.faults.add(wrongType, label+" must be "+name, path...)
	return false
}

// text returns a string that is as its field wants it.
func (d *decoder) text(raw jsontext.Value, f *field, path []any) (string, bool) {
	if !d.kind(raw, '"', f.label, "a string", path) {
		return "", false
	}
	b, err := jsontext.AppendUnquote(nil, raw)
	if err != nil { // the body was checked whole
		d.faults.add(wrongFormat, f.label+" cannot be read", path...)
		return "", false
	}
	s := string(b)
	f.checkText(s, d.faults, path)
	return s, true
}

// texts returns an object of strings.
func (d *decoder) texts(raw jsontext.Value, f *field, path []any) map[string]string {
	m := make(map[string]string)
	if !d.kind(raw, '{', f.label, "an object", path) {
		return m
	}
	list := members(raw)
	if f.max != nil && len(list) > *f.max {
		d.faults.add(tooBig, fmt.Sprintf("%s must have at most %d entries", f.label, *f.max), path...)
		return m
	}
	for _, e := range list {
		if s, ok := d.text(e.value, &field{label: clipped(e.name)}, append(slices.Clip(path), e.name)); ok {
			m[e.name] = s
		}
	}
	return m
}

// array returns what one reads of the elements of an array.
func array[T any](d *decoder, raw jsontext.Value, f *field, of string, path []any, one func(e jsontext.Value, at []any) (T, bool)) []T {
	if !d.kind(raw, '[', f.label, of, path) {
		return nil
	}
	list := elements(raw)
	f.checkCount(len(list), d.faults, path)
	var out []T
	for i, e := range list {
		if v, ok := one(e, append(slices.Clip(path), i)); ok {
			out = append(out, v)
		}
	}
	return out
}

// list returns an array of strings, none of them empty.
func (d *decoder) list(raw jsontext.Value, f *field, path []any) []string {
	some := &field{label: f.label, min: new(1)} // the bounds of f are the list's
	return array(d, raw, f, "an array of strings", path, func(e jsontext.Value, at []any) (string, bool) { return d.text(e, some, at) })
}

func (d *decoder) oneOrMany(raw jsontext.Value, f *field, path []any) oneOrMany {
	one := &field{label: f.label}
	if raw.Kind() == '"' {
		s, _ := d.text(raw, one, path)
		return oneOrMany{list: []string{s}, alone: true}
	}
	return oneOrMany{list: array(d, raw, f, "a string or an array of strings", path, func(e jsontext.Value, at []any) (string, bool) { return d.text(e, one, at) })}
}

func (d *decoder) numbers(raw jsontext.Value, f *field, path []any) []int {
	return array(d, raw, f, "an array of numbers", path, func(e jsontext.Value, at []any) (int, bool) { return d.whole(e, f.label, at) })
}

func (d *decoder) whole(raw jsontext.Value, label string, path []any) (int, bool) {
	if raw.Kind() == '0' {
		if n, err := strconv.Atoi(string(raw)); err == nil {
			return n, true
		}
	}
	d.faults.add(wrongType, label+" must be a whole number", path...)
	return 0, false
}
