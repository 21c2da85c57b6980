package main

// This file holds what the demo consists of: addresses, keys, and the
// configuration.

import (
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"
)

type demo struct {
	upstream  net.Listener
	api       *http.Server
	gateway   string // host:port
	adminAddr string
	file      string // the Caddyfile

	acmeKey, weatherKey string
}

// newDemo chooses ports and keys. Only the demo API's port is already taken:
// Caddy's are looked for and given back.
func newDemo() (*demo, error) {
	d := &demo{acmeKey: "acme-" + rand.Text(), weatherKey: "weather-" + rand.Text()}
	d.api = &http.Server{Handler: http.HandlerFunc(show), ReadHeaderTimeout: 10 * time.Second}
	var err error
	if d.upstream, err = listen(upstreamPort); err != nil {
		return nil, err
	}
	gateway, err := listen(gatewayPort)
	if err != nil {
		return nil, err
	}
	admin, err := listen(adminPort)
	if err != nil {
		return nil, err
	}
	d.gateway, d.adminAddr = gateway.Addr().String(), admin.Addr().String()
	return d, errors.Join(gateway.Close(), admin.Close())
}

// passwordHash is that of the password "demo", at a cost that answers at once.
// Nothing but the demo's own route opens with it.
const passwordHash = "$2a$10$1FSW/d4sdFBDtSQGROs26uBTRM.DELD6EAsmAxC2KE3VBVq3GjL9W"

func (d *demo) caddyfile() string {
	return strings.NewReplacer(
		"GATEWAY", d.gateway, "UPSTREAM", d.upstream.Addr().String(), "ADMIN", d.adminAddr, "PASSWORD", passwordHash,
	).Replace(`{
	admin ADMIN
	persist_config off
	log {
		level ERROR
	}

	apikey_inject {
		store local

		integration acme http://UPSTREAM/v1 {
			display_name "Acme (demo)"
			name X-Api-Key
			template "Api-Key ${apiKey}"
			key demo/acme
		}
		integration weather http://UPSTREAM/v2 {
			display_name "Weather (demo)"
			placement query
			name appid
			key demo/weather
		}
	}
}

http://GATEWAY {
	bind 127.0.0.1

	# Whoever reaches this server, which is this machine alone.
	apikey_inject /acme/* acme {
		strip_prefix /acme
		allow anyone
	}
	apikey_inject /weather/* weather {
		strip_prefix /weather
		allow anyone
	}

	# Two users can log in; one of them may call.
	basic_auth /billing/* {
		billing PASSWORD
		guest PASSWORD
	}
	apikey_inject /billing/* acme {
		strip_prefix /billing
		allow user billing
	}
}
`)
}
