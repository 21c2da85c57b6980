package apikeyinject

// This file holds the upstreams of requests that each have a base URL of their
// own.

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

func init() {
	caddy.RegisterModule(Upstreams{})
}

// Upstreams tells reverse_proxy where the injection of a request leads. The
// `apikey_inject` handler configures it into its own proxy; there is no need to
// write it.
type Upstreams struct{}

// CaddyModule returns the Caddy module information.
func (Upstreams) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.upstreams.apikey_inject",
		New: func() caddy.Module { return new(Upstreams) },
	}
}

// GetUpstreams returns the one upstream of a request that carries an injection,
// and none for any other. It does no I/O.
func (Upstreams) GetUpstreams(r *http.Request) ([]*reverseproxy.Upstream, error) {
	ex, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil, nil
	}
	return []*reverseproxy.Upstream{{Dial: ex.ren.base.Dial}}, nil
}

// Interface guard
var _ reverseproxy.UpstreamSource = Upstreams{}
