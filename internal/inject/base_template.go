package inject

import (
	"fmt"
	"slices"
	"strings"
)

// basePlaces is what every error about a placeholder in a base URL offers.
const basePlaces = "${connectionConfig.NAME} may be a whole label of the host, its last labels, the whole host, the port, " +
	"a whole segment of the path, or the beginning of the URL up to its path"

// BaseTemplate is a base URL that may hold `${connectionConfig.NAME}`, so that
// each connection has its own. Where a value may stand decides what it may be:
// it fills its place and never reaches into the next. See [ParseBaseTemplate].
type BaseTemplate struct {
	src        string
	fields     []string
	candidates []candidate
}

// candidate is one of the URLs parted by `||`.
type candidate struct {
	fields []string
	origin string

	// One of three says where it is: base, when no placeholder stands before the
	// path; whole, a field whose value is a base URL; or scheme, host and port.
	base   *Base
	whole  string
	scheme string
	host   []place // label by label
	port   place   // zero for the scheme's own

	path []place // segment by segment
}

// place is a literal, normalised and escaped, or a field and what its value has
// to be.
type place struct {
	literal string
	field   string
	check   func(value string) (reason string)
}

func (p place) String() string {
	if p.field == "" {
		return p.literal
	}
	return "${" + configPrefix + p.field + "}"
}

// ParseBaseTemplate parses a base URL by the rules of [ParseBase], in which
// `${connectionConfig.NAME}` may stand for a label of the host, its last
// labels, the whole host, the port, a segment of the path, or the beginning of
// the URL up to its path. Several such URLs may be parted by `||`. A base URL
// without placeholders is one, too.
func ParseBaseTemplate(s string) (*BaseTemplate, error) {
	t := &BaseTemplate{src: s}
	if !strings.Contains(s, "${") {
		b, err := ParseBase(s)
		if err != nil {
			return nil, err
		}
		t.candidates = []candidate{{base: b, origin: b.origin()}}
		return t, nil
	}
	if err := checkLiteral(s); err != nil {
		return nil, err
	}
	urls := strings.Split(s, "||")
	for i, one := range urls {
		if len(urls) > 1 {
			one = strings.TrimSpace(one)
		}
		c, err := parseCandidate(one)
		if err != nil {
			return nil, err
		}
		if len(c.fields) == 0 && i < len(urls)-1 {
			return nil, fmt.Errorf("has a URL without placeholders before ||, so that what follows is never used")
		}
		t.candidates = append(t.candidates, c)
		for _, f := range c.fields {
			if !slices.Contains(t.fields, f) {
				t.fields = append(t.fields, f)
			}
		}
	}
	return t, nil
}

// String returns the template as it was written.
func (t *BaseTemplate) String() string { return t.src }

// Fixed returns the base URL if it is the same for every connection, else nil.
func (t *BaseTemplate) Fixed() *Base {
	if len(t.fields) > 0 {
		return nil
	}
	return t.candidates[0].base
}

// Fields returns the names of the connectionConfig fields the template names,
// each once. With `||` not all of them are needed.
func (t *BaseTemplate) Fields() []string { return t.fields }

// Origin returns where keys go: scheme, host and port of every candidate, with
// the placeholders that stand there. Two templates lead to the same hosts for
// the same values if their origins are equal: it does not matter how one is
// spelled, nor what its path is.
func (t *BaseTemplate) Origin() string {
	var origins []string
	for _, c := range t.candidates {
		if !slices.Contains(origins, c.origin) {
			origins = append(origins, c.origin)
		}
	}
	return strings.Join(origins, " || ")
}

// Resolve puts the values of a connection into the first candidate whose values
// are all there. The error is a [*MissingFieldError], of the last candidate,
// when there is none, and a [*FieldError] for a value that cannot stand where
// the candidate has it: the next one is not tried then.
func (t *BaseTemplate) Resolve(config map[string]string) (*Base, error) {
	missing := ""
	for i := range t.candidates {
		c := &t.candidates[i]
		if missing = c.missing(config); missing == "" {
			return c.resolve(config)
		}
	}
	return nil, &MissingFieldError{Name: missing}
}

// CheckField tells whether value can stand wherever the template has the field
// name; a field it does not have may be anything. The error is a [*FieldError].
func (t *BaseTemplate) CheckField(name, value string) error {
	for i := range t.candidates {
		if err := t.candidates[i].checkField(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (b *Base) origin() string { return b.Scheme + "://" + b.Host }

// String returns the base URL as [ParseBase] reads it, without a trailing slash.
func (b *Base) String() string { return b.origin() + b.rawPath }

// missing returns the first field without a value, "" when all are there.
func (c *candidate) missing(config map[string]string) string {
	for _, f := range c.fields {
		if config[f] == "" {
			return f
		}
	}
	return ""
}
