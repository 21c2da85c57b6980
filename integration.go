package apikeyinject

// This file holds what describes an upstream API and a route to it, and the
// checks both the Caddyfile and JSON run through.

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// Integration describes one upstream API: where it is, whose key it takes, and
// how it wants that key. It stands in the app under its unique key, or, for a
// single route, in the handler itself.
type Integration struct {
	// What people call this integration. Default: its unique key.
	DisplayName string `json:"display_name,omitempty"`

	// Where the API is: `http(s)://host[:port][/path]`. Its path is a prefix
	// that no request can escape. `${connectionConfig.NAME}` may be a label of
	// the host, its last labels, the whole host, the port, a segment of the
	// path, or the beginning of the URL up to its path; `a || b` is two such
	// URLs, of which the first counts whose values are all there. Required.
	BaseURL string `json:"base_url,omitempty"`

	// Where the key goes: `header` or `query`. Default: `header`.
	KeyPlacement string `json:"key_placement,omitempty"`

	// The name of the header or query parameter that carries the key.
	// Required.
	KeyName string `json:"key_name,omitempty"`

	// What the header or parameter holds. Must contain `${apiKey}`; may
	// contain `${connectionConfig.NAME}` and `${base64(...)}`. Caddy
	// placeholders are not expanded. Default: `${apiKey}`.
	ValueTemplate string `json:"value_template,omitempty"`

	// The label of the field in which an end user enters a key.
	// Default: `API Key`.
	KeyLabel string `json:"key_label,omitempty"`

	// Where the key is kept. Required, unless routes use the keys of
	// connections in the catalog.
	Key *KeyReference `json:"key,omitempty"`

	// Forward the caller's own `Authorization`, `Proxy-Authorization` and
	// `Cookie` to the upstream, and its `Set-Cookie` back. Default: false.
	ForwardCredentials bool `json:"forward_credentials,omitempty"`

	// Tell the upstream about the caller in `X-Forwarded-*`, `Forwarded`,
	// `X-Real-Ip` and `Via`. Default: false.
	ForwardedHeaders bool `json:"forwarded_headers,omitempty"`

	// Send the key without TLS to addresses other than loopback and private
	// ones. Default: false.
	InsecureHTTP bool `json:"insecure_http,omitempty"`

	// Let Caddy ask the upstream for gzip and decompress the answer, where
	// the client did not ask itself. Default: false.
	ResponseCompression bool `json:"response_compression,omitempty"`

	// The statuses by which the upstream refuses a key. The key is then read
	// again and, where the request can be, sent once more. An empty list turns
	// this off. Default: `[401]`.
	RefusedStatuses []int `json:"refused_statuses,omitzero"`

	// The largest request body, in bytes, that is kept in memory while it is
	// sent, to be sent again with another key. Default: 65536.
	ReplayBuffer *int64 `json:"replay_buffer,omitempty"`

	// Refuse every request with 403 `disabled`. Default: false.
	Disabled bool `json:"disabled,omitempty"`

	// The `http` transport to the upstream: a private CA, a client
	// certificate, timeouts. Default: Caddy's, with this plugin's defaults.
	TransportRaw json.RawMessage `json:"transport,omitempty"`

	Route
}

// Route holds what may differ between the routes to one integration. Set in an
// integration, it is the default of every route to it.
type Route struct {
	// A prefix of the request path to take off, byte for byte, at a segment
	// border, before the base URL's path is put in front.
	StripPrefix string `json:"strip_prefix,omitempty"`

	// The placeholder that names the caller for `allow` `users`; the operator
	// vouches for it. Default: `{http.auth.user.id}`.
	Caller string `json:"caller,omitempty"`

	// Who may call. A route can narrow what its integration allows, never
	// widen it.
	Allow *Allow `json:"allow,omitempty"`

	// Origins whose web pages may call, such as `https://app.example`. Without
	// it, requests of other sites' pages are refused.
	AllowOrigin []string `json:"allow_origin,omitempty"`

	// Write a line for every request to the logger `apikey_inject.audit`: who,
	// which integration and connection, which version of the key, where to,
	// and what became of it. Default: false.
	Audit *bool `json:"audit,omitempty"`

	// Values for `${connectionConfig.NAME}`.
	ConnectionConfig map[string]string `json:"connection_config,omitempty"`
}

// KeyReference names a key in a store.
type KeyReference struct {
	// The store, by its name in the app. Default: the app's default store.
	Store string `json:"store,omitempty"`

	// The mount of the engine. Default: the store's.
	Mount string `json:"mount,omitempty"`

	// The namespace. Default: the store's.
	Namespace string `json:"namespace,omitempty"`

	// The path of the document. May contain `${connectionId}`. With a leading
	// slash it is the whole path of any engine. Required.
	Path string `json:"path,omitempty"`

	// The field that holds the key. Default: `apiKey`, or the only field
	// there is.
	Field string `json:"field,omitempty"`
}

// connectionID is the placeholder of a key's path.
const connectionID = "${connectionId}"

// fieldError says which field of a configuration is wrong.
type fieldError struct {
	field string // JSON name, "key.path"
	err   error
}

func (e *fieldError) Error() string { return e.field + ": " + e.err.Error() }
func (e *fieldError) Unwrap() error { return e.err }

