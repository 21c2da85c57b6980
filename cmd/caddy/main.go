// Command caddy is Caddy's standard distribution with this plugin.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/apikeyinject/caddy-apikey-inject"
)

func main() {
	caddycmd.Main()
}
