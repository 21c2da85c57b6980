package main

// This file holds what the demo tells the person who started it.

import "strings"

// text says what runs, what to try, and what to do next.
func (d *demo) text() string {
	return strings.NewReplacer(
		"GATEWAY", d.gateway, "UPSTREAM", d.upstream.Addr().String(), "ADMIN", d.adminAddr, "FILE", d.file,
		"ACMEEND", end(d.acmeKey), "WEATHEREND", end(d.weatherKey),
	).Replace(`
  caller   ──▶   Caddy                   ──▶   demo API
  no key         takes it from its store       shows what it received,
                 and puts it on                keys masked but for the end

  Caddy      http://GATEWAY
  demo API   http://UPSTREAM

TRY THIS in another terminal

  1. A key in a header. You send none; the API gets one that ends in ACMEEND.

     curl http://GATEWAY/acme/users/42

  2. A key in the query, beside your own parameters. It ends in WEATHEREND.

     curl 'http://GATEWAY/weather/today?city=Oslo'

  3. A caller cannot set the header, nor have it taken off again.

     curl -H 'X-Api-Key: mine-instead' -H 'Connection: X-Api-Key' http://GATEWAY/acme/users/42

  4. The user billing may call. Its password stays at Caddy.

     curl -u billing:demo http://GATEWAY/billing/invoices

  5. The user guest may not: 403, and the API hears nothing.

     curl -i -u guest:demo http://GATEWAY/billing/invoices

  6. A new key, used from the next request on: no reload, it ends in 5678.
     (With a Caddy of your own: caddy apikey-inject set demo/acme)

     echo '{"path":"demo/acme","key":"rotated-key-5678"}' | curl -X PUT --data-binary @- http://ADMIN/apikey_inject/keys
     curl http://GATEWAY/acme/users/42

  The configuration of all this: FILE

NEXT: your API and your Vault

  Put a key where Caddy will look for it (it is read from the terminal):

     export VAULT_ADDR=https://vault.example:8200 VAULT_TOKEN=...
     vault kv put -mount=secret acme/prod apiKey=-

  Save this as Caddyfile, with your API in it:

     http://127.0.0.1:8080 {
     	bind 127.0.0.1
     	apikey_inject /acme/* https://api.acme.com {
     		strip_prefix /acme
     		name X-Api-Key
     		template "Api-Key ${apiKey}"
     		key acme/prod
     		allow anyone
     	}
     }

  And run it:

     make build && bin/caddy run --config Caddyfile

  No Vault? docs/local.md keeps keys as this demo does.
  A key per customer, integrations made by API? docs/api.md, and examples/gateway.caddyfile to begin with.

Ctrl-C stops the demo and removes what it wrote.
`)
}

// end is as much of a key as may be shown.
func end(key string) string { return key[len(key)-4:] }
