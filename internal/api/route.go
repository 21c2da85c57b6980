package api

// This file holds how a request finds its operation.

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// segments returns the decoded segments of the path below the prefix, nil for
// a path that is not below it. It parts the path as it was sent: an escaped
// slash belongs to an id, and is refused there.
func (a *API) segments(r *http.Request) []string {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), a.cfg.Prefix)
	if !ok || !strings.HasPrefix(rest, "/") {
		return nil
	}
	var segments []string
	for s := range strings.SplitSeq(rest[1:], "/") {
		decoded, _ := url.PathUnescape(s) // never fails: net/url escaped it
		segments = append(segments, decoded)
	}
	return segments
}

// resource is the operations of one path.
type resource []*operation

// find returns those of all operations that are at a path. Of two that fit, the one with words in
// place of values wins: /connections/metadata is no connection.
func find(all []*operation, segments []string) resource {
	var found resource
	best := -1
	for _, o := range all {
		words, ok := o.fits(segments)
		if !ok || words < best {
			continue
		}
		if words > best {
			found, best = nil, words
		}
		found = append(found, o)
	}
	return found
}

// fits tells whether the operation's path is the one of segments, and how many
// of them are words.
func (o *operation) fits(segments []string) (words int, ok bool) {
	pattern := strings.Split(o.path[1:], "/")
	if len(pattern) != len(segments) {
		return 0, false
	}
	for i, p := range pattern {
		switch {
		case p == segments[i]:
			words++
		case p[0] != '{' || segments[i] == "":
			return 0, false
		}
	}
	return words, true
}

// args returns the values in a path.
func (o *operation) args(segments []string) map[string]string {
	args := make(map[string]string)
	for i, p := range strings.Split(o.path[1:], "/") {
		if p[0] == '{' {
			args[p[1:len(p)-1]] = segments[i]
		}
	}
	return args
}

// method returns the operation of a method, nil for none. HEAD is GET: the
// server leaves the body out.
func (rs resource) method(m string) *operation {
	if m == http.MethodHead {
		m = http.MethodGet
	}
	for _, o := range rs {
		if o.method == m {
			return o
		}
	}
	return nil
}

// allow lists the methods, for the header of that name.
func (rs resource) allow() string {
	methods := []string{http.MethodOptions}
	for _, o := range rs {
		methods = append(methods, o.method)
		if o.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}
