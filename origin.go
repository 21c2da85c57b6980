package apikeyinject

// This file holds the rules for web pages as callers: a browser sends requests
// of any page it shows, and must not become a way to a key.

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// checkOrigin refuses what a browser would never send as an Origin.
func checkOrigin(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || s != u.Scheme+"://"+u.Host ||
		strings.ToLower(s) != s || strings.Contains(s, "*") {
		return fmt.Errorf("%q is no origin; write scheme://host[:port] in lower case, such as https://app.example", s)
	}
	return nil
}

// crossSite tells whether a web page of another site sent this request.
// Programs send neither header and are not concerned.
func crossSite(r *http.Request) bool {
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site == "cross-site" || site == "same-site" {
			return true
		}
	}
	for _, origin := range r.Header["Origin"] {
		if origin != "" && !ownOrigin(r, origin) {
			return true
		}
	}
	return false
}

// ownOrigin tells whether origin is the one this request was sent to.
func ownOrigin(r *http.Request, origin string) bool {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	} else if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted {
		if proto := r.Header.Get("X-Forwarded-Proto"); proto != "" {
			scheme = proto
		}
	}
	u, err := url.Parse(origin)
	return err == nil && u.Scheme == scheme && sameAuthority(u.Host, r.Host, scheme)
}

func sameAuthority(a, b, scheme string) bool {
	port := ":80"
	if scheme == "https" {
		port = ":443"
	}
	return strings.EqualFold(strings.TrimSuffix(a, port), strings.TrimSuffix(b, port))
}

// allowedOrigin returns the request's Origin when every list that was
// configured names it. No list names nobody.
func allowedOrigin(r *http.Request, lists ...[]string) (origin string, ok bool) {
	origin = r.Header.Get("Origin")
	for _, list := range lists {
		if len(list) == 0 {
			continue
		}
		if !slices.Contains(list, origin) {
			return "", false
		}
		ok = true
	}
	return origin, ok
}

// isPreflight tells whether a browser asks for permission to send a request.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
}

// answerPreflight lets a page of an allowed origin send its request. The
// upstream is not asked: it does not know our callers.
func answerPreflight(w http.ResponseWriter, r *http.Request, origin string) {
	h := w.Header()
	setCORS(h, origin)
	h.Set("Access-Control-Allow-Methods", r.Header.Get("Access-Control-Request-Method"))
	if names := r.Header.Get("Access-Control-Request-Headers"); names != "" {
		h.Set("Access-Control-Allow-Headers", names)
	}
	h.Set("Access-Control-Max-Age", "600")
	h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	w.WriteHeader(http.StatusNoContent)
}

// setCORS names the one origin that may read this answer, whatever the
// upstream said.
func setCORS(h http.Header, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Del("Access-Control-Allow-Credentials")
	if !slices.Contains(h.Values("Vary"), "Origin") {
		h.Add("Vary", "Origin")
	}
}
