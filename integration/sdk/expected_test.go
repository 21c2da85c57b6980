package sdk

// This file holds what the script must get. UPSTREAM stands for the upstream's
// URL.

// config is what the call of Nango's page makes.
const config = `{"baseUrl":"https://api.acme.com","keyLabel":"Acme API Key","keyName":"Authorization","keyPlacement":"header","valueTemplate":"Api-Key ${apiKey}"}`

// odd has every character that a unique key may have.
const odd = "Acme @ EU: 2~x.y_z-1"

// given are steps, a path in what each of them got, and what stands there.
var given = [][3]string{
	{"listProviders", "data.*.name", `["private-api-bearer","private-api-generic"]`},
	{"getProvider", "data.name", `"private-api-generic"`},
	{"getProvider", "data.auth_mode", `"API_KEY"`},

	{"createIntegration", "data.provider", `"private-api-generic"`},
	{"createIntegration", "data.unique_key", `"acme-internal"`},
	{"createIntegration", "data.display_name", `"Acme Internal API"`},
	{"createIntegration", "data.credentials_label", `{"apiKey":"Acme API Key"}`},
	{"createIntegration", "data.integration_config", config},
	{"getIntegration", "data.integration_config", config},
	{"getIntegration", "data.credentials", `null`},
	{"updateIntegration", "data.integration_config.baseUrl", `"UPSTREAM/v1"`},
	{"updateIntegration", "data.integration_config.valueTemplate", `"Api-Key ${apiKey}"`},
	{"createIntegration, query", "data.integration_config.keyPlacement", `"query"`},
	{"createIntegration, query", "data.credentials_label", `{"apiKey":"API Key"}`},
	{"createIntegration, query", "warnings.#", `1`},
	{"createIntegration, bearer", "data.integration_config.valueTemplate", `"Bearer ${apiKey}"`},
	{"updateIntegration, odd", "data.display_name", `"Odd"`},
	{"getIntegration, odd", "data.unique_key", `"` + odd + `"`},
	{"getIntegration, fixed", "data.source", `"config"`},
	{"getIntegration, fixed", "data.integration_config.keyName", `"X-Api-Key"`},
	{"listIntegrations", "configs.*.unique_key", `["` + odd + `","acme-internal","acme-query","fixed"]`},

	{"import", "status", `201`},
	{"import", "data.connection_id", `"customer-1"`},
	{"import", "data.metadata", `{"limits":{"daily":10},"region":"eu"}`},
	{"import", "data.connection_config", `{"tenant":"t1"}`},
	{"import", "data.tags.plan", `"pro"`},
	{"import", "data.end_user.organization", `{"display_name":"Analytical","id":"org-3"}`},
	{"import, second", "status", `201`},
	{"import, query", "status", `201`},
	{"import, odd", "status", `201`},
	{"import, fixed", "status", `201`},
	{"import, no id", "status", `201`},

	{"listConnections", "connections.#", `6`},
	{"listConnections", "connections.*.provider_config_key", `["` + odd + `","acme-internal","acme-internal","acme-internal","acme-query","fixed"]`},
	{"listConnections, id", "connections.*.connection_id", `["customer-1","customer-1","customer-1"]`},
	{"listConnections, id", "connections.*.provider_config_key", `["acme-internal","acme-query","fixed"]`},
	{"listConnections, integration", "connections.*.provider_config_key", `["acme-query"]`},
	{"listConnections, integrations", "connections.*.provider_config_key", `["` + odd + `","acme-query"]`},
	{"listConnections, user", "connections.*.end_user.id", `["user-7"]`},
	{"listConnections, tag", "connections.*.connection_id", `["customer-2"]`},
	{"listConnections, tags", "connections.*.end_user.email", `["ada@example.com"]`},
	{"listConnections, none", "connections", `[]`},
	{"listConnections, pages", "pages.*.#", `["2","2","2"]`},
	{"listConnections, pages", "different", `6`},
	{"listConnections, former id", "connections.*.connection_id", `["customer-2"]`},
	{"listConnections, former search", "connections.*.end_user.id", `["user-7"]`},
	{"listConnections, former user", "connections.*.end_user.id", `["user-7"]`},
	{"listConnections, former organization", "connections.*.end_user.organization.id", `["org-3"]`},

	{"getConnection", "provider_config_key", `"acme-internal"`},
	{"getConnection", "metadata.region", `"eu"`},
	{"getConnection", "credentials.names", `["fingerprint","type"]`},
	{"getConnection", "credentials.type", `"API_KEY"`},
	{"getConnection", "key_version", `1`},
	{"getConnection, refreshed", "credentials.names", `["fingerprint","type"]`},
	{"getConnection, odd", "connection_id", `"Cust 1"`},
	{"getToken", "names", `["fingerprint","type"]`},
	{"getRawTokenResponse", "raw", `null`},
	{"setMetadata", "status", `201`},
	{"setMetadata", "data.metadata", `{"region":"us","seats":3}`},
	{"updateMetadata", "status", `200`},
	{"updateMetadata", "data.connection_id", `["customer-1","customer-2"]`},
	{"getMetadata", "region", `"us"`},
	{"getMetadata", "names", `["region","seats"]`},
	{"getMetadata", "seats", `4`},
	{"getMetadata, second", "names", `["seats"]`},
	{"patchConnection", "success", `true`},
	{"getConnection, patched", "end_user.display_name", `"Countess"`},
	{"getConnection, patched", "tags.plan", `"gold"`},
	{"getConnection, patched", "metadata.seats", `4`},

	{"get", "headers.x-upstream", `"yes"`},
	{"get", "data", `{"ok":true}`},
	{"get, text params", "status", `200`},
	{"post", "status", `200`},
	{"post, text", "status", `200`},
	{"put", "status", `200`},
	{"patch", "status", `200`},
	{"delete", "status", `200`},
	{"delete, bare", "status", `200`},
	{"proxy", "status", `200`},
	{"proxy, PROPFIND", "status", `200`},
	{"proxy, query", "status", `200`},
	{"proxy, odd", "status", `200`},
	{"proxy, fixed", "status", `200`},
	{"get, bytes", "hex", `"00ff80"`},
	{"get, of a script", "status", `200`},
	{"retry, busy", "status", `200`},
	{"retry, limited", "status", `200`},
	{"retry, on", "status", `200`},
	{"override", "status", `200`},

	{"import, again", "status", `201`},
	{"import, again", "data.metadata.region", `"us"`},
	{"import, again", "data.key_version", `2`},
	{"call, again", "status", `200`},
	{"rotate", "status", `200`},
	{"rotate", "data.credentials.names", `["fingerprint","type"]`},
	{"call, rotated", "status", `200`},
	{"getConnection, rotated", "key_version", `3`},
	{"getConnection, rotated", "status", `"ok"`},
	{"getConnection, rotated", "tags.plan", `"gold"`},
	{"updateIntegration, template", "data.integration_config.valueTemplate", `"Token ${apiKey}"`},
	{"call, template", "status", `200`},

	{"unknown integration, import", "status", `404`},
	{"unknown integration, import", "data.error.code", `"unknown_provider_config"`},

	{"deleteConnection, acme-internal", "data", `{"success":true}`},
	{"deleteConnection, acme-query", "data", `{"success":true}`},
	{"deleteConnection, fixed", "data", `{"success":true}`},
	{"deleteConnection, " + odd, "data", `{"success":true}`},
	{"listConnections, deleted", "connections", `[]`},
	{"deleteIntegration, acme-internal", "data", `{"success":true}`},
	{"deleteIntegration, acme-query", "data", `{"success":true}`},
	{"deleteIntegration, " + odd, "data", `{"success":true}`},
	{"listIntegrations, deleted", "configs.*.unique_key", `["fixed"]`},
}

