package main

// This file holds what is measured: an upstream, a Vault that knows one key, and
// a Caddy with one route for each way to put that key on a request.

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/apikeyinject/caddy-apikey-inject"
)

// The routes, in the order of the table.
const (
	routeDefaults = "reverse_proxy, Caddy's defaults"
	routeSame     = "reverse_proxy, same pool, compression off"
	routeHeader   = "apikey_inject, header"
	routeQuery    = "apikey_inject, query"
)

var routes = []struct{ name, path string }{
	{routeDefaults, "/defaults"}, {routeSame, "/same"}, {routeHeader, "/header"}, {routeQuery, "/query"},
}

// benchKey is no secret: it opens the upstream below, and nothing else.
const benchKey = "bench-key-0123456789abcdef"

// config is the Caddyfile; %[1]d is the port, %[2]s the upstream.
const config = `{
	admin off
	persist_config off
	auto_https off
	log {
		output discard
	}
	apikey_inject {
		store vault
	}
}
http://127.0.0.1:%[1]d {
	handle /defaults {
		reverse_proxy %[2]s {
			header_up Authorization "Bearer {env.BENCH_KEY}"
		}
	}
	handle /same {
		reverse_proxy %[2]s {
			header_up Authorization "Bearer {env.BENCH_KEY}"
			transport http {
				compression off
				keepalive_idle_conns_per_host 512
			}
		}
	}
	handle /header {
		apikey_inject http://%[2]s {
			name Authorization
			template "Bearer ${apiKey}"
			key bench apiKey
			allow anyone
		}
	}
	handle /query {
		apikey_inject http://%[2]s {
			placement query
			name appid
			key bench apiKey
			allow anyone
		}
	}
	handle {
		respond 404
	}
}
`

// site is everything that runs for a measurement.
type site struct {
	addr  string // of Caddy
	stops []func()
}

func (s *site) stop() {
	for _, f := range s.stops {
		f()
	}
}

// startSite starts the servers, on loopback only.
func startSite() (_ *site, err error) {
	s := new(site)
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	upstream, err := s.serve(upstream)
	if err != nil {
		return nil, err
	}
	vault, err := s.serve(vault)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{"VAULT_ADDR": "http://" + vault, "VAULT_TOKEN": "bench", "BENCH_KEY": benchKey} {
		if err := os.Setenv(name, value); err != nil {
			return nil, fmt.Errorf("setting %s: %w", name, err)
		}
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(fmt.Appendf(nil, config, port, upstream), nil)
	if err != nil {
		return nil, fmt.Errorf("adapting the configuration: %w", err)
	}
	if err := caddy.Load(adapted, true); err != nil {
		return nil, fmt.Errorf("starting Caddy: %w", err)
	}
	s.stops = append(s.stops, func() { _ = caddy.Stop() })
	s.addr = fmt.Sprintf("127.0.0.1:%d", port)
	return s, nil
}

func (s *site) serve(h http.HandlerFunc) (addr string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listening: %w", err)
	}
	srv := &http.Server{Handler: h} //nolint:gosec // its clients are our own
	go func() { _ = srv.Serve(l) }()
	s.stops = append(s.stops, func() { _ = srv.Close() })
	return l.Addr().String(), nil
}

// freePort returns a port that was free a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("looking for a port: %w", err)
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.New("looking for a port: not a TCP listener")
	}
	return addr.Port, l.Close()
}

// upstream answers whoever has the key, so that a route that lost it is found
// out.
func upstream(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+benchKey && r.URL.RawQuery != "page=2&limit=50&appid="+benchKey {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	h := w.Header()
	h["Content-Type"] = []string{"text/plain"}
	_, _ = w.Write([]byte("ok"))
}

// vault answers the few questions of a KV engine with one key. What it is asked
// during a measurement is nothing.
func vault(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch path := strings.TrimPrefix(r.URL.Path, "/v1/"); {
	case strings.HasPrefix(path, "sys/internal/ui/mounts/"):
		fmt.Fprint(w, `{"data": {"path": "secret/", "type": "kv", "options": {"version": "2"}}}`)
	case path == "secret/data/bench":
		fmt.Fprintf(w, `{"data": {"data": {"apiKey": %q}, "metadata": {"version": 1, "created_time": "2026-01-01T00:00:00Z"}}}`, benchKey)
	case path == "auth/token/lookup-self":
		fmt.Fprint(w, `{"data": {"ttl": 0, "renewable": false, "policies": ["bench"]}}`)
	case path == "sys/health":
		fmt.Fprint(w, `{"initialized": true, "sealed": false, "standby": false, "version": "1.21.0"}`)
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"errors": []}`)
	}
}
