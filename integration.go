package apikeyinject

// This file holds what describes an upstream API, a route to it, and where its key
// is.

import (
	"encoding/json"
	"strings"

	"github.com/caddyserver/caddy/v2"

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

	// How often in a row the upstream must refuse the newest key before the key,
	// or its connection, is `auth_failed`. Each node counts by itself.
	// Default: 1.
	RefusedAfter int `json:"refused_after,omitempty"`

	// The largest request body, in bytes, that is kept in memory while it is
	// sent, to be sent again with another key. Default: 65536.
	ReplayBuffer *int64 `json:"replay_buffer,omitempty"`

	// The request that tries a key, when it is entered and, with an interval,
	// again and again. Default: keys are not tried.
	Verification *Verification `json:"verification,omitempty"`

	// What the Connect page shows beside the form.
	Connect *ConnectTexts `json:"connect,omitempty"`

	// How old a key may become. An older one stays in use; 14 days before, one
	// day before, and when it has come, that is told. Default: keys do not age.
	MaxAge caddy.Duration `json:"max_age,omitempty"`

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

// Verification is the request that tries a key. It goes to the base URL and
// carries the key as every request does; redirects are not followed. 401, 403 and
// the `refused_statuses` say that the upstream refuses the key.
type Verification struct {
	// `GET`, `HEAD` or `POST`. Default: `GET`.
	Method string `json:"method,omitempty"`

	// The path below the base URL, and a query if need be. Required.
	Path string `json:"path,omitempty"`

	// Further headers. The one that carries the key cannot be among them.
	Headers map[string]string `json:"headers,omitempty"`

	// The statuses by which the upstream takes a key. Default: 200 to 299.
	Success []int `json:"success,omitempty"`

	// How often known keys are tried, at least 10s. Default: never.
	Interval caddy.Duration `json:"interval,omitempty"`
}

// ConnectTexts is what the Connect page shows beside the form.
type ConnectTexts struct {
	// Where to find a key, in words. At most 1000 characters.
	HelpText string `json:"help_text,omitempty"`

	// A page that says where: an https URL.
	HelpURL string `json:"help_url,omitempty"`

	// An https URL of a picture.
	LogoURL string `json:"logo_url,omitempty"`
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
