package inject

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// mark stands for a placeholder while the URL round it is taken apart. It is a
// control character, which no configured text holds.
const mark = "\x00"

// parseCandidate takes a URL apart at its placeholders. What is left of it, with
// something harmless in their places, has to be a base URL by [ParseBase], whose
// reading of the literals is the one that is kept.
func parseCandidate(s string) (candidate, error) {
	marked, names, err := markFields(s)
	if err != nil {
		return candidate{}, err
	}
	var c candidate
	for _, n := range names {
		if !slices.Contains(c.fields, n) {
			c.fields = append(c.fields, n)
		}
	}
	u := markedURL{scheme: "https", host: mark, path: strings.TrimPrefix(marked, mark)}
	whole := u.path != marked
	switch {
	case whole && u.path != "" && u.path[0] != '/':
		return candidate{}, fmt.Errorf("begins with a placeholder that does not end at a slash; %s", basePlaces)
	case whole:
		c.whole, names = names[0], names[1:]
	default:
		u = cutURL(marked)
	}
	if strings.Contains(u.scheme, mark) {
		return candidate{}, fmt.Errorf("has a placeholder beside other text; %s", basePlaces)
	}

	b, err := parseBase(u.standIn(), strconv.Quote(s)+" ")
	if err != nil {
		return candidate{}, err
	}
	labels, segments, err := u.normalise(b)
	if err != nil {
		return candidate{}, err
	}
	next := func(text string, check func(string) string) place {
		if text != mark {
			return place{literal: text}
		}
		p := place{field: names[0], check: check}
		names = names[1:]
		return p
	}
	switch {
	case whole:
	case !u.movable():
		c.base = b
	default:
		c.scheme = b.Scheme
		for i, l := range labels {
			c.host = append(c.host, next(l, u.checkOf(i, len(labels))))
		}
		if _, own, _ := net.SplitHostPort(b.Dial); own != standardPort(b.Scheme) {
			c.port.literal = own
		}
		if u.port == ":"+mark {
			c.port = next(mark, checkPort)
		}
	}
	for _, seg := range segments {
		c.path = append(c.path, next(seg, checkSegment))
	}
	c.origin = c.spellOrigin()
	return c, nil
}

// spellOrigin returns the origin with its placeholders, the literals normalised.
func (c *candidate) spellOrigin() string {
	if c.whole != "" {
		return place{field: c.whole}.String()
	}
	if c.base != nil {
		return c.base.origin()
	}
	labels := make([]string, 0, len(c.host))
	for _, l := range c.host {
		labels = append(labels, l.String())
	}
	host := strings.Join(labels, ".")
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	o := c.scheme + "://" + host
	if port := c.port.String(); port != "" {
		o += ":" + port
	}
	return o
}

// markedURL is a URL cut up, with marks in it. Its strings put together are the
// URL, but for the "://".
type markedURL struct{ scheme, host, port, path string }

// cutURL cuts a URL; what has no "://" is all path.
func cutURL(s string) (u markedURL) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return markedURL{path: s}
	}
	u.scheme, u.host = scheme, rest
	if end := strings.IndexAny(u.host, "/?#"); end >= 0 {
		u.host, u.path = u.host[:end], u.host[end:]
	}
	if at := strings.LastIndexByte(u.host, ':'); at > strings.LastIndexByte(u.host, ']') {
		u.host, u.port = u.host[:at], u.host[at:]
	}
	return u
}

// movable tells whether a placeholder stands in the authority.
func (u markedURL) movable() bool { return strings.Contains(u.host+u.port, mark) }

// standIn returns the URL with something harmless for each mark.
func (u markedURL) standIn() string {
	path := strings.ReplaceAll(u.path, mark, "a")
	if u.scheme+u.host == "" {
		return path
	}
	return u.scheme + "://" + strings.ReplaceAll(u.host, mark, "a") + strings.ReplaceAll(u.port, mark, "1") + path
}

// normalise returns the labels of the host and the segments of the path as b,
// made of the stand-in, has them, with the marks where they were. An address,
// or any host without marks, is one label.
func (u markedURL) normalise(b *Base) (labels, segments []string, err error) {
	host, _, _ := net.SplitHostPort(b.Dial)
	labels = []string{host}
	if strings.Contains(u.host, mark) {
		labels = strings.Split(host, ".")
	}
	if u.path != "" {
		segments = strings.Split(b.rawPath, "/")[1:]
	}
	path := strings.Split(strings.TrimRight(u.path, "/"), "/")[1:]
	if !putBack(labels, strings.Split(u.host, ".")) || !putBack(segments, path) || u.port != ":"+mark && strings.Contains(u.port, mark) {
		return nil, nil, fmt.Errorf("has a placeholder beside other text; %s", basePlaces)
	}
	return labels, segments, nil
}

// putBack puts the marks of the source into the normalised parts. It tells
// whether every mark fills its part.
func putBack(parts, source []string) bool {
	if !slices.ContainsFunc(source, func(s string) bool { return strings.Contains(s, mark) }) {
		return true
	}
	if len(parts) != len(source) {
		return false
	}
	for i, s := range source {
		if s == mark {
			parts[i] = mark
		} else if strings.Contains(s, mark) {
			return false
		}
	}
	return true
}

// markFields puts a mark in the place of each placeholder and returns their
// names in order.
func markFields(s string) (marked string, names []string, err error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "${")
		b.WriteString(before)
		if !found {
			return b.String(), names, nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", nil, fmt.Errorf("has a placeholder that is not closed by }; %s", basePlaces)
		}
		field, ok := strings.CutPrefix(name, configPrefix)
		if !ok || !validFieldName(field) {
			return "", nil, fmt.Errorf("unknown placeholder ${%s}: a key does not decide where it goes, and other values are not known; %s", name, basePlaces)
		}
		b.WriteString(mark)
		names = append(names, field)
		s = after
	}
}