// expectedRefusal is how a step is refused.
type expectedRefusal struct {
	step   string
	status int
	code   string   // empty: by the upstream, whose answer comes through as it is
	faults []string // of the body: "message @ path"
}

var refused = []expectedRefusal{
	{"wrong secret key", 401, "unknown_account", nil},
	{"wrong secret key, gateway", 401, "unknown_account", nil},
	{"unknown provider", 404, "not_found", nil},
	{"unknown provider, create", 400, "invalid_body", []string{
		"Base URL is required @ integration_config.baseUrl", "Invalid provider @ provider", "Key name is required @ integration_config.keyName",
	}},
	{"unknown integration", 404, "not_found", nil},
	{"unknown integration, update", 404, "not_found", nil},
	{"unknown integration, delete", 404, "not_found", nil},
	{"unknown integration, gateway", 404, "unknown_provider_config", nil},
	{"unknown connection", 404, "not_found", nil},
	{"unknown connection, token", 404, "not_found", nil},
	{"unknown connection, metadata", 404, "not_found", nil},
	{"unknown connection, patch", 404, "not_found", nil},
	{"unknown connection, delete", 404, "not_found", nil},
	{"unknown connection, gateway", 404, "unknown_connection", nil},
	{"ill-formed connection", 400, "bad_connection", nil},
	{"duplicate", 400, "invalid_body", []string{"Unique key already exists @ unique_key"}},
	{"invalid config", 400, "invalid_body", []string{
		"Base URL has an invalid format @ integration_config.baseUrl",
		"Key name has an invalid format @ integration_config.keyName",
		"Key placement must be one of: header, query @ integration_config.keyPlacement",
		"Unknown field keyPath @ integration_config.keyPath",
		"Value template has an invalid format @ integration_config.valueTemplate",
	}},
	{"invalid config, update", 400, "invalid_body", []string{"Key name is required @ integration_config.keyName"}},
	{"of the Caddy config", 409, "conflict", nil},
	{"of the Caddy config, delete", 409, "conflict", nil},
	{"live connections", 409, "conflict", nil},
	{"retry, too often", 400, "bad_header", nil},
	{"override, unlisted", 403, "forbidden", nil},
	{"getConnection, deleted", 404, "not_found", nil},
	{"call, deleted", 404, "unknown_connection", nil},

	{"retry, none", 503, "", nil},
	{"retry, post", 503, "", nil},
	{"refused by the upstream", 404, "", nil},
}

