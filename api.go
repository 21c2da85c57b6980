package apikeyinject

// This file holds the handler of the management API and of the gateway.

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/apikeyinject/caddy-apikey-inject/internal/api"
	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
)

func init() {
	caddy.RegisterModule(new(API))
}

// API manages integrations and connections over HTTP, in the wire format of
// Nango's API for its provider `private-api-generic`, and proxies requests to
// them below `/proxy/`, where headers name the integration and the connection.
//
// Whoever calls it needs one of the tokens.
//
// The gateway sets the placeholders of the `apikey_inject` handler, and
// `{http.apikey_inject.token}`: the name of the caller's token.
type API struct {
	// Who may call. Required.
	Tokens []*APIToken `json:"tokens,omitempty"`

	// A prefix of the request path to take off. Default: none.
	StripPrefix string `json:"strip_prefix,omitempty"`

	// Hosts that callers may name in `Base-Url-Override`, by the unique key of
	// the integration. Default: none.
	BaseURLOverride map[string][]string `json:"base_url_override,omitempty"`

	// Where the Connect page is, for links to it: `https://connect.example`.
	// Default: links are empty.
	ConnectURL string `json:"connect_url,omitempty"`

	// How often calls with the token of a connect session may fail from one client
	// address. Default: 100 in 10m.
	Failures *FailureLimit `json:"failures,omitempty"`

	// Who is told of connections. Default: nobody.
	Webhook *Webhook `json:"webhook,omitempty"`

	// The URL of an incoming webhook of Slack, as a placeholder such as
	// `{env.SLACK_WEBHOOK}`: people are told there what is wrong with keys and
	// stores, once for each, and when it is over. Default: none.
	Slack string `json:"slack,omitempty"`

	// The methods of requests that the gateway sends again when a caller asks
	// for `Retries`. Default: `GET`, `HEAD`, `OPTIONS`, `PUT`, `DELETE`.
	RetryMethods []string `json:"retry_methods,omitempty"`

	// The longest wait that an upstream may ask for between two attempts; one
	// that asks for more gets no further attempt. Default: 1m.
	RetryMaxWait caddy.Duration `json:"retry_max_wait,omitempty"`

	// Serve the dashboard, a page for people who have a token, below `/dashboard/`.
	// Default: false.
	Dashboard bool `json:"dashboard,omitempty"`

	// Write a line for every request of the gateway to the logger
	// `apikey_inject.audit`, as routes do. Changes are always written there.
	// Default: false.
	Audit *bool `json:"audit,omitempty"`

	// Any reverse_proxy option but upstreams, for the gateway.
	ProxyRaw json.RawMessage `json:"proxy,omitempty"`

	app      *App
	manage   *api.API
	failures failureCount
	gateway  *gateway
}

