package apikeyinject

// This file holds how the route of a request is found that is only explained:
// the matchers of the running configuration are asked, and of the handlers on
// the way those are run that change nothing but the request.

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// errNoServer says that nobody listens for a URL.
var errNoServer = errors.New("no server listens for this URL")

// serverFor returns the server that listens at a URL's port. One that listens
// at the URL's very host goes before one that listens everywhere.
func serverFor(app *caddyhttp.App, u *url.URL) (name string, srv *caddyhttp.Server, err error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	var listens []string
	for _, n := range slices.Sorted(maps.Keys(app.Servers)) {
		s := app.Servers[n]
		for _, l := range s.Listen {
			listens = append(listens, n+" at "+l)
			addr, err := caddy.ParseNetworkAddress(l)
			if err != nil || addr.IsUnixNetwork() {
				continue
			}
			if p := fmt.Sprint(addr.StartPort); p != port {
				continue
			}
			if exact := addr.Host == u.Hostname(); exact || srv == nil {
				name, srv = n, s
			}
		}
	}
	if srv == nil {
		return "", nil, fmt.Errorf("%w: the port would be %s; there are %s", errNoServer, port, strings.Join(listens, ", "))
	}
	return name, srv, nil
}

// walk goes the way of a request.
type walk struct {
	srv    *caddyhttp.Server
	w      *explainWriter
	r      *http.Request
	groups map[string]bool
	e      *explanation
	found  *Handler
}

// ends tells what a step did to the way.
type ends bool

const (
	goesOn ends = false
	ended  ends = true
)

// routes goes through a list of routes, as Caddy does: each is matched when the
// ones before have run.
func (k *walk) routes(at string, routes caddyhttp.RouteList) (ends, error) {
	for n := range routes {
		route := &routes[n]
		match, err := route.MatcherSets.AnyMatchWithError(k.r)
		if err != nil {
			return ended, fmt.Errorf("matching %s/%d: %w", at, n, err)
		}
		if !match || route.Group != "" && k.groups[route.Group] {
			continue
		}
		if route.Group != "" {
			k.groups[route.Group] = true
		}
		depth := len(k.e.Routes)
		here := fmt.Sprintf("%s/%d", at, n)
		k.e.Routes = append(k.e.Routes, here+describeMatchers(route.MatcherSets))
		if end, err := k.handlers(here+"/handle", route.Handlers); end || err != nil {
			return ended, err
		}
		k.e.Routes = k.e.Routes[:depth]
		if route.Terminal {
			return ended, nil
		}
	}
	return goesOn, nil
}

// handlers goes through the handlers of a route.
func (k *walk) handlers(at string, handlers []caddyhttp.MiddlewareHandler) (ends, error) {
	for n, handler := range handlers {
		here := fmt.Sprintf("%s/%d", at, n)
		end, err := goesOn, error(nil)
		switch h := handler.(type) {
		case *Handler:
			k.found = h
			return ended, nil
		case *caddyhttp.Subroute:
			end, err = k.routes(here+"/routes", h.Routes)
		case *caddyhttp.Invoke:
			if route, ok := k.srv.NamedRoutes[h.Name]; ok {
				end, err = k.routes("named_routes/"+h.Name, caddyhttp.RouteList{*route})
			}
		case *reverseproxy.Handler:
			if len(h.HandleResponse) == 0 {
				k.e.AnsweredBy = here + ": reverse_proxy"
				return ended, nil
			}
			k.e.NotRun = append(k.e.NotRun, here+": reverse_proxy with handle_response, such as forward_auth: it is taken to let the request pass")
		default:
			end, err = k.other(here, handler)
		}
		if end || err != nil {
			return ended, err
		}
	}
	return goesOn, nil
}

// other runs a handler that changes nothing but the request, and passes over
// every other.
func (k *walk) other(at string, handler caddyhttp.MiddlewareHandler) (ends, error) {
	name := "a handler"
	if m, ok := handler.(caddy.Module); ok {
		name = m.CaddyModule().ID.Name()
	}
	switch name {
	case "rewrite", "vars", "map", "headers":
	case "authentication":
		if !onlyBasic(handler) {
			k.e.NotRun = append(k.e.NotRun, at+": authentication by other than basic_auth: nobody is authenticated here")
			return goesOn, nil
		}
	case "static_response", "error", "file_server", "acme_server", "metrics":
		k.e.AnsweredBy = at + ": " + name
		return ended, nil
	case "encode", "templates", "log_append", "request_body": // without a say in where the request goes
		return goesOn, nil
	default:
		k.e.NotRun = append(k.e.NotRun, at+": "+name)
		return goesOn, nil
	}
	passed := false
	err := handler.ServeHTTP(k.w, k.r, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		passed, k.r = true, r
		return nil
	}))
	if passed && err == nil {
		return goesOn, nil
	}
	status := k.w.status
	if err != nil {
		status = statusOf(err)
	}
	k.e.AnsweredBy = fmt.Sprintf("%s: %s, with %d", at, name, status)
	return ended, nil
}

func onlyBasic(handler caddyhttp.MiddlewareHandler) bool {
	auth, ok := handler.(*caddyauth.Authentication)
	if !ok {
		return false
	}
	for _, p := range auth.Providers {
		if m, ok := p.(caddy.Module); !ok || m.CaddyModule().ID != "http.authentication.providers.http_basic" {
			return false
		}
	}
	return true
}

// describeMatchers names the matchers of a route, with their words where these
// are a plain list, such as hosts and paths.
func describeMatchers(sets caddyhttp.MatcherSets) string {
	alternatives := make([]string, 0, len(sets))
	for _, set := range sets {
		var all []string
		for _, m := range set {
			text := "a matcher"
			if mod, ok := m.(caddy.Module); ok {
				text = mod.CaddyModule().ID.Name()
			}
			if v := reflect.Indirect(reflect.ValueOf(m)); v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.String {
				for i := range v.Len() {
					text += " " + v.Index(i).String()
				}
			}
			all = append(all, text)
		}
		alternatives = append(alternatives, strings.Join(all, ", "))
	}
	if len(alternatives) == 0 {
		return ""
	}
	return " (" + strings.Join(alternatives, "; or ") + ")"
}
