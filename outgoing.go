package apikeyinject

// This file holds the copy of a request that the embedded proxy gets: the
// caller's own credentials and address left out. The request itself is never
// changed: access logs, log_append and error routes read it.

import (
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/http/httpguts"

	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
)

// outgoing returns the request to hand to the proxy.
func (t *target) outgoing(r *http.Request, ex *exchange) (*http.Request, error) {
	out := r.WithContext(ex)
	out.Header = t.outgoingHeader(r)
	if ex.call != nil {
		ex.call.forward(t, r.Header, out.Header)
	}

	// Header operations of the operator act on this host; the client's own
	// never reaches the upstream.
	out.Host = ex.ren.base.Host

	if t.stripPrefix != "" {
		if rest, ok := inject.StripPrefix(inject.EscapedPath(r.URL), t.stripPrefix); ok {
			u := new(url.URL)
			*u = *r.URL
			if err := inject.SetEscapedPath(u, rest); err != nil {
				return nil, err
			}
			out.URL = u
		}
	}
	if len(r.Trailer) > 0 {
		t.filterTrailers(r, out)
	}
	return out, nil
}

// headers holds the maps of requests that have ended. Making one is a fifth of
// what the plugin costs a request. They hold no key.
var headers = sync.Pool{New: func() any { return make(http.Header, 16) }}

// endHeader gives back what outgoingHeader returned. reverse_proxy sends clones
// of it, and keeps none of it once it has returned. Other handlers, which
// handle_response may name, could keep it.
func (h *Handler) endHeader(m http.Header) {
	const large = 64 // clearing a map takes as long as it once was
	if !h.reuseHeaders || len(m) > large {
		return
	}
	clear(m)
	headers.Put(m)
}

// outgoingHeader copies the header but for what does not go upstream. The
// values are shared: reverse_proxy clones them before it changes any.
func (t *target) outgoingHeader(r *http.Request) http.Header {
	dst := headers.Get().(http.Header)
	for name, values := range r.Header {
		if !t.leavesOut(name) {
			dst[name] = values
		}
	}
	// A client that names a header in Connection would take off what is set
	// below, and later the markers; so its wish is fulfilled here.
	if lines, ok := r.Header["Connection"]; ok {
		for _, line := range lines {
			for name := range strings.SplitSeq(line, ",") {
				delete(dst, textproto.CanonicalMIMEHeaderKey(textproto.TrimString(name)))
			}
		}
		if isWebSocket(r) {
			dst["Connection"] = upgradeValue
			dst["Upgrade"] = webSocketValue
		}
	}
	if !t.integration.ForwardedHeaders {
		// A nil value tells reverse_proxy not to add the header, and leaves an
		// operator's header_up free to.
		for _, name := range forwardedFor {
			dst[name] = nil
		}
	}
	return dst
}

var (
	forwardedFor   = [...]string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}
	upgradeValue   = []string{"Upgrade"}
	webSocketValue = []string{"websocket"}
)

// isWebSocket tells whether the client asks for a WebSocket. Every other
// upgrade, h2c before all, would be a tunnel past everything checked here.
func isWebSocket(r *http.Request) bool {
	upgrade := r.Header["Upgrade"]
	return len(upgrade) > 0 && strings.EqualFold(upgrade[0], "websocket") &&
		httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade")
}

// tracesOrConnects tells whether a method would show the key to the caller, or
// open a tunnel. Some servers read methods without regard to case.
func tracesOrConnects(method string) bool {
	return strings.EqualFold(method, http.MethodTrace) || strings.EqualFold(method, http.MethodConnect)
}

// neverSent are headers that no upstream gets: those of the connection, the
// gateway's own, and those that some servers read instead of the path we checked.
var neverSent = []string{
	"Connection", "Upgrade", "Http2-Settings",
	"Provider-Config-Key", "Connection-Id",
	"X-Original-Url", "X-Rewrite-Url",
}

// forwardedPrefix begins the names of a family of headers about the caller.
const forwardedPrefix = "X-Forwarded-"

// leftOut returns the names of the client's headers that do not go upstream, by
// their length: by that alone most headers are none of them.
func (t *target) leftOut() [][]string {
	names := slices.Concat(neverSent, t.readHeaders)
	if t.ofGateway {
		names = append(names, gatewayOwn...)
	}
	if !t.integration.ForwardCredentials {
		names = append(names, "Authorization", "Proxy-Authorization", "Cookie")
	}
	if !t.integration.ForwardedHeaders {
		names = append(names, "Forwarded", "X-Real-Ip", "Via")
	}
	if !t.plan.placement.InQuery() {
		names = append(names, t.plan.placement.Name())
	}
	var byLength [][]string
	for _, name := range names {
		for len(byLength) <= len(name) {
			byLength = append(byLength, nil)
		}
		byLength[len(name)] = append(byLength[len(name)], name)
	}
	return byLength
}

// leavesOut tells whether a header of the client does not go upstream, whatever
// its casing and whether it has hyphens or underscores, which CGI and its like
// read as one.
func (t *target) leavesOut(name string) bool {
	if len(name) < len(t.leaves) {
		for _, other := range t.leaves[len(name)] {
			if inject.SameHeader(other, name) {
				return true
			}
		}
	}
	if t.ofGateway && len(name) >= len(nangoPrefix) && inject.SameHeader(name[:len(nangoPrefix)], nangoPrefix) {
		return true
	}
	return !t.integration.ForwardedHeaders && len(name) >= len(forwardedPrefix) &&
		inject.SameHeader(name[:len(forwardedPrefix)], forwardedPrefix)
}

// filterTrailers leaves out the declared trailers that would also be left out
// as headers, our own name before all, and every undeclared one. Their values
// are there only once the body is read.
func (t *target) filterTrailers(r, out *http.Request) {
	out.Trailer = nil
	for name := range r.Trailer {
		if t.leavesOut(name) {
			continue
		}
		if out.Trailer == nil {
			out.Trailer = make(http.Header, len(r.Trailer))
		}
		out.Trailer[name] = nil
	}
	if r.Body != nil && out.Trailer != nil {
		out.Body = &trailerFilter{ReadCloser: r.Body, from: r.Trailer, to: out.Trailer}
	}
}

// trailerFilter fills in the declared trailers at the end of the body.
type trailerFilter struct {
	io.ReadCloser
	from, to http.Header
}

func (f *trailerFilter) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if err == io.EOF {
		for name := range f.to {
			f.to[name] = f.from[name]
		}
	}
	return n, err
}
