package api

// This file holds what an operation is, and what belongs to one request.

import (
	"net/http"
	"reflect"
	"slices"

	"github.com/apikeyinject/caddy-apikey-inject/internal/session"
)

// operation is a method on a path.
type operation struct {
	method, path string // "/connections/{id}"
	id           string // its name in the OpenAPI document
	summary      string
	scope        string // empty: any token
	bySession    bool   // the caller sends the token of a connect session
	tries        bool   // what fails here counts against the session
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
	caller *session.Session // of an operation by session
	faults faults
	nulls  []string // nullable fields of the body that are null

	// For the audit: what it is about, and the connections of the same
	// integration that it changed before.
	integration, connection string
	changed                 []string
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
