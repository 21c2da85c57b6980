package apikeyinject

// This file holds how a route finds out whose key to use, and of which
// integration.

import (
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// idSource is the `connection` of a route, or its integration where that is
// chosen: an expression that gives an id for each request, or the empty
// expression.
type idSource struct {
	expr string

	// fromCert tells that the id is read from the client's certificate, which
	// counts only when it was verified.
	fromCert bool
}

var placeholder = regexp.MustCompile(`\{([^{}]*)\}`)

// newIDSource checks where the id comes from. What a caller cannot choose is
// trusted: literals, the authenticated user, a verified client certificate, the
// environment. Everything else is the caller's word and needs an explicit allow
// in the same block.
func newIDSource(expr string, hasAllow bool) (idSource, error) {
	src := idSource{expr: expr}
	for _, m := range placeholder.FindAllStringSubmatch(expr, -1) {
		name := m[1]
		switch {
		case strings.HasPrefix(name, "http.request.tls.client."):
			src.fromCert = true
		case strings.HasPrefix(name, "http.auth.user."), strings.HasPrefix(name, "env."):
		case !hasAllow:
			return src, fmt.Errorf("{%s} lets the caller choose whose key is used; say who may call with allow in the same block, "+
				"or build it from {http.auth.user.*}, {http.request.tls.client.*}, {env.*} and literals", name)
		}
	}
	// What Caddy would read otherwise than the pattern does, such as a
	// placeholder inside of another.
	if rest := placeholder.ReplaceAllString(expr, ""); strings.ContainsAny(rest, "{}") || strings.Contains(expr, `\`) {
		return src, fmt.Errorf("%q has a brace without its partner, braces inside of braces, or a backslash", expr)
	}
	if expr != "" && !strings.Contains(expr, "{") {
		if err := store.CheckSegment(expr); err != nil {
			return src, fmt.Errorf("%q is no connection id: %w", expr, err)
		}
	}
	return src, nil
}

// checkConnectionKey refuses a connection whose key would be everybody's, and
// a key of a connection that nobody names.
func checkConnectionKey(connection string, key *KeyReference) error {
	if key == nil && connection == "" {
		return errNoKey
	}
	if key == nil {
		return nil
	}
	if connection != "" && !key.perConnection() {
		return wrong("key.path", "%q must contain %s: with connection, each one has a key of its own", key.Path, connectionID)
	}
	if connection == "" && key.perConnection() {
		return wrong("connection", "is required: the key's path contains %s", connectionID)
	}
	return nil
}

// id returns the id of a request. ok is false when it is empty or
// ill-formed: an id never becomes another path.
func (c idSource) id(r *http.Request, repl *caddy.Replacer) (id string, ok bool) {
	if c.fromCert {
		if _, verified := verifiedSubject(r); !verified {
			return "", false
		}
	}
	// Once, and the result is opaque. An empty part makes the whole invalid:
	// "tenant-" is no tenant.
	id, err := repl.ReplaceOrErr(c.expr, true, true)
	if err != nil || store.CheckSegment(id) != nil {
		return "", false
	}
	return id, true
}

// headersRead returns the request headers an expression reads. They are for
// Caddy, not for the upstream.
func headersRead(expr string) []string {
	var names []string
	for _, m := range placeholder.FindAllStringSubmatch(expr, -1) {
		if name, ok := strings.CutPrefix(m[1], "http.request.header."); ok {
			names = append(names, textproto.CanonicalMIMEHeaderKey(name))
		}
	}
	return names
}

// isLoopbackHost tells whether a listener's host is this machine only.
func isLoopbackHost(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
