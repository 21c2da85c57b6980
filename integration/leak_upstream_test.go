// An upstream that sends the key back in every way that is not an answer's
// body or an ordinary header of it.

package integration

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// received returns the key that a request carried, and the value that was made
// of it. The first segment of the path names the placement.
func received(r *harness.Request) (key, value string) {
	path, query, _ := strings.Cut(r.Target, "?")
	authorization := strings.Join(r.Values("Authorization"), ", ")
	switch strings.Split(path, "/")[1] {
	case "header":
		value = strings.Join(r.Values("X-Api-Key"), ", ")
		return value, value
	case "bearer":
		return strings.TrimPrefix(authorization, "Bearer "), authorization
	case "basic":
		b, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(authorization, "Basic "))
		return strings.TrimPrefix(string(b), "user:"), authorization
	case "query":
		vs, _ := url.ParseQuery(query)
		value = strings.Join(vs["key"], ", ")
	}
	return value, value
}

// broken are answers that no HTTP client accepts. %s is the key.
var broken = map[string]string{
	"no-http":         "%s is no key of ours\r\n\r\n",
	"status":          "HTTP/1.1 %s OK\r\n\r\n",
	"version":         "HTTP/%s 200 OK\r\n\r\n",
	"header":          "HTTP/1.1 200 OK\r\nunknown key %s\r\n\r\n",
	"first-header":    "HTTP/1.1 200 OK\r\n unknown key %s\r\n\r\n",
	"header-name":     "HTTP/1.1 200 OK\r\nX %s: 1\r\n\r\n",
	"length":          "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n",
	"lengths":         "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: %s\r\n\r\n",
	"transfer-coding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n",
	"chunk":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\nx\r\n",
	"trailer":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n1\r\nx\r\n0\r\nunknown key %s\r\n\r\n",
	"trailer-undeclared": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n" +
		"unknown key %s\r\n\r\n",
}

// misbehave answers as the last segment of the path says.
func misbehave(r *harness.Request) harness.Answer {
	key, value := received(r)
	path, _, _ := strings.Cut(r.Target, "?")
	_, what, ok := strings.Cut(path, "/do/")
	if !ok {
		return harness.Text(200, "ok")
	}
	if text, ok := broken[strings.TrimSuffix(what, "-value")]; ok {
		if strings.HasSuffix(what, "-value") {
			key = value
		}
		return once(harness.Raw(strings.Replace(text, "%s", key, 1)))
	}
	switch what {
	case "truncated":
		return harness.Truncated(200, "half of", 100)
	case "truncated-stream":
		return once(harness.Raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf"))
	case "reset":
		return harness.Reset()
	case "close":
		return harness.Close()
	case "timeout":
		return harness.Hang()
	case "unsolicited":
		return harness.Raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nX-Echo: " + key + "\r\n\r\n")
	case "500":
		return harness.Text(500, "sorry")
	case "handle-own":
		return harness.Text(200, "ok", "X-Handle: own")
	case "handle-next":
		return harness.Text(200, "ok", "X-Handle: next")
	case "template":
		return harness.Text(200, "template:{{.Req.Header}}|{{.Req.URL}}|{{.OriginalReq.Header}}|{{.OriginalReq.URL}}|{{placeholder \"http.request.header.X-Api-Key\"}}|{{placeholder \"http.request.uri\"}}",
			"Content-Type: text/html")
	case "switch":
		return once(harness.Raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n"))
	}
	if encoding, ok := strings.CutPrefix(what, "redirect-"); ok {
		return redirect(r, key, encoding)
	}
	return harness.Text(200, "ok")
}

// once gives an answer and ends the connection: what follows is not HTTP.
func once(a harness.Answer) harness.Answer {
	return func(w *harness.Writer, r *harness.Request) error {
		if err := a(w, r); err != nil {
			return err
		}
		return harness.Close()(w, r)
	}
}

// encodings are the ways in which redirects carry a parameter on.
var encodings = map[string]func(string) string{
	"query":   url.QueryEscape,
	"path":    url.PathEscape,
	"twice":   func(s string) string { return url.QueryEscape("https://a.example/?key=" + url.QueryEscape(s)) },
	"thrice":  func(s string) string { return url.QueryEscape(url.QueryEscape(url.QueryEscape(s))) },
	"lower":   func(s string) string { return lowerEscapes(url.QueryEscape(s)) },
	"spaces":  func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") },
	"literal": func(s string) string { return s },
	"every": func(s string) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			fmt.Fprintf(&b, "%%%02x", c)
		}
		return b.String()
	},
}

func lowerEscapes(s string) string {
	b := []byte(s)
	for i := range b {
		if b[i] == '%' {
			copy(b[i:i+3], strings.ToLower(s[i:i+3]))
		}
	}
	return string(b)
}

// redirect sends the key on in each header that holds URLs, and beside it the
// marker that the caller sent, in the same encoding.
func redirect(r *harness.Request, key, encoding string) harness.Answer {
	encode := encodings[encoding]
	marker := strings.Join(r.Values("X-Marker"), "")
	to := "https://b.example/next?key=" + encode(key) + "&marker=" + encode(marker)
	lines := []string{
		"Location: " + to,
		"Content-Location: " + to,
		"Link: <" + to + `>; rel="next", <` + to + `>; rel="prev"`,
		"Link: <" + to + ">; rel=preload",
		"Refresh: 5; url=" + to,
	}
	return harness.Interim(103, lines[2:4], harness.Text(302, "", lines...))
}
