package sdk

// This file holds what stands between the SDK and Caddy: a proxy that keeps
// every exchange, and holds those of the management API against the document
// that Caddy gives out of it.

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
)

// tap passes requests on to Caddy and keeps them.
type tap struct {
	url       string
	transport *http.Transport

	mu   sync.Mutex
	kept []*exchange
}

// exchange is a request and its answer, read whole.
type exchange struct {
	req       *http.Request
	res       *http.Response
	sent, got []byte
}

func newTap(t *testing.T, caddy string) *tap {
	t.Helper()
	to, err := url.Parse(caddy)
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{transport: &http.Transport{DisableCompression: true}}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: p,
	})
	t.Cleanup(func() {
		server.Close()
		p.transport.CloseIdleConnections()
	})
	p.url = server.URL
	return p
}

// RoundTrip implements [http.RoundTripper].
func (p *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	e := &exchange{req: r}
	var err error
	if r.Body != nil {
		if e.sent, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(e.sent))
	}
	if e.res, err = p.transport.RoundTrip(r); err != nil {
		return nil, err
	}
	defer func() { _ = e.res.Body.Close() }()
	if e.got, err = io.ReadAll(e.res.Body); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = append(p.kept, e)
	res := *e.res // the proxy changes the header of what it passes on
	res.Header = e.res.Header.Clone()
	res.Body = io.NopCloser(bytes.NewReader(e.got))
	return &res, nil
}

func (p *tap) exchanges() []*exchange {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*exchange(nil), p.kept...)
}

// viaGateway tells whether it was a call to an upstream, of which the document
// says nothing.
func (e *exchange) viaGateway() bool { return strings.HasPrefix(e.req.URL.Path, "/proxy/") }

func (e *exchange) String() string { return e.req.Method + " " + e.req.URL.RequestURI() }

// request returns what was sent, to be read once.
func (e *exchange) request() *http.Request {
	r := e.req.Clone(e.req.Context())
	r.Body = http.NoBody
	if len(e.sent) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(e.sent))
	}
	return r
}

// answerHolds tells whether a text is in the answer, as it is or encoded.
func (e *exchange) answerHolds(text string) bool { return holds(e.res.Header, e.got, text) }

func holds(h http.Header, body []byte, text string) bool {
	var b bytes.Buffer
	_ = h.Write(&b)
	b.Write(body)
	for _, form := range []string{text, base64.StdEncoding.EncodeToString([]byte(text)), url.QueryEscape(text)} {
		if bytes.Contains(b.Bytes(), []byte(form)) {
			return true
		}
	}
	return false
}

// checkDocument holds what was exchanged against an OpenAPI document: every
// answer must be one that it promises, and every request that was obeyed one
// that it allows. It returns how many exchanges it looked at.
func checkDocument(t *testing.T, document []byte, kept []*exchange) (looked int) {
	t.Helper()
	doc, err := libopenapi.NewDocument(document)
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(doc)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for _, e := range kept {
		if e.viaGateway() {
			continue
		}
		looked++
		e.res.Body = io.NopCloser(bytes.NewReader(e.got))
		if ok, errs := v.ValidateHttpResponse(e.request(), e.res); !ok {
			t.Errorf("%s: the document knows no such answer: %v\n%d %s", e, errs[0], e.res.StatusCode, e.got)
		}
		if e.res.StatusCode >= 300 {
			continue
		}
		if ok, errs := v.ValidateHttpRequest(e.request()); !ok {
			t.Errorf("%s: obeyed, and the document forbids it: %v", e, errs[0])
		}
	}
	return looked
}
