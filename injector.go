package apikeyinject

// This file holds the transport that places the key.

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
	"github.com/apikeyinject/caddy-apikey-inject/internal/quoted"
)

func init() {
	caddy.RegisterModule(Transport{})
}

// Transport places an API key on requests at the last moment, on a copy that
// nobody else sees, and hands them to an HTTP transport.
//
// The `apikey_inject` handler configures it into its own reverse proxy; there
// is no need to write it. A request that no such handler prepared for this
// very transport is refused with 502 and never sent. Active health checks go
// out without a key.
type Transport struct {
	// The `http` transport to send requests with.
	BaseRaw json.RawMessage `json:"base,omitempty" caddy:"namespace=http.reverse_proxy.transport inline_key=protocol"`

	// Where the upstream is; see the handler's `base_url`.
	BaseURL string `json:"base_url,omitempty"`

	// Send keys without TLS to addresses other than loopback and private
	// ones. Default: false.
	InsecureHTTP bool `json:"insecure_http,omitempty"`

	// Connect only to what the app's `egress` allows. Set when the upstream is
	// not the operator's own word alone. Default: false.
	Egress bool `json:"egress,omitempty"`

	base http.RoundTripper
	url  *inject.Base // nil when each request has its own
}

// CaddyModule returns the Caddy module information.
func (Transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.apikey_inject",
		New: func() caddy.Module { return new(Transport) },
	}
}

// Provision loads the base transport.
func (t *Transport) Provision(ctx caddy.Context) error {
	if t.BaseURL != "" {
		base, err := inject.ParseBase(t.BaseURL)
		if err != nil {
			return &fieldError{"base_url", err}
		}
		t.url = base
	}
	raw, err := baseDefaults(t.BaseRaw)
	if err != nil {
		return err
	}
	t.BaseRaw = raw
	mod, err := ctx.LoadModule(t, "BaseRaw")
	if err != nil {
		return fmt.Errorf("loading the base transport: %w", err)
	}
	base, ok := mod.(*reverseproxy.HTTPTransport)
	if !ok {
		return wrong("base", "must be an http transport")
	}
	t.base = base
	switch {
	case t.Egress:
		app, err := loadApp(ctx)
		if err != nil {
			return err
		}
		return app.guardEgress(base, raw)
	case !t.InsecureHTTP && (t.url == nil || t.url.Scheme == "http"):
		refuseClear(base.Transport)
	}
	return nil
}

// RoundTrip places the key on a copy of r, for the one transport it was
// resolved for. Errors of the base go back as they came: reverse_proxy
// decides about retries by their concrete type.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ex, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if !ok || ex.owner != t { // a proxy inside handle_response inherits our context
		if r.Context().Value(caddyhttp.VarsCtxKey) != nil {
			return nil, errNoInjection.handlerError() // a live request never leaves without its key
		}
		return t.base.RoundTrip(r) // health checks carry no key
	}
	out, err := ex.place(r)
	if err != nil {
		return nil, err
	}
	if ex.explained != nil {
		ex.explained.out = out
		return nil, explainedError{}
	}
	res, err := ex.roundTrip(t.baseOf(ex), r, out)
	if err != nil {
		err = quoted.Drop(err) // a malformed answer is quoted in the error, and may hold the key
		if ex.ren.inj.In(err.Error()) {
			return nil, errors.New("reading the upstream's answer: it is malformed and holds the key")
		}
		return nil, err
	}
	res.Request = r // the copy holds the key
	ex.clean(res.Header)
	ex.watchBody(res)
	return res, nil
}

// baseOf returns the base transport for an exchange.
func (t *Transport) baseOf(ex *exchange) http.RoundTripper {
	if ex.target.via != nil {
		return ex.target.via
	}
	return t.base
}

// outbound is the copy of a request: one allocation for both structs.
type outbound struct {
	req http.Request
	url url.URL
}