// fieldCause takes the field's name off an error, for where the word stands
// already.
func fieldCause(err error) error {
	if f, ok := errors.AsType[*fieldError](err); ok {
		return f.err
	}
	return err
}

func wrong(field, format string, args ...any) error {
	return &fieldError{field: field, err: fmt.Errorf(format, args...)}
}

// plan is an integration as requests use it.
type plan struct {
	base      *inject.BaseTemplate
	placement *inject.Placement
	template  *inject.Template
}

// compile checks the integration whole. The errors are [*fieldError]s.
func (i *Integration) compile() (*plan, error) {
	var p plan
	var err error
	if p.base, err = inject.ParseBaseTemplate(i.BaseURL); err != nil {
		return nil, &fieldError{"base_url", err}
	}
	if err = inject.CheckKind(i.KeyPlacement); err != nil {
		return nil, &fieldError{"key_placement", err}
	}
	if p.placement, err = inject.NewPlacement(i.KeyPlacement, i.KeyName); err != nil {
		return nil, &fieldError{"key_name", err}
	}
	template := i.ValueTemplate
	if template == "" {
		template = inject.DefaultTemplate
	}
	if p.template, err = inject.ParseTemplate(template); err != nil {
		return nil, &fieldError{"value_template", err}
	}
	if err := checkRefused(i.RefusedStatuses); err != nil {
		return nil, &fieldError{"refused_statuses", err}
	}
	if i.ReplayBuffer != nil {
		if err := checkReplayBuffer(*i.ReplayBuffer); err != nil {
			return nil, &fieldError{"replay_buffer", err}
		}
	}
	if i.Key != nil {
		if err := i.Key.check(); err != nil {
			return nil, err
		}
	}
	if err := checkTransport("transport", i.TransportRaw); err != nil {
		return nil, err
	}
	return &p, i.Route.check()
}

// check refuses references that cannot name one document.
func (k *KeyReference) check() error {
	if k.Path == "" {
		return wrong("key.path", "is required")
	}
	for _, f := range []struct{ name, value string }{
		{"key.path", strings.TrimPrefix(k.Path, "/")}, {"key.mount", k.Mount}, {"key.namespace", k.Namespace},
	} {
		if err := store.CheckPath(f.value); f.value != "" && err != nil {
			return &fieldError{f.name, err}
		}
	}
	rest := strings.ReplaceAll(k.Path, connectionID, "")
	if strings.ContainsAny(rest, "{}") {
		return wrong("key.path", "%q holds a placeholder that is not expanded here; only %s is", k.Path, connectionID)
	}
	if strings.ContainsAny(k.Mount+k.Namespace+k.Field, "{}") {
		return wrong("key", "mount, namespace and field hold no placeholders")
	}
	return nil
}

// perConnection tells whether the path differs between connections.
func (k *KeyReference) perConnection() bool { return strings.Contains(k.Path, connectionID) }

// address returns the address of the document for a connection; id is used
// only by a path that names it.
func (k *KeyReference) address(id string) store.Address {
	path := k.Path
	if k.perConnection() {
		path = strings.ReplaceAll(path, connectionID, id)
	}
	return store.Address{Namespace: k.Namespace, Mount: k.Mount, Path: path}
}

func (r *Route) check() error {
	if err := checkStripPrefix(r.StripPrefix); err != nil {
		return &fieldError{"strip_prefix", err}
	}
	if r.Caller != "" && !strings.Contains(r.Caller, "{") {
		return wrong("caller", "%q is no placeholder; write one such as {http.request.header.Remote-User}", r.Caller)
	}
	for _, o := range r.AllowOrigin {
		if err := checkOrigin(o); err != nil {
			return &fieldError{"allow_origin", err}
		}
	}
	for name := range r.ConnectionConfig {
		if err := inject.CheckConfigValue(name, r.ConnectionConfig[name]); err != nil {
			return &fieldError{"connection_config", err}
		}
	}
	return r.Allow.check()
}

func checkStripPrefix(s string) error {
	switch {
	case s == "":
		return nil
	case s[0] != '/':
		return fmt.Errorf("%q must begin with a slash", s)
	case strings.HasSuffix(s, "/"):
		return fmt.Errorf("%q must not end with a slash: it is taken off at a segment border", s)
	case strings.ContainsAny(s, "{}%?#"):
		return fmt.Errorf("%q must be a plain path, without placeholders and escapes", s)
	}
	if err := inject.CheckPath(s); err != nil {
		return errors.New("must not have a . or .. segment")
	}
	return nil
}

// ownFields names the fields of an integration that are set in a handler that
// also names an integration, in the words of the JSON. They would be ignored.
func (i *Integration) ownFields() []string {
	set := map[string]bool{
		"display_name": i.DisplayName != "", "base_url": i.BaseURL != "", "key_placement": i.KeyPlacement != "",
		"key_name": i.KeyName != "", "value_template": i.ValueTemplate != "", "key_label": i.KeyLabel != "",
		"key": i.Key != nil, "forward_credentials": i.ForwardCredentials, "forwarded_headers": i.ForwardedHeaders,
		"insecure_http": i.InsecureHTTP, "response_compression": i.ResponseCompression,
		"refused_statuses": i.RefusedStatuses != nil, "replay_buffer": i.ReplayBuffer != nil, "disabled": i.Disabled,
		"transport": i.TransportRaw != nil,
	}
	return sortedTrue(set)
}
