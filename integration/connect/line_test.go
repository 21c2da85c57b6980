package connect

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// line is what is between a browser and the site.
type line struct {
	url  string
	does atomic.Value // what becomes of who asks for the session: "", "holds", "cuts", "limits"

	unguarded bool              // takes off what tells the browser whom to trust
	rewrite   *strings.Replacer // of what the API says
}

func newLine(t *testing.T, site string) *line {
	t.Helper()
	to, err := url.Parse(site)
	if err != nil {
		t.Fatal(err)
	}
	l := &line{}
	l.does.Store("")
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(to)
		p.Out.Header.Del("Accept-Encoding")
	}, ModifyResponse: l.answers}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/connect/session" {
			switch l.does.Load() {
			case "holds":
				<-r.Context().Done()
				return
			case "cuts":
				panic(http.ErrAbortHandler)
			case "limits":
				w.WriteHeader(http.StatusTooManyRequests)
				_, _ = io.WriteString(w, `{"error":{"code":"too_many_failures","message":"wait"}}`)
				return
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	l.url = server.URL + "/"
	return l
}

func (l *line) answers(res *http.Response) error {
	if l.unguarded {
		res.Header.Del("Content-Security-Policy")
		res.Header.Del("X-Frame-Options")
	}
	if l.rewrite == nil || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		return nil
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	b = []byte(l.rewrite.Replace(string(b)))
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	res.Header.Del("Content-Length")
	return nil
}
