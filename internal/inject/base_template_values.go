package inject

// This file holds what may be put into a base URL, and how.

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// FieldError says that the value of a connectionConfig field cannot stand where
// the base URL has it. It does not hold the value.
type FieldError struct{ Name, Reason string }

func (e *FieldError) Error() string {
	return fmt.Sprintf("connection_config %q %s", e.Name, e.Reason)
}

// The longest label and name that DNS has (RFC 1035, section 2.3.4).
const (
	maxLabel = 63
	maxName  = 253
)

func (c *candidate) resolve(config map[string]string) (*Base, error) {
	if len(c.fields) == 0 {
		return c.base, nil
	}
	b, err := c.authority(config)
	if err != nil {
		return nil, err
	}
	if len(c.path) == 0 {
		return b, nil
	}
	var path strings.Builder
	if c.whole != "" {
		path.WriteString(b.rawPath)
	}
	for _, p := range c.path {
		v, err := p.value(config)
		if err != nil {
			return nil, err
		}
		path.WriteByte('/')
		if p.field != "" {
			v = url.PathEscape(v)
		}
		path.WriteString(v)
	}
	if err := b.setPath(path.String()); err != nil {
		return nil, fmt.Errorf("reading the path of a base URL: %w", err) // it is escaped: cannot be
	}
	return b, nil
}

// authority returns the base up to its path, which is the caller's to change.
func (c *candidate) authority(config map[string]string) (*Base, error) {
	if c.base != nil {
		b := *c.base
		return &b, nil
	}
	if c.whole != "" {
		b, err := parseBase(config[c.whole], "")
		if err != nil {
			return nil, &FieldError{Name: c.whole, Reason: err.Error()}
		}
		return b, nil
	}
	var host strings.Builder
	first := "" // names the culprit when only all labels together are wrong
	for i, p := range c.host {
		v, err := p.value(config)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			host.WriteByte('.')
		}
		host.WriteString(v)
		if first == "" {
			first = p.field
		}
	}
	port, err := c.port.value(config)
	if err != nil {
		return nil, err
	}
	name := host.String()
	if len(c.host) == 1 && c.host[0].field != "" {
		var own string
		if name, own = splitHost(name); own != "" {
			port = own
		}
	}
	if len(name) > maxName {
		return nil, &FieldError{Name: first, Reason: "makes a host name of more than 253 bytes"}
	}
	b := &Base{Scheme: c.scheme}
	if err := b.setHost(name, port, false); err != nil {
		return nil, &FieldError{Name: first, Reason: err.Error()}
	}
	return b, nil
}

// value returns what stands in the place.
func (p place) value(config map[string]string) (string, error) {
	if p.field == "" {
		return p.literal, nil
	}
	v := config[p.field]
	if reason := p.check(v); reason != "" {
		return "", &FieldError{Name: p.field, Reason: reason}
	}
	return v, nil
}

func (c *candidate) checkField(name, value string) error {
	if name == c.whole {
		if _, err := parseBase(value, ""); err != nil {
			return &FieldError{Name: name, Reason: err.Error()}
		}
	}
	for _, places := range [][]place{c.host, {c.port}, c.path} {
		for _, p := range places {
			if p.field != name || name == "" {
				continue
			}
			if reason := p.check(value); reason != "" {
				return &FieldError{Name: name, Reason: reason}
			}
		}
	}
	return nil
}

// checkOf returns what the value of the i-th of n labels has to be. Only one
// behind which nothing fixed follows may be several labels.
func (u markedURL) checkOf(i, n int) func(string) string {
	switch {
	case i < n-1:
		return checkLabel
	case n > 1:
		return checkLabels
	case u.port != "":
		return checkHost
	}
	return checkHostPort
}

func checkLabel(v string) string {
	switch {
	case v == "":
		return "is empty or has an empty part"
	case strings.Trim(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "":
		return "is not a label of a host name; letters, digits and hyphens are allowed"
	case v[0] == '-' || v[len(v)-1] == '-':
		return "begins or ends with a hyphen, which no label of a host name does"
	case len(v) > maxLabel:
		return "is longer than the 63 bytes of a label of a host name"
	}
	return ""
}

func checkLabels(v string) string {
	if len(v) > maxName {
		return "is longer than the 253 bytes of a host name"
	}
	for l := range strings.SplitSeq(v, ".") {
		if reason := checkLabel(l); reason != "" {
			return reason
		}
	}
	return ""
}

// checkHost allows a host name, an IPv4 address, or an IPv6 address in brackets.
func checkHost(v string) string {
	inside, ok := strings.CutPrefix(v, "[")
	if !ok {
		return checkLabels(v)
	}
	inside, ok = strings.CutSuffix(inside, "]")
	if addr, err := netip.ParseAddr(inside); !ok || err != nil || !addr.Is6() || addr.Zone() != "" {
		return "is not an IPv6 address in brackets"
	}
	return ""
}

// checkHostPort allows a host and, after a colon, a port: the value of a field
// that is a whole host says where a server of one's own listens.
func checkHostPort(v string) string {
	at := strings.LastIndexByte(v, ':')
	if at <= strings.LastIndexByte(v, ']') {
		return checkHost(v)
	}
	if reason := checkHost(v[:at]); reason != "" {
		return reason
	}
	return checkPort(v[at+1:])
}

// splitHost parts what checkHostPort allows and takes the brackets off.
func splitHost(v string) (host, port string) {
	host = v
	if at := strings.LastIndexByte(v, ':'); at > strings.LastIndexByte(v, ']') {
		host, port = v[:at], v[at+1:]
	}
	return strings.Trim(host, "[]"), port
}

func checkPort(v string) string {
	if _, err := strconv.ParseUint(v, 10, 16); err != nil || v[0] == '0' {
		return "is not a port from 1 to 65535"
	}
	return ""
}

// checkSegment allows what stays one segment of a path in every reading an
// upstream may have of it.
func checkSegment(v string) string {
	if v == "" {
		return "is empty"
	}
	if CheckPath("/"+v) != nil {
		return "is a . or .. segment of a path"
	}
	read := v
	for range 3 { // as deep as CheckPath looks
		for i := range len(read) {
			if c := read[i]; c < 0x20 || c == 0x7f || strings.IndexByte(`/\?#@`, c) >= 0 {
				return `is not one segment of a path: / \ ? # @ and control characters are not allowed, escaped or not`
			}
		}
		read = decodeLenient(read)
	}
	return ""
}
