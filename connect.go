package apikeyinject

// This file holds the handler of the Connect page's site.

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/apikeyinject/caddy-apikey-inject/internal/api"
	"github.com/apikeyinject/caddy-apikey-inject/web"
)

func init() {
	caddy.RegisterModule(new(Connect))
}

// Connect serves the Connect page, and what an end user needs to enter a key with the token of
// a connect session, and nothing else: no token of the API is of use here.
type Connect struct {
	// Origins of the pages that may show this site in a frame. Default: none.
	FrameAncestors []string `json:"frame_ancestors,omitempty"`

	// Origins of the pages that may enter keys with a form of their own, or with
	// `nango.auth()`. Default: none.
	AllowedOrigins []string `json:"allowed_origins,omitempty"`

	// Whose page it is. Default: nobody's.
	Brand *Brand `json:"brand,omitempty"`

	// How often calls from one client address may fail. Default: 100 in 10m.
	Failures *FailureLimit `json:"failures,omitempty"`

	failures failureCount
	brand    *brand
	api      *api.API
	policy   string // Content-Security-Policy
	page     []byte
}

// CaddyModule returns the Caddy module information.
func (*Connect) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.apikey_inject_connect",
		New: func() caddy.Module { return new(Connect) },
	}
}

// UnmarshalJSON refuses unknown fields with the nearest known one.
func (c *Connect) UnmarshalJSON(data []byte) error {
	type plain Connect
	return decodeStrict(data, (*plain)(c))
}

func (c *Connect) check() error {
	if err := checkOrigins("frame_ancestors", c.FrameAncestors); err != nil {
		return err
	}
	if err := checkOrigins("allowed_origins", c.AllowedOrigins); err != nil {
		return err
	}
	if err := c.Failures.check(); err != nil {
		return err
	}
	_, err := c.Brand.check()
	return err
}

// checkOrigins refuses what is no origin. A policy could be ended, or opened for
// more, by what is.
func checkOrigins(field string, list []string) error {
	for _, origin := range list {
		if err := checkOrigin(origin); err != nil {
			return &fieldError{field, err}
		}
		if strings.ContainsAny(origin, " ;,'\"") {
			return &fieldError{field, fmt.Errorf("%q is no origin", origin)}
		}
	}
	return nil
}

// Provision reads the configuration, and nothing else.
func (c *Connect) Provision(ctx caddy.Context) error {
	if err := c.check(); err != nil {
		return err
	}
	app, err := loadApp(ctx)
	if err != nil {
		return err
	}
	app.useAPI()
	c.failures = c.Failures.counter(ctx.Logger())
	c.api = app.newAPI(api.Config{Catalog: apiCatalog{app}})
	if c.brand, err = c.Brand.load(); err != nil {
		return err
	}
	c.policy = policy(c.FrameAncestors, c.brand.logoSource)
	var page bytes.Buffer
	if err := web.ConnectPage.Execute(&page, web.ConnectData{Parents: c.FrameAncestors, Brand: c.brand.Brand}); err != nil {
		return fmt.Errorf("writing the Connect page: %w", err)
	}
	c.page = page.Bytes()
	return nil
}

// policy returns the Content-Security-Policy of the page.
func policy(ancestors []string, picture string) string {
	if len(ancestors) == 0 {
		ancestors = []string{"'none'"}
	}
	pictures := strings.TrimSpace("'self' " + picture)
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src " + pictures + "; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors " + strings.Join(ancestors, " ")
}

// ServeHTTP answers with the page or one of its files, or a call with the token
// of a connect session.
func (c *Connect) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if carriesSession(r, "") {
		skipLog(r)
	}
	c.guard(w.Header())
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && c.serveFile(w, r) {
		return nil
	}
	shared := c.share(w.Header(), r)
	switch {
	case shared && r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "":
		w.WriteHeader(http.StatusNoContent)
	case !shared && otherSite(r):
		(&api.Error{Status: http.StatusForbidden, Code: "forbidden", Message: "Pages of this origin may not use this site"}).Write(w)
	default:
		c.failures.serve(w, r, c.api.ServeConnect)
	}
	return nil
}

// otherSite tells whether a browser says that another site's page sent this. Its
// failures would count for the address of whoever looks at that page. An Origin
// alone says less: the site's own, before a proxy that changes Host, is unknown.
func otherSite(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "cross-site" || site == "same-site"
}

// serveFile answers with the page or one of its files, if there is one at the
// path.
func (c *Connect) serveFile(w http.ResponseWriter, r *http.Request) bool {
	content := func(name string, b []byte) bool {
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(b))
		return true
	}
	name, ok := strings.CutPrefix(r.URL.Path, "/assets/")
	switch {
	case r.URL.Path == "/":
		return content("index.html", c.page)
	case !ok || !fs.ValidPath(name):
		return false
	case name == "brand.css" && c.brand.Button != nil:
		return content(name, c.brand.Styles())
	case name == brandLogo && c.brand.logo != nil:
		w.Header().Set("Content-Type", c.brand.logoType)
		return content(name, c.brand.logo)
	}
	if info, err := fs.Stat(web.ConnectAssets(), name); err != nil || !info.Mode().IsRegular() {
		return false
	}
	http.ServeFileFS(w, r, web.ConnectAssets(), name) //nolint:gosec // an embedded folder, and a file that is in it
	return true
}

// guard sets what browsers are to keep to.
func (c *Connect) guard(h http.Header) {
	h.Set("Content-Security-Policy", c.policy)
	h.Set("Referrer-Policy", "no-referrer") // a link may hold the token
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if len(c.FrameAncestors) == 0 {
		h.Set("X-Frame-Options", "DENY") // for browsers that know no policy
	}
}

// share lets pages of the allowed origins read the answer, and tells whether
// this request is of one. No cookie or the like is of use here, and none is let
// through.
func (c *Connect) share(h http.Header, r *http.Request) bool {
	h.Add("Vary", "Origin")
	origins := r.Header.Values("Origin")
	if len(origins) != 1 || !slices.Contains(c.AllowedOrigins, origins[0]) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origins[0])
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
		h.Set("Access-Control-Max-Age", "600")
	}
	return true
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Connect)(nil)
	_ caddyhttp.MiddlewareHandler = (*Connect)(nil)
)
