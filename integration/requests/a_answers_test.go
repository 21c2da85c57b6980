// A10: the upstream's answers reach the client as they came.

package requests

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

func TestA10AnswersPassAsTheyCame(t *testing.T) {
	r := newRig(t)
	u := harness.NewUpstream(t, nil)
	addr := r.site(route("", u.URL(), inHeader))
	r.start()

	gzip := "\x1f\x8b\x08\x00 these bytes are nobody's but the client's"
	for _, c := range []struct {
		name   string
		method string
		status int
		body   string
		lines  []string
	}{
		{"created", "POST", 201, `{"id":1}`, []string{"Content-Type: application/json", "Location: /users/1"}},
		{"accepted", "POST", 202, "later", []string{"Content-Type: text/plain", "Retry-After: 5"}},
		{"no content", "DELETE", 204, "", []string{`Etag: "e"`}},
		{"partial", "GET", 206, "ab", []string{"Content-Range: bytes 0-1/10", "Content-Type: text/plain", "Accept-Ranges: bytes"}},
		{"not modified", "GET", 304, "", []string{`Etag: W/"e"`, "Cache-Control: max-age=5", "Vary: Accept"}},
		{"a redirect is not followed", "GET", 302, "moved", []string{"Location: https://elsewhere.example/x?y", "Content-Type: text/html"}},
		{"a redirect with the method kept", "POST", 308, "", []string{"Location: " + u.URL() + "/other"}},
		{"unauthorized", "GET", 401, "no", []string{`Www-Authenticate: Bearer realm="x"`, "Www-Authenticate: Basic", "Content-Type: text/plain"}},
		{"not found", "GET", 404, `{"error":"none"}`, []string{"Content-Type: application/problem+json"}},
		{"too many", "GET", 429, "slow", []string{
			"Retry-After: 7", "X-Ratelimit-Limit: 10", "X-Ratelimit-Remaining: 0", "X-Ratelimit-Reset: 1700000000",
			"Link: </a?page=2>; rel=next", "Link: </a?page=9>; rel=last", "Content-Type: text/plain",
		}},
		{"internal", "GET", 500, "oops", []string{"Content-Type: text/plain"}},
		{"unavailable", "GET", 503, "", []string{"Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"}},
		{"head", "HEAD", 200, "not sent", []string{"Content-Type: text/plain", `Etag: "h"`}},
		{"no content type is guessed", "GET", 200, "<html><body>like a page", nil},
		{"gzip nobody asked for", "GET", 200, gzip, []string{"Content-Encoding: gzip", "Content-Type: text/plain"}},
		{"its own server, date and via", "GET", 200, "x", []string{
			"Server: theirs/1", "Date: Mon, 02 Jan 2006 15:04:05 GMT", "Via: 1.1 theirs", "Content-Type: text/plain",
		}},
		{"security headers", "GET", 200, "x", []string{
			"Strict-Transport-Security: max-age=1", "Access-Control-Allow-Origin: *", "Content-Type: text/plain",
		}},
		{"an uncommon status", "GET", 299, "x", []string{"Content-Type: text/plain"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			u.Forget()
			u.Always(harness.Text(c.status, c.body, c.lines...))
			answer := harness.Exchange(t, addr, nil, request(c.method, addr, "/", ""))
			if answer.Status != c.status {
				t.Errorf("status %d, want %d", answer.Status, c.status)
			}
			bare := c.method == http.MethodHead || c.status == 204 || c.status == 304
			if want := c.body; !bare && string(answer.Body) != want {
				t.Errorf("body %q, want %q", answer.Body, want)
			}
			want := http.Header{}
			for _, l := range c.lines {
				name, value, _ := strings.Cut(l, ": ")
				want.Add(name, value)
			}
			have := answer.Header.Clone()
			for _, framing := range []string{"Content-Length", "Transfer-Encoding"} {
				have.Del(framing)
			}
			if want.Get("Date") == "" {
				have.Del("Date") // a server has to add it, RFC 9110, 6.6.1
			}
			if !maps.EqualFunc(have, want, slices.Equal) {
				t.Errorf("header\n%v\nwant\n%v", have, want)
			}
			if length := answer.Header.Get("Content-Length"); !bare && length != "" && len(answer.Body) != len(c.body) {
				t.Errorf("Content-Length %s", length)
			}
			u.Only() // neither repeated nor followed
		})
	}
}

// Hop-by-hop headers are about the connection behind Caddy, and so is Alt-Svc:
// it would send the caller to another port of Caddy's own host.
func TestA10WhatIsAboutTheUpstreamsConnectionStaysThere(t *testing.T) {
	r := newRig(t)
	u := harness.NewUpstream(t, nil)
	addr := r.site(route("", u.URL(), inHeader))
	r.start()
	names := []string{"Alt-Svc", "Keep-Alive", "Proxy-Authenticate", "X-Named"}
	u.Always(harness.Text(200, "x", `Alt-Svc: h3=":443"`, "Keep-Alive: timeout=9", "Proxy-Authenticate: Basic", "Connection: X-Named", "X-Named: 1"))
	answer := harness.Exchange(t, addr, nil, get(addr, "/"))
	for _, name := range names {
		if got := answer.Header.Values(name); len(got) > 0 {
			t.Errorf("%s: %q came through", name, got)
		}
	}
}

func TestA10InterimAnswersAndTrailers(t *testing.T) {
	r := newRig(t)
	u := harness.NewUpstream(t, nil)
	addr := r.site(route("", u.URL(), inHeader) + "\n")
	kept := r.site(route("", u.URL(), inHeader, "forward_credentials"))
	r.start()

	early := []string{"Link: </style.css>; rel=preload", "Set-Cookie: session=early", "Apikey-Inject-Error: forged"}
	for name, c := range map[string]struct{ addr, cookie string }{
		"an early hint passes without its cookie":    {addr, ""},
		"or with it where credentials are forwarded": {kept, "session=early"},
	} {
		t.Run(name, func(t *testing.T) {
			u.Always(harness.Interim(103, early, harness.Text(200, "ok", "Content-Type: text/plain", "Set-Cookie: session=late")))
			conn := harness.DialRaw(t, c.addr, nil)
			conn.Send(get(c.addr, "/"))
			first := conn.Receive("GET")
			if first.Status != 103 || first.Header.Get("Link") != "</style.css>; rel=preload" {
				t.Errorf("first %q", first.Raw)
			}
			if first.Header.Get("Set-Cookie") != c.cookie || first.Header.Get("Apikey-Inject-Error") != "" {
				t.Errorf("the early hint holds %q", first.Raw)
			}
			last := conn.Receive("GET")
			if last.Status != 200 || string(last.Body) != "ok" || last.Header.Get("Link") != "" || (last.Header.Get("Set-Cookie") == "") != (c.cookie == "") {
				t.Errorf("last %q", last.Raw)
			}
		})
	}
	t.Run("chunks and trailers pass", func(t *testing.T) {
		u.Always(harness.Raw("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nX-Sum: 3\r\n\r\n"))
		answer := harness.Exchange(t, addr, nil, get(addr, "/"))
		if string(answer.Body) != "abc" || answer.Header.Get("Trailer") != "X-Sum" && !strings.Contains(answer.Raw, "Trailer: X-Sum") ||
			!strings.HasSuffix(answer.Raw, "\r\nX-Sum: 3\r\n\r\n") {
			t.Errorf("answered %q", answer.Raw)
		}
	})
}