// received are the upstream's requests in their order, as [line] writes them.
// KEY:name stands for a key, and QUERY:name for one in a query.
var received = []string{
	"GET /v1/users?page=2&q=a+b | Api-Key KEY:first | |",
	"GET /v1/users?page=2&q=a%20b | Api-Key KEY:second | |",
	`POST /v1/users | Api-Key KEY:first | application/json | {"name":"Ada"}`,
	"POST /v1/users | Api-Key KEY:first | text/csv | a,b\n1,2\n",
	`PUT /v1/users/1 | Api-Key KEY:first | application/json | {"name":"Ada"}`,
	`PATCH /v1/users/1 | Api-Key KEY:second | application/json | {"name":"Bob"}`,
	`DELETE /v1/users/1 | Api-Key KEY:first | application/json | {"why":"left"}`,
	"DELETE /v1/users/2 | Api-Key KEY:first | |",
	"GET /v1/users | Api-Key KEY:first | |",
	"PROPFIND /v1/files | Api-Key KEY:first | |",
	"POST /search?q=x&api_key=QUERY:query | | application/json | [1]",
	"GET /odd | Bearer KEY:odd | |",
	"GET /fixed | X-Api-Key: KEY:fixed | |",
	"GET /v1/bytes | Api-Key KEY:first | |",
	"GET /v1/script | Api-Key KEY:first | |",

	"GET /v1/busy | Api-Key KEY:first | |",
	"GET /v1/busy | Api-Key KEY:first | |",
	"GET /v1/busy | Api-Key KEY:first | |",
	`PUT /v1/limited | Api-Key KEY:first | application/json | {"n":1}`,
	`PUT /v1/limited | Api-Key KEY:first | application/json | {"n":1}`,
	"GET /v1/teapot | Api-Key KEY:second | |",
	"GET /v1/teapot | Api-Key KEY:second | |",
	"GET /v1/down | Api-Key KEY:first | |",
	"POST /v1/down | Api-Key KEY:first | application/json | {}",
	"GET /v2/users | Api-Key KEY:first | |",
	"GET /v1/absent | Api-Key KEY:first | |",

	"GET /v1/again | Api-Key KEY:again | |",
	"GET /v1/rotated | Api-Key KEY:rotated | |",
	"GET /v1/template | Token KEY:rotated | |",
}
