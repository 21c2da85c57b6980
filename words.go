package apikeyinject

// This file holds how unknown words are answered: with the nearest known one.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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
// the nearest known one. Its errors hold names and types, never a value.
func decodeStrict(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil {
		return nil
	}
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		return fmt.Errorf("%s: is a JSON %s, must be a %s", typ.Field, typ.Value, typ.Type)
	}
	name, ok := strings.CutPrefix(err.Error(), `json: unknown field "`)
	if !ok {
		return err
	}
	name = strings.TrimSuffix(name, `"`)
	known := jsonNames(reflect.TypeOf(v))
	slices.Sort(known)
	return fmt.Errorf("unknown field %q%s; known are %s", name, didYouMean(name, known), strings.Join(known, ", "))
}

// jsonNames returns the JSON names of the fields of a struct, embedded ones
// included.
func jsonNames(t reflect.Type) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var names []string
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			names = append(names, jsonNames(f.Type)...)
		case f.IsExported() && name != "" && name != "-":
			names = append(names, name)
		}
	}
	return names
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
