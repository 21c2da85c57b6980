package apikeyinject

// This file holds the admin endpoint's answer to what would become of a request.

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

const adminExplain = adminPrefix + "explain"

// explainRequest is the request to explain. It comes in a body: URLs and
// headers of the admin endpoint are logged.
type explainRequest struct {
	// Default: `GET`.
	Method string `json:"method,omitempty"`

	// As a client would write it, with scheme and host. Required.
	URL string `json:"url,omitempty"`

	Headers map[string][]string `json:"headers,omitempty"`
}

// serveExplain answers what would become of a request.
func (*adminAPI) serveExplain(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return apiError(http.StatusMethodNotAllowed, errors.New("method not allowed"))
	}
	q := new(explainRequest)
	if err := readAdminBody(w, r, q, `{"url": "https://gateway/acme/users"}`); err != nil {
		return apiError(http.StatusBadRequest, err)
	}
	req, err := q.request(ctx)
	if err != nil {
		return apiError(http.StatusBadRequest, err)
	}
	mod, err := caddy.ActiveContext().AppIfConfigured("http")
	if err != nil {
		return apiError(http.StatusNotFound, errors.New("the configuration that runs serves no HTTP"))
	}
	e, err := explainOn(mod.(*caddyhttp.App), req)
	if errors.Is(err, errNoServer) {
		return apiError(http.StatusNotFound, err)
	}
	if err != nil {
		return apiError(http.StatusInternalServerError, err)
	}
	return writeAdmin(w, e)
}

// request makes the request that a server would get, without a connection.
func (q *explainRequest) request(ctx context.Context) (*http.Request, error) {
	u, err := url.Parse(q.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, wrong("url", "must be whole, such as https://gateway.internal/acme/users")
	}
	if q.Method == "" {
		q.Method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(ctx, q.Method, "/", http.NoBody)
	if err != nil {
		return nil, wrong("method", "is no HTTP method")
	}
	// As a server reads it: a path of two slashes is no host.
	if r.URL, err = url.ParseRequestURI(u.RequestURI()); err != nil {
		return nil, wrong("url", "has a path that cannot be sent")
	}
	r.Host, r.RequestURI, r.RemoteAddr = u.Host, u.RequestURI(), "127.0.0.1:1"
	if u.Scheme == "https" {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true, Version: tls.VersionTLS13, ServerName: u.Hostname()}
	}
	for name, values := range q.Headers {
		for _, v := range values {
			if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(v) {
				return nil, wrong("headers", "has a name or value that no client can send")
			}
			r.Header.Add(name, v)
		}
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
		r.Header.Del("Host")
	}
	return r, nil
}

// explainOn finds the route of a request and has it explain.
func explainOn(app *caddyhttp.App, r *http.Request) (*explanation, error) {
	u := *r.URL
	u.Scheme, u.Host = "http", r.Host
	if r.TLS != nil {
		u.Scheme = "https"
	}
	e := &explanation{Method: r.Method, URL: u.String()}
	name, srv, err := serverFor(app, &u)
	if err != nil {
		return nil, err
	}
	e.Server = name
	e.dropAmbiguous(srv, r)
	repl := caddy.NewReplacer()
	w := newExplainWriter()
	k := &walk{srv: srv, w: w, r: caddyhttp.PrepareRequest(r, repl, w, srv), groups: make(map[string]bool), e: e}
	if _, err := k.routes("apps/http/servers/"+name+"/routes", srv.Routes); err != nil {
		return nil, err
	}
	switch {
	case k.found != nil:
		k.found.explain(k.r, repl, e)
	case e.AnsweredBy == "":
		e.AnsweredBy = "no route: Caddy's own empty answer"
	}
	return e, nil
}

// dropAmbiguous takes off what Caddy's server takes off before any route:
// headers with an underscore or a dot, which some programs read as hyphens. A
// server that expects such headers is taken to expect these.
func (e *explanation) dropAmbiguous(srv *caddyhttp.Server, r *http.Request) {
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if strings.Contains(name, "_") && len(srv.ExpectedUnderscoreHeaders) == 0 ||
			strings.Contains(name, ".") && len(srv.ExpectedDotHeaders) == 0 {
			r.Header.Del(name)
			e.LeftOut = append(e.LeftOut, explainedHeader{Name: name, Why: "Caddy takes no header with an underscore or a dot, unless it expects one"})
		}
	}
}
