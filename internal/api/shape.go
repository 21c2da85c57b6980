package api

// This file holds what the tags of an input type say, which is what a request
// must be like. The OpenAPI document is made of the same tags.

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// shape is a type that goes in.
type shape struct {
	path, query, body []field
}

// field is one field of it.
type field struct {
	name  string
	index []int
	typ   reflect.Type // pointers taken off
	inner *shape       // of a struct

	label    string // what messages call it; tag label, default: its name
	message  string // instead of the message for a wrong value; tag message
	required bool
	nullable bool
	min, max *int // length of text, number of elements, or size of a number
	pattern  *regexp.Regexp
	enum     []string
}

// hasBody tells whether the type has fields that a body fills.
func (s *shape) hasBody() bool { return len(s.body) > 0 }

// shapeOf reads a type's tags. A type it cannot use is a mistake in this
// package and panics, as regexp.MustCompile does.
func shapeOf(t reflect.Type) *shape {
	s := &shape{}
	for _, sf := range reflect.VisibleFields(t) {
		if sf.Anonymous || !sf.IsExported() {
			continue
		}
		for tag, list := range map[string]*[]field{"path": &s.path, "query": &s.query, "json": &s.body} {
			name, _, _ := strings.Cut(sf.Tag.Get(tag), ",")
			if name != "" && name != "-" {
				*list = append(*list, fieldOf(name, sf))
			}
		}
	}
	return s
}

func fieldOf(name string, sf reflect.StructField) field {
	f := field{
		name: name, index: sf.Index, typ: sf.Type, label: sf.Tag.Get("label"), message: sf.Tag.Get("message"),
		required: sf.Tag.Get("required") == "true", nullable: sf.Tag.Get("nullable") == "true",
	}
	if f.typ.Kind() == reflect.Pointer {
		f.typ = f.typ.Elem()
	}
	if f.label == "" {
		f.label = name
	}
	f.min = number(sf.Tag, "minLength", "minItems", "minimum")
	f.max = number(sf.Tag, "maxLength", "maxItems", "maximum", "maxProperties")
	if p := sf.Tag.Get("pattern"); p != "" {
		f.pattern = regexp.MustCompile(p)
	}
	if e, ok := sf.Tag.Lookup("enum"); ok {
		f.enum = strings.Split(e, ",")
	}
	if f.typ.Kind() == reflect.Struct && f.typ != secretType && f.typ != manyType {
		f.inner = shapeOf(f.typ)
	}
	if !slices.Contains(known, f.typ) && f.inner == nil {
		panic(fmt.Sprintf("api: field %s has a type that is not decoded: %s", sf.Name, f.typ))
	}
	return f
}

func number(tag reflect.StructTag, names ...string) *int {
	for _, name := range names {
		if s, ok := tag.Lookup(name); ok {
			n, err := strconv.Atoi(s)
			if err != nil {
				panic(fmt.Sprintf("api: tag %s: %v", name, err))
			}
			return &n
		}
	}
	return nil
}

// oneOrMany is a field that is a text or a list of texts. It is written as it
// was read.
type oneOrMany struct {
	list  []string
	alone bool
}

// MarshalJSON writes the text, or the list.
func (o oneOrMany) MarshalJSON() ([]byte, error) {
	if o.alone {
		return json.Marshal(o.list[0])
	}
	return json.Marshal(o.list)
}

var (
	secretType = reflect.TypeFor[secret.Value]()
	objectType = reflect.TypeFor[jsontext.Value]() // a JSON object, kept byte for byte
	manyType   = reflect.TypeFor[oneOrMany]()
	textsType  = reflect.TypeFor[map[string]string]()
	listType   = reflect.TypeFor[[]string]()

	known = []reflect.Type{
		secretType, objectType, manyType, textsType, listType,
		reflect.TypeFor[string](), reflect.TypeFor[bool](), reflect.TypeFor[int](), reflect.TypeFor[[]int](),
	}
)
