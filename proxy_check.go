package apikeyinject

// This file holds what the embedded reverse_proxy and its transport must not be
// given.

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
)

// checkProxy refuses what the embedded reverse_proxy must not be given: other
// upstreams, and header operations on the header that carries the key.
func checkProxy(raw json.RawMessage, p *inject.Placement) error {
	o, err := parseObject(raw)
	if err != nil {
		return &fieldError{"proxy", err}
	}
	if name, ok := o["handler"]; ok && string(name) != `"reverse_proxy"` {
		return wrong("proxy.handler", "must be reverse_proxy, not %s", name)
	}
	for _, name := range []string{"upstreams", "dynamic_upstreams"} {
		if _, ok := o[name]; ok {
			return wrong("proxy."+name, "is not allowed: the upstream is base_url")
		}
	}
	if err := checkTransport("proxy.transport", o["transport"]); err != nil {
		return err
	}
	return checkHeaderUp(o["headers"], p)
}

// checkTransport refuses base transports other than http, and the options of it
// that would tell the upstream who calls.
func checkTransport(field string, raw json.RawMessage) error {
	o, err := parseObject(raw)
	if err != nil {
		return &fieldError{field, err}
	}
	if name, ok := o["protocol"]; ok && string(name) != `"http"` {
		return wrong(field+".protocol", "must be http, not %s; this plugin's own transport is put around it", name)
	}
	if _, ok := o["proxy_protocol"]; ok {
		return wrong(field+".proxy_protocol", "is not allowed: it would tell the upstream who calls")
	}
	return nil
}

// checkGuarded refuses the options of a base transport that would connect past
// the egress policy.
func checkGuarded(raw json.RawMessage) error {
	o, err := parseObject(raw)
	if err != nil {
		return &fieldError{"transport", err}
	}
	var versions []string
	_ = json.Unmarshal(o["versions"], &versions) // Caddy's own decoder has read them
	if slices.Contains(versions, "3") {
		return wrong("transport.versions", "3 is not allowed where egress decides: HTTP/3 would connect past it")
	}
	if name, ok := o["network_proxy"]; ok && string(name) != `{"from":"none"}` || o["forward_proxy_url"] != nil {
		return wrong("transport.network_proxy", "is not allowed where egress decides: the proxy would connect, not this Caddy")
	}
	for _, field := range []string{"local_address", "resolver"} {
		if _, ok := o[field]; ok {
			return wrong("transport."+field, "is not allowed where egress decides")
		}
	}
	if strings.Contains(string(o["tls"]), "{http.") {
		return wrong("transport.tls", "holds a placeholder of a request, which is not allowed where egress decides")
	}
	return nil
}

// checkHeaderUp refuses header operations on the header that carries the key:
// they would be without effect, which nobody who writes one expects.
func checkHeaderUp(headers json.RawMessage, p *inject.Placement) error {
	var h struct {
		Request struct {
			Add     map[string]json.RawMessage `json:"add"`
			Set     map[string]json.RawMessage `json:"set"`
			Delete  []string                   `json:"delete"`
			Replace map[string]json.RawMessage `json:"replace"`
		} `json:"request"`
	}
	if len(headers) == 0 {
		return nil
	}
	if err := json.Unmarshal(headers, &h); err != nil {
		return wrong("proxy.headers", "is no JSON object of header operations")
	}
	names := slices.Concat(slices.Collect(maps.Keys(h.Request.Add)), slices.Collect(maps.Keys(h.Request.Set)),
		h.Request.Delete, slices.Collect(maps.Keys(h.Request.Replace)))
	for _, name := range names {
		if p != nil && p.Replaces(name) {
			return wrong("proxy.headers.request", "header_up of %s is not allowed: that header carries the key", name)
		}
	}
	return nil
}
