package apikeyinject

// This file holds how the configuration of the embedded reverse_proxy is put
// together: the operator's options, our upstream, our transport around theirs,
// and our defaults where they wrote none.

import (
	"encoding/json"
	"fmt"
	"strings"
)

// object is a JSON object whose values are left as they are.
type object map[string]json.RawMessage

func parseObject(raw json.RawMessage) (object, error) {
	o := object{}
	if len(raw) == 0 {
		return o, nil
	}
	if err := json.Unmarshal(raw, &o); err != nil || o == nil { // null
		return nil, fmt.Errorf("is no JSON object")
	}
	for name := range o {
		// encoding/json takes any casing for a field, and so would reverse_proxy
		// for one that is looked for, and refused, here.
		if strings.ToLower(name) != name {
			return nil, fmt.Errorf("unknown field %q; fields are written in lower case", name)
		}
	}
	return o, nil
}

// raw returns the object's JSON.
func (o object) raw() json.RawMessage {
	raw, err := json.Marshal(o)
	if err != nil {
		panic(err) // it was made of JSON
	}
	return raw
}

// set sets a field to the JSON of v.
func (o object) set(name string, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // only strings, bools, and objects of them are set
	}
	o[name] = raw
}

// setDefault sets a field the operator did not write.
func (o object) setDefault(name string, v any) {
	if _, ok := o[name]; !ok {
		o.set(name, v)
	}
}

// proxyConfig returns the whole configuration of the embedded proxy.
func proxyConfig(raw json.RawMessage, t *target) (json.RawMessage, error) {
	if err := checkProxy(raw, t.plan.placement); err != nil {
		return nil, err
	}
	o, err := parseObject(raw)
	if err != nil {
		return nil, err
	}
	base, err := baseTransport(o["transport"], t.integration)
	if err != nil {
		return nil, err
	}
	transport := map[string]any{"protocol": "apikey_inject", "base": base}
	switch guardOf(t.integration, t.plan) {
	case guardEgress:
		transport["egress"] = true
	case guardNothing:
		transport["insecure_http"] = true
	case guardClear:
	}
	if t.base == nil {
		o.set("dynamic_upstreams", map[string]string{"source": "apikey_inject"})
	} else {
		o.set("upstreams", []map[string]string{{"dial": t.base.Dial}})
		transport["base_url"] = t.base.String()
	}
	return o.finish(transport), nil
}

// choiceProxyConfig is proxyConfig for a route whose integration is chosen per
// request.
func choiceProxyConfig(raw json.RawMessage) (json.RawMessage, error) {
	if err := checkProxy(raw, nil); err != nil {
		return nil, err
	}
	o, err := parseObject(raw)
	if err != nil {
		return nil, err
	}
	base, err := parseObject(o["transport"])
	if err != nil {
		return nil, &fieldError{"proxy.transport", err}
	}
	base.set("protocol", "http")
	o.set("dynamic_upstreams", map[string]string{"source": "apikey_inject"})
	return o.finish(map[string]any{"protocol": "apikey_inject", "base": base}), nil
}

// finish adds our transport to the configuration of a proxy.
func (o object) finish(transport map[string]any) json.RawMessage {
	o.set("handler", "reverse_proxy")
	o.set("transport", transport)
	// A reload must not cut every WebSocket at once.
	o.setDefault("stream_close_delay", "1h")
	return o.raw()
}

// baseTransport returns the operator's transport, from the route's block or
// the integration.
func baseTransport(ofRoute json.RawMessage, i *Integration) (object, error) {
	raw, field := ofRoute, "proxy.transport"
	if len(i.TransportRaw) > 0 {
		if len(ofRoute) > 0 {
			return nil, wrong("proxy.transport", "is not allowed: the integration has a transport of its own")
		}
		raw, field = i.TransportRaw, "transport"
	}
	o, err := parseObject(raw)
	if err != nil {
		return nil, &fieldError{field, err}
	}
	o.set("protocol", "http")
	if i.ResponseCompression {
		o.setDefault("compression", true)
	}
	return o, nil
}

// baseDefaults puts our defaults under the base transport's own options, where
// Caddy's would cost requests or show a key to a proxy.
func baseDefaults(raw json.RawMessage) (json.RawMessage, error) {
	o, err := parseObject(raw)
	if err != nil {
		return nil, &fieldError{"base", err}
	}
	if err := checkTransport("base", raw); err != nil {
		return nil, err
	}
	o.setDefault("protocol", "http")
	// Bytes pass as they came.
	o.setDefault("compression", false)
	// The pool has to hold a burst's connections, or every burst dials anew.
	if err := o.nested("keep_alive", "max_idle_conns_per_host", 512); err != nil {
		return nil, err
	}
	o.setDefault("dial_timeout", "5s")
	// Present even for http: the scheme of each request decides, and TLS
	// options are then the only thing to configure.
	if err := o.nested("tls", "handshake_timeout", "5s"); err != nil {
		return nil, err
	}
	// Long answers of language models begin late.
	o.setDefault("response_header_timeout", "10m")
	// A proxy out of the environment would see the key.
	if _, ok := o["forward_proxy_url"]; !ok {
		o.setDefault("network_proxy", map[string]string{"from": "none"})
	}
	return json.Marshal(o)
}

// nested sets a default inside an object that may itself be missing.
func (o object) nested(outer, name string, v any) error {
	in, err := parseObject(o[outer])
	if err != nil {
		return &fieldError{"transport." + outer, err}
	}
	in.setDefault(name, v)
	o.set(outer, in)
	return nil
}
