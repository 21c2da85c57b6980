package api

// This file holds what an operation is, how a request finds its own, and what
// belongs to one request.

import (
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
)

// operation is a method on a path.
type operation struct {
	method, path string // "/connections/{id}"
	id           string // its name in the OpenAPI document
	summary      string
	scope        string // empty: any token
	action       string // its name in audit entries; empty: it changes nothing
	status       int    // of success
	refusals     []int  // beside those that every operation has

	in    *shape
	out   reflect.Type
	input any // the zero value of the input's type
	run   func(*API, *call) (any, error)
}

// op makes an operation of a function. The function is only called when all of
// the request is as the type In says, unless In is [late].
func op[In, Out any](o operation, do func(*API, *call, *In) (*Out, error)) *operation {
	o.in, o.input, o.out = shapeOf(reflect.TypeFor[In]()), *new(In), reflect.TypeFor[Out]()
	if o.status == 0 {
		o.status = http.StatusOK
	}
	o.run = func(a *API, c *call) (any, error) {
		in := new(In)
		if err := c.read(o.in, in); err != nil {
			return nil, err
		}
		out, err := do(a, c, in)
		if err != nil {
			return nil, err
		}
		return out, nil
	}
	return &o
}

// late is an input whose function reports what is wrong with the body itself,
// with what only it can find, in one list.
type late interface{ late() }

// call is one request on its way through an operation.
type call struct {
	w      http.ResponseWriter
	r      *http.Request
	args   map[string]string // path values by their names
	token  *Token
	faults faults
	nulls  []string // nullable fields of the body that are null

	integration, connection string // what it is about, for the audit
}

// need refuses a token without a scope.
func (c *call) need(scope string) error {
	if c.token.Allows(scope) {
		return nil
	}
	return forbidden("This needs a token with the scope %s", scope)
}

// mayUse refuses a token that is limited to other integrations.
func (c *call) mayUse(integration string) error {
	if c.token.AllowsIntegration(integration) {
		return nil
	}
	return forbidden("This token is not for integration %q", clipped(integration))
}

// mayUseConnection refuses a token that is limited to other connections.
func (c *call) mayUseConnection(integration, id string) error {
	if c.token.AllowsConnection(integration, id) {
		return nil
	}
	return forbidden("This token is not for connection %q of integration %q", clipped(id), clipped(integration))
}

// isNull tells whether the body has the field, and it is null.
func (c *call) isNull(name string) bool { return slices.Contains(c.nulls, name) }

// segments returns the decoded segments of the path below the prefix, nil for
// a path that is not below it. It parts the path as it was sent: an escaped
// slash belongs to an id, and is refused there.
func (a *API) segments(r *http.Request) []string {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), a.cfg.Prefix)
	if !ok || !strings.HasPrefix(rest, "/") {
		return nil
	}
	var segments []string
	for s := range strings.SplitSeq(rest[1:], "/") {
		decoded, _ := url.PathUnescape(s) // never fails: net/url escaped it
		segments = append(segments, decoded)
	}
	return segments
}

// resource is the operations of one path.
type resource []*operation

// find returns the operations at a path. Of two that fit, the one with words in
// place of values wins: /connections/metadata is no connection.
func find(segments []string) resource {
	var found resource
	best := -1
	for _, o := range operations() {
		words, ok := o.fits(segments)
		if !ok || words < best {
			continue
		}
		if words > best {
			found, best = nil, words
		}
		found = append(found, o)
	}
	return found
}

// fits tells whether the operation's path is the one of segments, and how many
// of them are words.
func (o *operation) fits(segments []string) (words int, ok bool) {
	pattern := strings.Split(o.path[1:], "/")
	if len(pattern) != len(segments) {
		return 0, false
	}
	for i, p := range pattern {
		switch {
		case p == segments[i]:
			words++
		case p[0] != '{' || segments[i] == "":
			return 0, false
		}
	}
	return words, true
}

// args returns the values in a path.
func (o *operation) args(segments []string) map[string]string {
	args := make(map[string]string)
	for i, p := range strings.Split(o.path[1:], "/") {
		if p[0] == '{' {
			args[p[1:len(p)-1]] = segments[i]
		}
	}
	return args
}

// method returns the operation of a method, nil for none. HEAD is GET: the
// server leaves the body out.
func (rs resource) method(m string) *operation {
	if m == http.MethodHead {
		m = http.MethodGet
	}
	for _, o := range rs {
		if o.method == m {
			return o
		}
	}
	return nil
}

// allow lists the methods, for the header of that name.
func (rs resource) allow() string {
	methods := []string{http.MethodOptions}
	for _, o := range rs {
		methods = append(methods, o.method)
		if o.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}
