package apikeyinject

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// This file holds the reasons an explanation gives.

// maskedQuery puts the mask into the pair that carries the key, which is the
// last.
func maskedQuery(raw, name, masked string) string {
	if at := strings.LastIndexByte(raw, '&'); at >= 0 {
		raw = raw[:at+1]
	} else {
		raw = ""
	}
	return raw + url.QueryEscape(name) + "=" + strings.ReplaceAll(url.QueryEscape(masked), "%2A", "*")
}

// shownHeader keeps the caller's own credentials out of the answer.
func shownHeader(name, value string) string {
	switch name {
	case "Authorization", "Proxy-Authorization", "Cookie":
		return "****"
	}
	return value
}

func whySent(r *http.Request, name, value string) string {
	if slices.Contains(r.Header[name], value) {
		return "the caller's"
	}
	return "reverse_proxy's, or a header_up of yours"
}

// whyLeftOut says why a header of the caller does not go upstream.
func (t *target) whyLeftOut(name string, r *http.Request) string {
	if t.plan.placement.Replaces(name) {
		return "the name that carries the key; what a caller sends under it is replaced"
	}
	if !t.leavesOut(name) {
		return "named in Connection, or taken off by reverse_proxy or a header_up of yours"
	}
	if slices.Contains(t.readHeaders, name) {
		return "read by caller or connection: it is for Caddy"
	}
	switch canonical := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-")); canonical {
	case "Authorization", "Proxy-Authorization", "Cookie":
		return "the caller's credentials towards Caddy; forward_credentials is off"
	case "Connection", "Upgrade", "Http2-Settings":
		if isWebSocket(r) {
			return "made anew for the WebSocket"
		}
		return "belongs to the caller's connection"
	case "Provider-Config-Key", "Connection-Id":
		return "the gateway's, never an upstream's"
	case "X-Original-Url", "X-Rewrite-Url":
		return "read by some servers instead of the path that was checked"
	}
	return "tells who calls; forwarded_headers is off"
}

// lines returns the rules as the Caddyfile has them.
func (a *Allow) lines() []string {
	if a == nil {
		return nil
	}
	var lines []string
	for _, l := range []struct {
		word  string
		names []string
	}{{"user", a.Users}, {"client_cert", a.ClientCerts}, {"token", a.Tokens}} {
		if len(l.names) > 0 {
			lines = append(lines, l.word+" "+strings.Join(l.names, " "))
		}
	}
	if a.Anyone {
		lines = append(lines, "anyone")
	}
	return lines
}