// APIToken is a caller of the API.
type APIToken struct {
	// What audit lines and `allow` call it. Required.
	Name string `json:"name,omitempty"`

	// What the caller sends: a placeholder such as `{env.AGENTS_TOKEN}` or
	// `{file./run/secrets/agents}`. Required.
	Token string `json:"token,omitempty"`

	// What it may do: `integrations:read`, `integrations:write`,
	// `connections:read`, `connections:write`, `connect_sessions:write`,
	// `proxy`, `status`. Default: everything.
	Scopes []string `json:"scopes,omitempty"`

	// The integrations it may touch, by unique key. Default: all.
	Integrations []string `json:"integrations,omitempty"`

	// The connections it may touch, by id. Default: all.
	Connections []string `json:"connections,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*API) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.apikey_inject_api",
		New: func() caddy.Module { return new(API) },
	}
}

// UnmarshalJSON refuses unknown fields with the nearest known one.
func (a *API) UnmarshalJSON(data []byte) error {
	type plain API
	return decodeStrict(data, (*plain)(a))
}

// check refuses what is wrong before any placeholder is filled in.
func (a *API) check() error {
	if len(a.Tokens) == 0 {
		return wrong("tokens", "is required: without a token nobody may call")
	}
	for n, t := range a.Tokens {
		if err := t.check(); err != nil {
			return fmt.Errorf("tokens.%d.%w", n, err)
		}
	}
	if err := checkStripPrefix(a.StripPrefix); err != nil {
		return &fieldError{"strip_prefix", err}
	}
	if err := checkConnectURL(a.ConnectURL); err != nil {
		return &fieldError{"connect_url", err}
	}
	if err := a.Failures.check(); err != nil {
		return err
	}
	if err := a.Webhook.check(); err != nil {
		return fmt.Errorf("webhook.%w", err)
	}
	if err := checkSlack(a.Slack); err != nil {
		return &fieldError{"slack", err}
	}
	for key, hosts := range a.BaseURLOverride {
		if err := checkUniqueKey(key); err != nil {
			return &fieldError{"base_url_override", err}
		}
		for _, host := range hosts {
			if b, err := inject.ParseBase("https://" + host); err != nil || b.String() != "https://"+host {
				return wrong("base_url_override", "%q is no host such as api2.acme.com or localhost:8443, in lower case", host)
			}
		}
	}
	for _, m := range a.RetryMethods {
		if m == "" || strings.Trim(m, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" || tracesOrConnects(m) {
			return wrong("retry_methods", "%q is no method that is forwarded", m)
		}
	}
	if a.RetryMaxWait < 0 {
		return wrong("retry_max_wait", "must not be negative")
	}
	return nil
}

func (t *APIToken) check() error {
	if t == nil || t.Name == "" {
		return wrong("name", "is required")
	}
	if t.Token == "" {
		return wrong("token", "is required: a placeholder such as {env.NAME} or {file./path}")
	}
	if err := checkSecret(t.Token); err != nil {
		return &fieldError{"token", err}
	}
	for _, s := range t.Scopes {
		if known := api.Scopes(); !slices.Contains(known, s) {
			return wrong("scopes", "unknown scope %q%s; there are %s", s, didYouMean(s, known), strings.Join(known, ", "))
		}
	}
	if slices.Contains(slices.Concat(t.Integrations, t.Connections), "") {
		return wrong("integrations", "and connections hold no empty names")
	}
	return nil
}

// Provision reads the configuration, and nothing else.
func (a *API) Provision(ctx caddy.Context) (err error) {
	if err := a.check(); err != nil {
		return err
	}
	if a.app, err = loadApp(ctx); err != nil {
		return err
	}
	tokens, err := a.tokens()
	if err != nil {
		return err
	}
	if a.changes() {
		a.app.useAPI()
	} else {
		a.app.useCatalog()
	}
	if err := a.provisionOutside(); err != nil {
		return err
	}
	a.manage = a.app.newAPI(api.Config{Catalog: apiCatalog{a.app}, Tokens: tokens, Prefix: a.StripPrefix, ConnectURL: a.ConnectURL})
	a.failures = a.Failures.counter(ctx.Logger())
	h := &Handler{Name: "{http.request.header." + headerIntegration + "}", ProxyRaw: a.ProxyRaw}
	h.StripPrefix, h.Audit = a.StripPrefix+proxyPath, a.Audit
	h.gateway = true
	if err := h.Provision(ctx); err != nil {
		return err
	}
	a.gateway = &gateway{Handler: h, tokens: tokens, overrides: a.BaseURLOverride, policy: &retryPolicy{
		methods: a.RetryMethods, maxWait: time.Duration(a.RetryMaxWait), now: time.Now,
	}}
	if len(a.RetryMethods) == 0 {
		a.gateway.policy.methods = idempotent
	}
	if a.RetryMaxWait == 0 {
		a.gateway.policy.maxWait = defaultRetryWait
	}
	return nil
}

// changes tells whether any token may change something. Where none may, as on a
// node that is a gateway only, nobody's cut-off writes are ended either: the
// login there may not be allowed to, and who claims a write and cannot end it
// takes it from another node for a minute.
func (a *API) changes() bool {
	changing := []string{api.ScopeIntegrationsWrite, api.ScopeConnectionsWrite, api.ScopeConnectSessions}
	return slices.ContainsFunc(a.Tokens, func(t *APIToken) bool {
		return len(t.Scopes) == 0 || slices.ContainsFunc(t.Scopes, func(s string) bool { return slices.Contains(changing, s) })
	})
}

// tokens fills in the placeholders of the tokens.
func (a *API) tokens() (*api.Tokens, error) {
	x := expander{repl: caddy.NewReplacer()}
	list := make([]api.Token, 0, len(a.Tokens))
	for _, t := range a.Tokens {
		list = append(list, api.Token{
			Name: t.Name, Value: x.secret("tokens", t.Token), Scopes: t.Scopes, Integrations: t.Integrations, Connections: t.Connections,
		})
	}
	if x.err != nil {
		return nil, x.err
	}
	return api.NewTokens(list)
}

// ServeHTTP answers a call of the API, or proxies it.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	rest, ok := inject.StripPrefix(inject.EscapedPath(r.URL), a.StripPrefix+proxyPath)
	if ok && (rest == "" || rest[0] == '/') {
		return a.gateway.ServeHTTP(w, r, next)
	}
	if r.URL.Path == a.StripPrefix+healthPath {
		return a.serveHealth(w, r)
	}
	if a.Dashboard && a.serveDashboard(w, r) {
		return nil
	}
	if carriesSession(r, a.StripPrefix) {
		skipLog(r)
	}
	if bySession(r, a.StripPrefix) {
		a.failures.serve(w, r, a.manage.ServeHTTP)
		return nil
	}
	a.manage.ServeHTTP(w, r)
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*API)(nil)
	_ caddyhttp.MiddlewareHandler = (*API)(nil)
)
