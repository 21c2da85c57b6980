package inject

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// Base is where the upstream is: scheme, authority, and a path that every
// request path is joined to.
type Base struct {
	// Scheme is "http" or "https".
	Scheme string

	// Host is the authority as it goes on the wire: lower case, the default
	// port dropped.
	Host string

	// Dial is host and port, the port always present.
	Dial string

	path    string // decoded, without a trailing slash
	rawPath string // escaped, without a trailing slash
	spelled bool   // rawPath is not what net/url would make of path
}

// ParseBase parses a base URL: http or https, a host, no userinfo, query or
// fragment. A trailing slash of its path means nothing.
func ParseBase(s string) (*Base, error) { return parseBase(s, strconv.Quote(s)+" ") }

// parseBase is [ParseBase]; subject begins the errors that speak of the URL as a
// whole.
func parseBase(s, subject string) (*Base, error) {
	const allowed = "allowed is http(s)://host[:port][/path]"
	if s == "" {
		return nil, fmt.Errorf("is required; %s", allowed)
	}
	if err := checkLiteral(s); err != nil {
		return nil, err
	}
	if strings.ContainsAny(s, "{}") {
		return nil, fmt.Errorf("holds a placeholder, which this route cannot resolve; %s", allowed)
	}
	if holdsUser(s) { // before anything that quotes s
		return nil, fmt.Errorf("must not hold a user or password; %s", allowed)
	}
	u, err := url.Parse(s)
	if err != nil {
		// The error of net/url quotes the whole URL, userinfo included.
		return nil, fmt.Errorf("is not a valid URL; %s", allowed)
	}
	switch {
	case u.RawQuery != "" || u.ForceQuery:
		return nil, fmt.Errorf("must not hold a query; %s", allowed)
	case u.Fragment != "" || strings.Contains(s, "#"):
		return nil, fmt.Errorf("must not hold a fragment; %s", allowed)
	case u.Scheme == "":
		return nil, fmt.Errorf("%shas no scheme; %s", subject, allowed)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%shas the scheme %q; %s", subject, u.Scheme, allowed)
	case u.Opaque != "" || u.Hostname() == "":
		return nil, fmt.Errorf("%shas no host; %s", subject, allowed)
	}
	if CheckPath(u.EscapedPath()) != nil {
		return nil, fmt.Errorf("%shas a path with a . or .. segment", subject)
	}
	b := &Base{Scheme: u.Scheme}
	if err := b.setHost(u.Hostname(), u.Port(), strings.HasSuffix(u.Host, ":")); err != nil {
		return nil, fmt.Errorf("%s%w", subject, err)
	}
	// Only plain slashes are trailing ones: %2F is a part of a segment.
	if err := b.setPath(strings.TrimRight(u.EscapedPath(), "/")); err != nil {
		return nil, fmt.Errorf("has a path that cannot be read; %s", allowed)
	}
	return b, nil
}

func (b *Base) setPath(escaped string) (err error) {
	b.rawPath = escaped
	b.path, err = url.PathUnescape(escaped)
	b.spelled = (&url.URL{Path: b.path}).EscapedPath() != escaped
	return err
}

// holdsUser tells whether the authority of s, or what somebody took for it, has
// a user or password.
func holdsUser(s string) bool {
	if _, rest, ok := strings.Cut(s, "://"); ok {
		s = strings.TrimLeft(rest, "/") // https:///user:password@host
	}
	if end := strings.IndexAny(s, "/?#"); end >= 0 {
		s = s[:end]
	}
	return strings.Contains(s, "@")
}

func (b *Base) setHost(host, port string, danglingColon bool) error {
	if danglingColon {
		return fmt.Errorf("has a colon and no port")
	}
	standard := standardPort(b.Scheme)
	if port == "" {
		port = standard
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return fmt.Errorf("has a port outside 1 to 65535")
	}
	port = strconv.FormatUint(n, 10) // 0443 is 443
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" {
			return fmt.Errorf("has an address with a zone")
		}
		host = addr.String()
	} else {
		ascii, err := idna.Lookup.ToASCII(host)
		// Underscores are no letters of a host name, but names of containers
		// and services have them.
		if err != nil && !plainName(host) {
			return fmt.Errorf("has a host name that is not one")
		}
		if err != nil {
			ascii = strings.ToLower(host)
		}
		// What has no letters, such as xn-- or a soft hyphen, is mapped to nothing.
		if ascii == "" || ascii[0] == '.' || strings.Contains(ascii, "..") {
			return fmt.Errorf("has a host name with an empty part")
		}
		host = ascii
	}
	b.Dial = net.JoinHostPort(host, port)
	b.Host = b.Dial
	if port == standard {
		b.Host = strings.TrimSuffix(b.Dial, ":"+port)
	}
	return nil
}

func standardPort(scheme string) string {
	if scheme == "http" {
		return "80"
	}
	return "443"
}

func plainName(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == "" && !strings.Contains(s, "..")
}

// Apply points u at this base: scheme, authority, and the base path before the
// path u has. It keeps the query. The error is [ErrBadPath].
func (b *Base) Apply(u *url.URL) error {
	escaped := EscapedPath(u)
	if err := CheckPath(escaped); err != nil {
		return err
	}
	u.Scheme, u.Host, u.User, u.Opaque = b.Scheme, b.Host, nil, ""
	u.Fragment, u.RawFragment = "", ""
	if b.path == "" && u.Path == "" {
		u.Path, u.RawPath = "/", ""
		return nil
	}
	if b.spelled || u.RawPath != "" {
		u.RawPath = b.rawPath + escaped
	}
	if b.path != "" {
		u.Path = b.path + u.Path
	}
	return nil
}
