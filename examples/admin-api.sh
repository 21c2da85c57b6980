#!/bin/sh
# JSON through the admin API: a gateway is loaded, and then one field of it
# changed while it serves.
#
# Caddy runs without a configuration file (`caddy run`), with VAULT_ADDR and
# VAULT_TOKEN in its environment:
#
#   vault kv put secret/acme/prod apiKey=...
#   ./admin-api.sh
#   curl http://localhost:8080/invoices
#
# What arrives: GET /v1/invoices, at first with `Authorization: Api-Key <the
# key>`, after the PATCH with `Authorization: Bearer <the key>`.
set -eu
ADMIN=${ADMIN:-http://localhost:2019}
PORT=${PORT:-8080}
ACME_URL=${ACME_URL:-https://api.acme.com/v1}

curl -fsS "$ADMIN/load" -H "Content-Type: application/json" -d @- <<JSON
{
	"apps": {
		"apikey_inject": {
			"integrations": {
				"acme-internal": {
					"@id": "acme",
					"base_url": "$ACME_URL",
					"key_name": "Authorization",
					"value_template": "Api-Key \${apiKey}",
					"key": {"path": "acme/prod", "field": "apiKey"},
					"allow": {"anyone": true}
				}
			}
		},
		"http": {
			"servers": {
				"gateway": {
					"listen": ["127.0.0.1:$PORT"],
					"routes": [
						{"handle": [{"handler": "apikey_inject", "integration": "acme-internal"}]}
					]
				}
			}
		}
	}
}
JSON

curl -fsS -X PATCH "$ADMIN/id/acme/value_template" -H "Content-Type: application/json" \
	-d '"Bearer ${apiKey}"'
