package main

// This file holds the demo API, which answers with what it received.

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// show answers with the request as it arrived, keys masked but for their ends.
func show(w http.ResponseWriter, r *http.Request) {
	var b strings.Builder
	path := r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		path += "?" + maskQuery(r.URL.RawQuery)
	}
	fmt.Fprintf(&b, "The demo API received:\n  %s %s\n  Host: %s\n", r.Method, path, r.Host)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, value := range r.Header[name] {
			if name == "X-Api-Key" || name == "Authorization" {
				value = mask(value)
			}
			fmt.Fprintf(&b, "  %s: %s\n", name, value)
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(b.String())) // the caller may have left
}

// mask hides the last word of a value but for its last four characters, and a
// short one whole.
func mask(value string) string {
	i := strings.LastIndexByte(value, ' ') + 1
	word := value[i:]
	shown := ""
	if len(word) > 8 {
		shown = word[len(word)-4:]
	}
	return value[:i] + strings.Repeat("*", len(word)-len(shown)) + shown
}

func maskQuery(query string) string {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		if name, value, _ := strings.Cut(pair, "="); name == "appid" {
			pairs[i] = name + "=" + mask(value)
		}
	}
	return strings.Join(pairs, "&")
}
