package apikeyinject

// This file holds how unknown words are answered: with the nearest known one.

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// didYouMean names the known words nearest to word, or nothing when none is
// near: `, did you mean "placement"?`.
func didYouMean(word string, known []string) string {
	// A third of the letters may be wrong, and always two, as in a swap.
	best, limit := "", max(2, len(word)/3)
	for _, k := range known {
		d := levenshtein.ComputeDistance(strings.ToLower(word), strings.ToLower(k))
		if d <= limit {
			best, limit = k, d-1
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %q?", best)
}

// decodeStrict decodes a JSON object into v and refuses unknown fields with
// the nearest known one. Its errors hold paths, names and types, never a value.
func decodeStrict(data []byte, v any) error { return decodeStrictAt("", data, v) }

// decodeStrictAt is decodeStrict for an object that stands at a path, which
// ends in a dot.
func decodeStrictAt(path string, data []byte, v any) error {
	if err := checkFields(path, data, reflect.TypeOf(v)); err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// checkFields walks data along the type that it is to be decoded into.
func checkFields(path string, data []byte, t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	own := reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())
	if t.Kind() != reflect.Struct || own && path != "" {
		return checkValue(path, data, t)
	}
	var in map[string]json.RawMessage
	if err := json.Unmarshal(data, &in); err != nil {
		return checkValue(path, data, reflect.TypeFor[map[string]json.RawMessage]())
	}
	fields := jsonFields(t)
	for _, name := range slices.Sorted(maps.Keys(in)) {
		field, ok := fields[name]
		if !ok {
			known := slices.Sorted(maps.Keys(fields))
			return fmt.Errorf("%sunknown field %q%s; known are %s", within(path), name, didYouMean(name, known), strings.Join(known, ", "))
		}
		if err := checkFields(path+name+".", in[name], field); err != nil {
			return err
		}
	}
	return nil
}

// checkValue tries whether a value that is no struct has the right type.
func checkValue(path string, data []byte, t reflect.Type) error {
	err := json.Unmarshal(data, reflect.New(t).Interface())
	if typ, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		kind, _, _ := strings.Cut(typ.Value, " ") // of a number it holds the digits
		return fmt.Errorf("%sis a JSON %s, must be %s", within(path), kind, jsonKind(typ.Type))
	}
	if err != nil {
		return fmt.Errorf("%s%w", within(path), err)
	}
	return nil
}

func within(path string) string {
	if path == "" {
		return ""
	}
	return strings.TrimSuffix(path, ".") + ": "
}

// jsonKind says what a type is called in JSON.
func jsonKind(t reflect.Type) string {
	switch t.Kind() { //nolint:exhaustive // the kinds our options have
	case reflect.Bool:
		return "a boolean"
	case reflect.Slice:
		return "an array"
	case reflect.Struct, reflect.Map, reflect.Pointer:
		return "an object"
	case reflect.String:
		return "a string"
	}
	return "a number"
}

// jsonFields returns the fields of a struct by their JSON names, embedded ones
// included.
func jsonFields(t reflect.Type) map[string]reflect.Type {
	fields := make(map[string]reflect.Type)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			inner := jsonFields(f.Type)
			maps.DeleteFunc(inner, func(n string, _ reflect.Type) bool { _, ok := fields[n]; return ok })
			maps.Copy(fields, inner)
		case f.IsExported() && name != "" && name != "-":
			fields[name] = f.Type
		}
	}
	return fields
}

// sortedTrue returns the keys that are set.
func sortedTrue(set map[string]bool) []string {
	var names []string
	for name, isSet := range set {
		if isSet {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