// place returns a copy of r as the upstream is to get it. The error is a
// HandlerError: a rewrite may have led out of the base URL after the handler
// looked.
func (ex *exchange) place(r *http.Request) (*http.Request, error) {
	out := new(outbound) // not held by ex: fmt, printing a request, walks into its context
	out.req = *r
	out.url = *r.URL // not in one statement: that would copy both twice
	out.req.URL = &out.url
	if tracesOrConnects(r.Method) { // a method option may hold a placeholder
		return nil, errMethod.handlerError()
	}
	if err := ex.ren.base.Apply(&out.url); err != nil {
		return nil, errPath.handlerError()
	}
	placement := ex.target.plan.placement
	header := make(http.Header, ex.upstreamHeaders(r.Header))
	for name, values := range r.Header {
		if values == nil || placement.Replaces(name) {
			continue
		}
		if name == "Via" && !ex.target.integration.ForwardedHeaders {
			if values = operatorsVia(values); values == nil {
				continue
			}
		}
		header[name] = values
	}
	if placement.InQuery() {
		out.url.RawQuery = ex.ren.inj.Query(r.URL.RawQuery)
	} else {
		header[placement.Name()] = ex.ren.inj.Header()
	}
	out.req.Header = header
	return &out.req, nil
}

// upstreamHeaders guesses how many headers the upstream will get: with ours,
// without those that usually only say what reverse_proxy is not to add. A map
// made too large costs: one for 8 has half of the allocations of one for 9.
func (ex *exchange) upstreamHeaders(h http.Header) int {
	if ex.target.integration.ForwardedHeaders {
		return len(h) + 1
	}
	return max(len(h)+1-len(forwardedFor), 1)
}

// operatorsVia takes off the entry that reverse_proxy adds by itself, and
// leaves what a header_up wrote.
func operatorsVia(values []string) []string {
	if len(values) == 1 && strings.HasSuffix(values[0], " Caddy") {
		return nil
	}
	var kept []string
	for _, v := range values {
		if !strings.HasSuffix(v, " Caddy") {
			kept = append(kept, v)
		}
	}
	return kept
}

// OverrideHealthCheckScheme makes health checks use the scheme of the base
// URL.
func (t *Transport) OverrideHealthCheckScheme(base *url.URL, _ string) {
	if t.url != nil {
		base.Scheme = t.url.Scheme
	}
}

// TLSEnabled tells whether the upstream is reached by TLS.
func (t *Transport) TLSEnabled() bool { return t.url != nil && t.url.Scheme == "https" }

// EnableTLS refuses: the base URL decides.
func (*Transport) EnableTLS(*reverseproxy.TLSConfig) error {
	return errors.New("the scheme of base_url decides about TLS")
}

// DefaultBufferSizes returns what the base transport asks for.
func (t *Transport) DefaultBufferSizes() (int64, int64) {
	if b, ok := t.base.(reverseproxy.BufferedTransport); ok {
		return b.DefaultBufferSizes()
	}
	return 0, 0
}

// RequiresContentLength returns what the base transport asks for.
func (t *Transport) RequiresContentLength() bool {
	b, ok := t.base.(reverseproxy.ContentLengthRequiredTransport)
	return ok && b.RequiresContentLength()
}

// UnmarshalCaddyfile accepts the transport without options. There is nothing
// to configure: the apikey_inject directive does it.
func (t *Transport) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume transport name
	if d.NextArg() || d.NextBlock(d.Nesting()) {
		return d.Err("transport apikey_inject takes no options; the apikey_inject directive configures it")
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner                                = (*Transport)(nil)
	_ http.RoundTripper                                = (*Transport)(nil)
	_ caddyfile.Unmarshaler                            = (*Transport)(nil)
	_ reverseproxy.TLSTransport                        = (*Transport)(nil)
	_ reverseproxy.BufferedTransport                   = (*Transport)(nil)
	_ reverseproxy.ContentLengthRequiredTransport      = (*Transport)(nil)
	_ reverseproxy.HealthCheckSchemeOverriderTransport = (*Transport)(nil)
)
