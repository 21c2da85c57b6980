// A5, A6, A10 once more, as a difference: the same bytes through a plain
// reverse_proxy beside us. What we do not change on purpose has to be the same.

package requests

import (
	"slices"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

func TestA5A6RequestsAreThoseOfReverseProxy(t *testing.T) {
	r := newRig(t)
	u := harness.NewUpstream(t, nil)
	ours := r.site(route("", u.URL(), inHeader, "forward_credentials"))
	plain := r.site("\treverse_proxy " + u.Addr() + " {\n\t\ttransport http {\n\t\t\tcompression off\n\t\t}\n\t}")
	r.start()

	for name, req := range map[string]string{
		"nothing":                        request("GET", "h", "/", ""),
		"HEAD":                           request("HEAD", "h", "/x?y", ""),
		"OPTIONS":                        request("OPTIONS", "h", "/x", "", "Accept: */*"),
		"OPTIONS of the server":          request("OPTIONS", "h", "*", ""),
		"an unknown method":              request("PURGE", "h", "/x", ""),
		"a lower-case method":            request("get", "h", "/x", ""),
		"GET with a body":                request("GET", "h", "/x", "body", "Content-Length: 4"),
		"DELETE with a body":             request("DELETE", "h", "/x", "body", "Content-Length: 4"),
		"POST without a length":          request("POST", "h", "/x", ""),
		"POST of nothing":                request("POST", "h", "/x", "", "Content-Length: 0"),
		"POST of no chunks":              request("POST", "h", "/x", "0\r\n\r\n", "Transfer-Encoding: chunked"),
		"chunks":                         request("PUT", "h", "/x", "3\r\nabc\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
		"trailers":                       request("PUT", "h", "/x", "3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n", "Transfer-Encoding: chunked", "Trailer: X-Sum"),
		"trailers that were not named":   request("PUT", "h", "/x", "3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n", "Transfer-Encoding: chunked"),
		"a wish for trailers":            request("GET", "h", "/x", "", "TE: trailers"),
		"a wish for trailers, connected": request("GET", "h", "/x", "", "Connection: TE", "TE: trailers, deflate;q=0.5"),
		"another transfer coding":        request("GET", "h", "/x", "", "Connection: TE", "TE: gzip"),
		"an expectation":                 request("PUT", "h", "/x", "abc", "Expect: 100-continue", "Content-Length: 3"),
		"unusual names":                  request("GET", "h", "/x", "", "x!#$%&'*+-^`|~9: 1", "X: 2", "9: 3"),
		"unusual values":                 request("GET", "h", "/x", "", "X-A:", "X-B: \t a\tb \t", "X-C: \xfc\xff", "X-D: a, , b,", "X-E: \"q\\\"\""),
		"names with dots or underscores": request("GET", "h", "/x", "", "X_A: 1", "X.B: 2"),
		"a long value":                   request("GET", "h", "/x", "", "X-Long: "+strings.Repeat("v", 30000)),
		"many names":                     request("GET", "h", "/x", "", manyNames()...),
		"a user agent":                   request("GET", "h", "/x", "", "User-Agent: a", "User-Agent: b"),
		"an empty user agent":            request("GET", "h", "/x", "", "User-Agent:"),
		"a browser's":                    request("GET", "h", "/x", "", "Upgrade-Insecure-Requests: 1", "Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Priority: u=0, i", "Dnt: 1", "Referer: https://a.example/b?c"),
		"credentials":                    request("GET", "h", "/x", "", "Authorization: Bearer mine", "Cookie: a=1", "Cookie: b=2"),
		"incremental":                    request("POST", "h", "/x", "abc", "Incremental: ?1", "Content-Length: 3"),
		"HTTP/1.0":                       "GET /x HTTP/1.0\r\nHost: h\r\nX-A: 1\r\n\r\n",
		"early data":                     request("GET", "h", "/x", "", "Early-Data: 1", "Max-Forwards: 5", "Pragma: no-cache", "Warning: 199 - x"),
	} {
		t.Run(name, func(t *testing.T) {
			u.Forget()
			through := harness.Exchange(t, plain, nil, req)
			want := u.Requests()
			u.Forget()
			answer := harness.Exchange(t, ours, nil, req)
			have := u.Requests()
			if len(want) == 0 && len(have) == 0 && answer.Status == through.Status {
				return // Caddy itself refuses it
			}
			if len(want) != 1 || len(have) != 1 {
				t.Fatalf("%d requests through reverse_proxy, %d through us: %q", len(want), len(have), answer.Raw)
			}
			if w, h := essence(want[0]), essence(have[0]); w != h {
				t.Errorf("received\n%s\nthrough reverse_proxy\n%s", h, w)
			}
			wantLines(t, have[0], "X-Api-Key", "X-Api-Key: "+key)
		})
	}
}

func manyNames() []string {
	lines := make([]string, 100)
	for i := range lines {
		lines[i] = "X-" + strings.Repeat("n", i+1) + ": 1"
	}
	return lines
}

// essence shows a request without what we change on purpose.
func essence(r *harness.Request) string {
	lines := make([]string, 0, len(r.Fields))
	for _, f := range r.Fields {
		switch name := strings.ToLower(f.Name); {
		case name == "host", name == "via", name == "x-api-key", strings.HasPrefix(name, "x-forwarded-"):
		default:
			lines = append(lines, f.Name+": "+f.Value)
		}
	}
	slices.SortStableFunc(lines, func(a, b string) int {
		a, _, _ = strings.Cut(a, ":")
		b, _, _ = strings.Cut(b, ":")
		return strings.Compare(a, b)
	})
	bare := *r
	bare.Fields = nil
	return bare.String() + "\n" + strings.Join(lines, "\n")
}

func TestA10AnswersAreThoseOfReverseProxy(t *testing.T) {
	r := newRig(t)
	u := harness.NewUpstream(t, nil)
	ours := r.site(route("", u.URL(), inHeader, "forward_credentials"))
	plain := r.site("\treverse_proxy " + u.Addr() + " {\n\t\ttransport http {\n\t\t\tcompression off\n\t\t}\n\t}")
	r.start()

	typed := "Content-Type: text/plain\r\n"
	for name, raw := range map[string]string{
		"length":             "HTTP/1.1 200 OK\r\n" + typed + "Content-Length: 2\r\n\r\nok",
		"chunks":             "HTTP/1.1 200 OK\r\n" + typed + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"empty":              "HTTP/1.1 200 OK\r\n" + typed + "Content-Length: 0\r\n\r\n",
		"no content":         "HTTP/1.1 204 No Content\r\nEtag: 1\r\n\r\n",
		"reset content":      "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
		"not modified":       "HTTP/1.1 304 Not Modified\r\nEtag: 1\r\nContent-Length: 5\r\n\r\n",
		"a named trailer":    "HTTP/1.1 200 OK\r\n" + typed + "Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
		"an unnamed trailer": "HTTP/1.1 200 OK\r\n" + typed + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
		"interim answers":    "HTTP/1.1 102 Processing\r\nX-Step: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\nHTTP/1.1 200 OK\r\n" + typed + "X-Last: 1\r\nContent-Length: 2\r\n\r\nok",
		"cookies":            "HTTP/1.1 200 OK\r\n" + typed + "Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok",
		"its own via":        "HTTP/1.1 200 OK\r\n" + typed + "Via: 1.0 a, 1.1 b\r\nServer: s\r\nContent-Length: 2\r\n\r\nok",
		"hop by hop":         "HTTP/1.1 200 OK\r\n" + typed + "Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nContent-Length: 2\r\n\r\nok",
		"unusual":            "HTTP/1.1 218 This is fine\r\n" + typed + "X-A:\r\nX-B: \xfc\r\nx-c: 1\r\nX-C: 2\r\nContent-Length: 2\r\n\r\nok",
		"an encoding":        "HTTP/1.1 200 OK\r\n" + typed + "Content-Encoding: br\r\nVary: Accept-Encoding\r\nContent-Length: 2\r\n\r\nok",
		"a doubled encoding": "HTTP/1.1 200 OK\r\n" + typed + "Content-Encoding: gzip, gzip\r\nContent-Length: 2\r\n\r\nok",
		"forbidden by them":  "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
	} {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			t.Run(name+" to "+method, func(t *testing.T) {
				given := raw
				if method == "HEAD" {
					head, tail, _ := strings.Cut(raw, "\r\n\r\n")
					for strings.HasPrefix(head, "HTTP/1.1 10") {
						var next string
						next, tail, _ = strings.Cut(tail, "\r\n\r\n")
						given, head = head+"\r\n\r\n"+next+"\r\n\r\n", next
					}
					if given == raw {
						given = head + "\r\n\r\n"
					}
				}
				u.Always(harness.Raw(given))
				want, have := answers(t, plain, method), answers(t, ours, method)
				if !slices.Equal(have, want) {
					t.Errorf("answered\n%q\nreverse_proxy\n%q", have, want)
				}
			})
		}
	}
}

// answers returns interim and final answers of a site to one request, each with
// its header sorted, and without what is each server's own.
func answers(t *testing.T, addr, method string) []string {
	t.Helper()
	conn := harness.DialRaw(t, addr, nil)
	defer conn.Close()
	conn.Send(request(method, addr, "/", ""))
	var out []string
	for {
		answer := conn.Receive(method)
		head, body, _ := strings.Cut(answer.Raw, "\r\n\r\n")
		lines := strings.Split(head, "\r\n")
		kept := slices.DeleteFunc(lines[1:], func(l string) bool {
			return strings.HasPrefix(l, "Date: ") || strings.HasPrefix(l, "Via: ") && strings.HasSuffix(l, " Caddy")
		})
		slices.Sort(kept)
		out = append(out, lines[0]+"\n"+strings.Join(kept, "\n")+"\n\n"+body)
		if answer.Status >= 200 {
			return out
		}
	}
}
