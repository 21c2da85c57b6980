// An upstream for HTTP/2, over TLS or in clear.

package harness

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
)

// H2Upstream is an upstream of net/http that speaks HTTP/2. It cannot tell the
// order and casing of headers (HTTP/2 has no casing), but their number.
type H2Upstream struct {
	record
	srv     *httptest.Server
	handler atomic.Pointer[http.HandlerFunc]
	conns   atomic.Int64
}

type connKey struct{}

// NewH2Upstream starts an upstream on a free port: HTTP/2 only over TLS, or
// with a nil configuration HTTP/2 in clear (h2c) by prior knowledge, beside
// HTTP/1.1. It ends with the test.
func NewH2Upstream(t testing.TB, conf *tls.Config) *H2Upstream {
	t.Helper()
	u := &H2Upstream{record: newRecord(t)}
	u.Handle(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	u.srv = httptest.NewUnstartedServer(http.HandlerFunc(u.serve))
	u.srv.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, int(u.conns.Add(1)))
	}
	var protocols http.Protocols
	if conf != nil {
		protocols.SetHTTP2(true)
		u.srv.Config.Protocols = &protocols
		u.srv.EnableHTTP2 = true
		u.srv.TLS = conf.Clone()
		u.srv.StartTLS()
	} else {
		protocols.SetHTTP1(true)
		protocols.SetUnencryptedHTTP2(true)
		u.srv.Config.Protocols = &protocols
		u.srv.Start()
	}
	t.Cleanup(func() {
		u.srv.CloseClientConnections()
		u.srv.Close()
	})
	return u
}

// Addr returns host and port.
func (u *H2Upstream) Addr() string { return u.srv.Listener.Addr().String() }

// URL returns the base URL, without a path.
func (u *H2Upstream) URL() string { return u.srv.URL }

// Handle makes h answer; each request's body has been read to its end by then.
func (u *H2Upstream) Handle(h http.HandlerFunc) { u.handler.Store(&h) }

func (u *H2Upstream) serve(w http.ResponseWriter, hr *http.Request) {
	conn, _ := hr.Context().Value(connKey{}).(int)
	r := &Request{Conn: conn, Proto: hr.Proto, Method: hr.Method, Target: hr.RequestURI}
	r.Fields = append([]Field{{Name: "Host", Value: hr.Host}}, fields(hr.Header)...)
	u.hit(r)
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(&bodySink{r: r}, h), hr.Body); err != nil {
		return
	}
	h.Sum(r.BodySum[:0])
	r.Trailers = fields(hr.Trailer)
	u.add(r)
	(*u.handler.Load())(w, hr)
}

func fields(h http.Header) []Field {
	var out []Field
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[name] {
			out = append(out, Field{Name: name, Value: v})
		}
	}
	return out
}
