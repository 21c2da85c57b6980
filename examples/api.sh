#!/bin/sh
# The API, from an integration to a call: create it, change it, enter a
# customer's key, call.
#
# Caddy runs with gateway.caddyfile or gateway-vault-postgres.caddyfile, and the
# same OPS_TOKEN and AGENTS_TOKEN. The key is one line on standard input:
#
#   ./api.sh < key.txt
#
# What arrives: GET /v1/invoices?open=true with `Authorization: Bearer <the key>`.
set -eu
API=${API:-http://localhost:8080}
ACME_URL=${ACME_URL:-https://api.acme.com/v1}
IFS= read -r KEY

# Tokens and keys are never arguments, which every user of the machine can read:
# the token comes in by descriptor 3, the body on standard input.
call() {
	token=$1
	shift
	curl -fsS -H @/dev/fd/3 "$@" 3<<TOKEN
Authorization: Bearer $token
TOKEN
	echo
}
send() {
	call "$OPS_TOKEN" -H "Content-Type: application/json" -d @- "$@"
}

send "$API/integrations" <<JSON
{
	"provider": "private-api-generic",
	"unique_key": "acme-internal",
	"display_name": "Acme Internal API",
	"integration_config": {
		"baseUrl": "$ACME_URL",
		"keyPlacement": "header",
		"keyName": "Authorization",
		"valueTemplate": "Api-Key \${apiKey}",
		"keyLabel": "Acme API Key"
	}
}
JSON

send -X PATCH "$API/integrations/acme-internal" <<'JSON'
{"integration_config": {"valueTemplate": "Bearer ${apiKey}"}}
JSON

# A key with " or \ in it has to be escaped as JSON wants it.
send "$API/connections" <<JSON
{
	"provider_config_key": "acme-internal",
	"connection_id": "customer-7",
	"credentials": {"type": "API_KEY", "apiKey": "$KEY"},
	"end_user": {"id": "user-7", "email": "ada@customer.example"}
}
JSON

call "$AGENTS_TOKEN" "$API/proxy/invoices?open=true" \
	-H "Provider-Config-Key: acme-internal" -H "Connection-Id: customer-7"
