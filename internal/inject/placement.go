package inject

import (
	"fmt"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// The places a key can be put.
const (
	Header = "header"
	Query  = "query"
)

// Placement is where on a request a key goes: a header, or a query parameter.
type Placement struct {
	query bool

	// name is the header in canonical form, or the query parameter decoded.
	name string

	// pair is the query parameter's escaped name with its equals sign.
	pair string
}

// refusedHeaders are the names a key cannot have, with `-` for `_`. The first
// are hop-by-hop: an HTTP client removes or rewrites them on the way. The last
// describe the message itself.
var refusedHeaders = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings",
	"Host", "Content-Length",
}

// NewPlacement checks where a key is to go. An empty kind means [Header]. For a
// header, name must be an RFC 9110 token that is neither hop-by-hop nor `Host`
// nor `Content-Length`. The errors say which of kind and name is wrong.
func NewPlacement(kind, name string) (*Placement, error) {
	if err := CheckKind(kind); err != nil {
		return nil, err
	}
	if err := CheckName(kind, name); err != nil {
		return nil, err
	}
	if kind == Query {
		return &Placement{query: true, name: name, pair: escapeQuery(name) + "="}, nil
	}
	return &Placement{name: textproto.CanonicalMIMEHeaderKey(name)}, nil
}

// CheckKind refuses what is not a kind of placement.
func CheckKind(kind string) error {
	if kind != "" && kind != Header && kind != Query {
		return fmt.Errorf("must be one of: header, query; not %q", kind)
	}
	return nil
}

// CheckName refuses names that a placement of this kind cannot have.
func CheckName(kind, name string) error {
	if name == "" {
		return fmt.Errorf("is required")
	}
	if err := checkLiteral(name); err != nil {
		return err
	}
	if kind == Query {
		return nil
	}
	if !httpguts.ValidHeaderFieldName(name) {
		return fmt.Errorf("%q is not a header name: letters, digits and !#$%%&'*+-.^_`|~ are allowed", name)
	}
	if slices.ContainsFunc(refusedHeaders, func(h string) bool { return SameHeader(h, name) }) {
		return fmt.Errorf("%q cannot carry a key: hop-by-hop headers, Host and Content-Length belong to the connection", name)
	}
	return nil
}

// InQuery tells whether the key goes into the query.
func (p *Placement) InQuery() bool { return p.query }

// Name returns the header in canonical form or the decoded query parameter.
func (p *Placement) Name() string { return p.name }

// Replaces tells whether a client's header of that name has to give way: it is
// ours, in any casing and with `_` for `-` or the other way round. Servers that
// speak CGI, WSGI and the like fold all of these into one.
func (p *Placement) Replaces(header string) bool {
	return !p.query && SameHeader(p.name, header)
}

// SameHeader tells whether a and b are the same name but for casing and for
// `_` in place of `-`.
func SameHeader(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if fold(a[i]) != fold(b[i]) {
			return false
		}
	}
	return true
}

func fold(c byte) byte {
	if c == '_' {
		return '-'
	}
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// Injection is a key as it goes onto a request, rendered once and used for as
// many requests as hold the same key. It prints as a fixed string.
type Injection struct {
	placement *Placement
	key       secret.Value
	value     secret.Value

	// line returns what a header map gets: shared between requests and never
	// written. A function, because fmt prints the address of one for every
	// verb; it follows a pointer when the verb does not fit.
	line func() []string
	pair secret.Value
}

// Place renders a key for a placement. config holds the values for
// `${connectionConfig.NAME}`. The error is a [*MissingFieldError] or says,
// without the value, why it cannot be sent.
func Place(p *Placement, t *Template, key secret.Value, config map[string]string) (*Injection, error) {
	v, err := t.Render(key, config)
	if err != nil {
		return nil, err
	}
	inj := &Injection{placement: p, key: key, value: v}
	if p.query {
		inj.pair = secret.New(p.pair + escapeQuery(v.Reveal()))
		return inj, nil
	}
	if !httpguts.ValidHeaderFieldValue(v.Reveal()) {
		return nil, fmt.Errorf("the rendered value has a byte that no header may carry")
	}
	line := []string{v.Reveal()}
	inj.line = func() []string { return line }
	return inj, nil
}

// Placement returns where the key goes.
func (i *Injection) Placement() *Placement { return i.placement }

// Header returns the values a header placement sets: exactly one. Callers must
// not change it.
func (i *Injection) Header() []string { return i.line() }

// String returns a fixed string, never the key.
func (*Injection) String() string { return "injection" }

// GoString returns a fixed string, never the key.
func (*Injection) GoString() string { return "injection" }

// escapeQuery escapes s for use in a query. A space becomes %20, which every
// decoder reads as a space; the plus sign of form encoding is not.
func escapeQuery(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}
