// Package inject says how an API key is placed on a request: which template
// wraps it, which header or query parameter carries it, and below which base
// URL the request goes. It is pure: bytes in, bytes out, no I/O and no Caddy.
package inject

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// DefaultTemplate is the template of an integration that names none.
const DefaultTemplate = "${apiKey}"

// placeholdersKnown is what every error about a template offers.
const placeholdersKnown = "allowed are ${apiKey}, ${connectionConfig.NAME} and ${base64(...)}"

// Template wraps a key: `Api-Key ${apiKey}`. The zero Template is invalid; see
// [ParseTemplate].
type Template struct {
	src    string
	parts  []part
	fields []string
}

// part is one piece of a parsed template. Exactly one of its fields is used;
// a part without any of them is the key itself.
type part struct {
	literal string
	field   string // connectionConfig field
	base64  []part
}

// ParseTemplate parses a value template. It must contain `${apiKey}`; it may
// contain `${connectionConfig.NAME}` and `${base64(...)}`, whose argument is a
// template again. Everything else beginning with `${` is an error, and so are
// control characters and what Caddy would take for a placeholder of its own.
func ParseTemplate(s string) (*Template, error) {
	if err := checkLiteral(s); err != nil {
		return nil, err
	}
	t := &Template{src: s}
	p := templateParser{in: s}
	parts, err := p.parse(false)
	if err != nil {
		return nil, err
	}
	if !p.sawKey {
		return nil, fmt.Errorf("does not contain ${apiKey}; %s", placeholdersKnown)
	}
	t.parts, t.fields = parts, p.fields
	return t, nil
}

// String returns the template as it was written. It holds no key.
func (t *Template) String() string { return t.src }

// Fields returns the names of the connectionConfig fields the template needs,
// each once.
func (t *Template) Fields() []string { return t.fields }

// MissingFieldError says that a `${connectionConfig.NAME}` has no value.
type MissingFieldError struct{ Name string }

func (e *MissingFieldError) Error() string {
	return fmt.Sprintf("connection_config has no %q", e.Name)
}

// Render puts the key into the template, in one pass: neither the key nor a
// value of config is ever expanded again. The error is a [*MissingFieldError].
func (t *Template) Render(key secret.Value, config map[string]string) (secret.Value, error) {
	if len(t.parts) == 1 && t.parts[0].isKey() {
		return key, nil
	}
	var b strings.Builder
	if err := renderParts(&b, t.parts, key, config); err != nil {
		return secret.Value{}, err
	}
	return secret.New(b.String()), nil
}

func (p part) isKey() bool { return p.literal == "" && p.field == "" && p.base64 == nil }

func renderParts(b *strings.Builder, parts []part, key secret.Value, config map[string]string) error {
	for _, p := range parts {
		switch {
		case p.literal != "":
			b.WriteString(p.literal)
		case p.field != "":
			v, ok := config[p.field]
			if !ok || v == "" {
				return &MissingFieldError{Name: p.field}
			}
			b.WriteString(v)
		case p.base64 != nil:
			var inner strings.Builder
			if err := renderParts(&inner, p.base64, key, config); err != nil {
				return err
			}
			b.WriteString(base64.StdEncoding.EncodeToString([]byte(inner.String())))
		default:
			b.WriteString(key.Reveal())
		}
	}
	return nil
}

// templateParser walks a template from left to right; pos is a byte offset.
type templateParser struct {
	in     string
	pos    int
	sawKey bool
	fields []string
}

// parse reads up to the end of the input or, nested, up to the `)}` that ends
// the surrounding function.
func (p *templateParser) parse(nested bool) ([]part, error) {
	parts := []part{}
	start := p.pos
	literal := func(end int) {
		if end > start {
			parts = append(parts, part{literal: p.in[start:end]})
		}
	}
	for p.pos < len(p.in) {
		rest := p.in[p.pos:]
		if nested && strings.HasPrefix(rest, ")}") {
			literal(p.pos)
			p.pos += len(")}")
			return parts, nil
		}
		if !strings.HasPrefix(rest, "${") {
			p.pos++
			continue
		}
		literal(p.pos)
		one, err := p.placeholder()
		if err != nil {
			return nil, err
		}
		parts = append(parts, one)
		start = p.pos
	}
	if nested {
		return nil, fmt.Errorf("${base64( is not closed by )}; %s", placeholdersKnown)
	}
	literal(p.pos)
	return parts, nil
}

func (p *templateParser) placeholder() (part, error) {
	const fn = "${base64("
	at := p.pos
	rest := p.in[at:]
	if strings.HasPrefix(rest, fn) {
		p.pos += len(fn)
		inner, err := p.parse(true)
		if err != nil {
			return part{}, err
		}
		return part{base64: inner}, nil
	}
	end := strings.IndexByte(rest, '}')
	if end < 0 {
		return part{}, fmt.Errorf("the placeholder at byte %d is not closed by }; %s", at, placeholdersKnown)
	}
	name := rest[len("${"):end]
	p.pos += end + 1
	if name == "apiKey" {
		p.sawKey = true
		return part{}, nil
	}
	if field, ok := strings.CutPrefix(name, configPrefix); ok && validFieldName(field) {
		if !slices.Contains(p.fields, field) {
			p.fields = append(p.fields, field)
		}
		return part{field: field}, nil
	}
	return part{}, fmt.Errorf("unknown placeholder ${%s}%s; %s", name, hint(name), placeholdersKnown)
}

// hint names what was probably meant by an unknown placeholder.
func hint(name string) string {
	switch {
	case strings.EqualFold(strings.TrimSpace(name), "apiKey"), strings.EqualFold(name, "api_key"):
		return ", did you mean ${apiKey}?"
	case strings.HasPrefix(strings.ToLower(name), "connection"):
		return ", did you mean ${connectionConfig.NAME}?"
	case strings.HasPrefix(name, "http.request."):
		// Caddy expands the shorthand {path} inside a site block, also in ${path}.
		return " (Caddy made it of a shorthand such as ${path})"
	}
	return ""
}
