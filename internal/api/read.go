package api

// This file holds how a request is read: its path, its query, its body.

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// maxBody is the largest body, in bytes.
const maxBody = 1 << 20

// read fills in, a pointer to a struct of shape s, from the request.
func (c *call) read(s *shape, in any) error {
	v := reflect.ValueOf(in).Elem()
	for _, f := range s.path {
		if !storable(c.args[f.name]) {
			return refuse(http.StatusBadRequest, "invalid_uri_params", "The %s in the path is ill-formed", f.label)
		}
		v.FieldByIndex(f.index).SetString(c.args[f.name])
	}
	if err := c.readQuery(s, v); err != nil {
		return err
	}
	if !s.hasBody() {
		return nil
	}
	if err := c.readBody(s, v); err != nil {
		return err
	}
	if checked, ok := in.(interface{ check(*faults) }); ok {
		checked.check(&c.faults)
	}
	if _, ok := in.(late); ok {
		return nil
	}
	return c.faults.body()
}

// readQuery fills in the query's fields, and refuses what it does not know.
func (c *call) readQuery(s *shape, v reflect.Value) error {
	var fs faults
	values, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		fs.add(wrongFormat, "The query cannot be read")
		return fs.query()
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		f, entry := findQuery(s.query, name)
		switch {
		case f == nil:
			fs.add(unknownKeys, "Unknown query parameter "+clipped(name), name)
		case len(values[name]) > 1:
			fs.add(wrongValue, clipped(name)+" is given more than once", name)
		default:
			setQuery(f, entry, values[name][0], v.FieldByIndex(f.index), &fs)
		}
	}
	for _, f := range s.query {
		if f.required && !values.Has(f.name) {
			fs.add(wrongType, f.label+" is required", f.name)
		}
	}
	return fs.query()
}

// findQuery returns the field of a parameter and, for `tags[k]`, its entry.
func findQuery(fields []field, name string) (f *field, entry string) {
	for i := range fields {
		if fields[i].typ != textsType {
			if fields[i].name == name {
				return &fields[i], ""
			}
			continue
		}
		rest, ok := strings.CutPrefix(name, fields[i].name+"[")
		if entry, closed := strings.CutSuffix(rest, "]"); ok && closed && entry != "" {
			return &fields[i], entry
		}
	}
	return nil, ""
}

func setQuery(f *field, entry, s string, v reflect.Value, fs *faults) {
	if f.typ == textsType {
		one := &field{label: f.name + "[" + clipped(entry) + "]", typ: textsType.Elem()}
		one.checkText(entry, fs, []any{f.name})
		one.checkText(s, fs, []any{f.name})
		if v.IsNil() {
			v.Set(reflect.MakeMap(textsType))
		}
		if f.max != nil && v.Len() == *f.max {
			fs.add(tooBig, fmt.Sprintf("%s must have at most %d entries", f.label, *f.max), f.name)
			return
		}
		v.SetMapIndex(reflect.ValueOf(entry), reflect.ValueOf(s))
		return
	}
	switch f.typ.Kind() { //nolint:exhaustive // queries have no others
	case reflect.String:
		f.checkText(s, fs, []any{f.name})
		v.SetString(s)
	case reflect.Bool:
		if s != "true" && s != "false" {
			fs.add(wrongType, f.label+" must be true or false", f.name)
		}
		v.SetBool(s == "true")
	case reflect.Int:
		n, err := strconv.Atoi(s)
		if err != nil {
			fs.add(wrongType, f.label+" must be a whole number", f.name)
			return
		}
		f.checkNumber(n, fs, []any{f.name})
		v.SetInt(int64(n))
	}
}

// readBody fills in the body's fields. What is wrong with them goes into the
// call's faults; an error is a body that is not JSON at all.
func (c *call) readBody(s *shape, v reflect.Value) error {
	if t, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return refuse(http.StatusUnsupportedMediaType, "invalid_content_type", "The body must be JSON, with the header Content-Type: application/json")
	}
	b, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return refuse(http.StatusRequestEntityTooLarge, "request_too_large", "The body is larger than %d bytes", maxBody)
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "invalid_json", "The body ended early")
	}
	raw := jsontext.Value(b)
	if err := checkJSON(raw); err != nil {
		return err
	}
	d := &decoder{faults: &c.faults, nulls: &c.nulls}
	if !d.kind(raw, '{', "The body", "an object", nil) {
		return c.faults.body()
	}
	d.object(raw, s, v, nil)
	return nil
}

// checkJSON refuses what two readers could read as two things: duplicate names,
// text that is no UTF-8, and of course what is no JSON. Its messages hold at
// most a name.
func checkJSON(raw jsontext.Value) error {
	d := jsontext.NewDecoder(strings.NewReader(string(raw)))
	_, err := d.ReadValue()
	if err == nil {
		if _, err = d.ReadToken(); err == io.EOF {
			return nil
		}
		return refuse(http.StatusBadRequest, "invalid_json", "The body holds more than one JSON value")
	}
	bad, ok := errors.AsType[*jsontext.SyntacticError](err)
	if ok && errors.Is(err, jsontext.ErrDuplicateName) {
		return refuse(http.StatusBadRequest, "invalid_json", "The body has a field twice: %s", clipped(string(bad.JSONPointer)))
	}
	if ok {
		return refuse(http.StatusBadRequest, "invalid_json", "The body is no valid JSON, at byte %d", bad.ByteOffset)
	}
	return refuse(http.StatusBadRequest, "invalid_json", "The body is no valid JSON: it ends early")
}
