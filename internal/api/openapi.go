package api

// This file holds the OpenAPI document, which is made of the operations and of
// the types that decode their requests and encode their answers.

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/swaggest/jsonschema-go"
	"github.com/swaggest/openapi-go"
	"github.com/swaggest/openapi-go/openapi31"
)

// operations are all that there are, made once: their shapes are read by
// reflection.
var operations = sync.OnceValue(func() []*operation {
	return slices.Concat(integrationOperations(), connectionOperations(), sessionOperations(), otherOperations())
})

// anyRefusal are the refusals that every operation has.
var anyRefusal = []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable}

// security names the ways to authenticate.
const (
	security             = "token"
	sessionSecurity      = "connect_session"
	sessionQuerySecurity = "connect_session_token"
)

// document returns the document. That it cannot be made is a mistake in this
// package, found by any test that makes an API.
var document = sync.OnceValue(func() jsontext.Value {
	r := openapi31.NewReflector()
	r.Spec.Info.WithTitle("API keys for Caddy").WithVersion("1").
		WithDescription("Integrations and connections in the wire format of Nango's API. No answer ever holds a key.")
	r.Spec.SetHTTPBearerTokenSecurity(security, "", "A token of the apikey_inject_api directive")
	r.Spec.SetHTTPBearerTokenSecurity(sessionSecurity, "", "The token of a connect session")
	r.Spec.SetAPIKeySecurity(sessionQuerySecurity, "connect_session_token", openapi.InQuery, "The token of a connect session, where Nango's clients send it: only to enter a key")
	r.DefaultOptions = append(r.DefaultOptions,
		func(rc *jsonschema.ReflectContext) { rc.EnvelopNullability = true },
		jsonschema.InterceptDefName(defName), jsonschema.InterceptSchema(schemaOf), jsonschema.InterceptNullability(nullability))
	for _, o := range operations() {
		if err := o.describe(r); err != nil {
			panic(fmt.Sprintf("api: describing %s: %v", o.id, err))
		}
	}
	b, err := json.Marshal(r.Spec)
	if err != nil {
		panic(fmt.Sprintf("api: writing the OpenAPI document: %v", err))
	}
	return b
})

// defName names a schema after its type, without the package.
func defName(t reflect.Type, _ string) string {
	if t == objectType {
		return "Object"
	}
	name := t.Name()
	return strings.ToUpper(name[:1]) + name[1:]
}

// schemaOf says what reflection cannot see.
func schemaOf(p jsonschema.InterceptSchemaParams) (stop bool, err error) {
	text := jsonschema.String.ToSchemaOrBool()
	switch p.Value.Type() {
	case secretType:
		p.Schema.WithType(jsonschema.String.Type())
	case objectType:
		p.Schema.WithType(jsonschema.Object.Type())
	case manyType:
		list := (&jsonschema.Schema{}).WithType(jsonschema.Array.Type()).WithItems(*(&jsonschema.Items{}).WithSchemaOrBool(text))
		p.Schema.WithOneOf(text, list.ToSchemaOrBool())
	default:
		return false, nil
	}
	return true, nil
}

// nullability takes null out of requests, where reflection enters it for every
// pointer: a pointer there is a field that may be left out. What may be null
// has a tag. In answers it mends what stands beside a choice between null and
// a schema: a type that would forbid the null.
func nullability(p jsonschema.InterceptNullabilityParams) {
	oc, ok := openapi.OperationCtx(p.Context)
	requested := ok && !oc.IsProcessingResponse()
	if len(p.Schema.AnyOf) == 2 && p.Schema.AnyOf[1].TypeObject != nil {
		p.Schema.Type, p.Schema.AnyOf[1].TypeObject.Type = nil, nil
		if requested {
			p.Schema.Ref, p.Schema.AnyOf = p.Schema.AnyOf[1].TypeObject.Ref, nil
		}
		return
	}
	if requested && !p.NullAdded {
		p.Schema.RemoveType(jsonschema.Null)
	}
}

// openapiAnswer is the document, written as it was made.
type openapiAnswer struct {
	OpenAPI string `json:"openapi" required:"true"`

	doc jsontext.Value
}

// MarshalJSON returns the document.
func (d openapiAnswer) MarshalJSON() ([]byte, error) { return d.doc, nil }

func (o *operation) describe(r *openapi31.Reflector) error {
	oc, err := r.NewOperationContext(o.method, o.path)
	if err != nil {
		return err
	}
	oc.SetID(o.id)
	oc.SetSummary(o.summary)
	tag, _, _ := strings.Cut(o.path[1:], "/")
	oc.SetTags(strings.TrimSuffix(tag, ".json"))
	if o.scope != "" {
		oc.SetDescription("Needs the scope `" + o.scope + "`.")
	}
	if o.bySession {
		oc.AddSecurity(sessionSecurity)
		oc.AddSecurity(sessionQuerySecurity)
	} else {
		oc.AddSecurity(security)
	}
	oc.AddReqStructure(o.input, openapi.WithCustomize(func(cor openapi.ContentOrReference) {
		if body, ok := cor.(*openapi31.RequestBodyOrReference); ok && body.RequestBody != nil {
			body.RequestBody.WithRequired(true)
		}
	}))
	var answer any
	if o.status != http.StatusNoContent {
		answer = reflect.New(o.out).Elem().Interface()
	}
	oc.AddRespStructure(answer, openapi.WithHTTPStatus(o.status))
	refusals := slices.Concat(anyRefusal, o.refusals)
	if o.in.hasBody() {
		refusals = append(refusals, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	for _, status := range refusals {
		oc.AddRespStructure(errorAnswer{}, openapi.WithHTTPStatus(status))
	}
	return r.AddOperation(oc)
}

func (a *API) openapi(*call, *nothing) (*openapiAnswer, error) {
	return &openapiAnswer{doc: a.doc}, nil
}
