// A proxy before a server that counts, and misbehaves on demand.

package vaulttest

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// Proxy passes requests to a server and notes each one.
type Proxy struct {
	// Addr is the proxy's URL.
	Addr string

	mu       sync.Mutex
	seen     []string
	statuses map[int]int
	slow     string
	delay    time.Duration
	fault    http.Handler
	srv      *httptest.Server
}

// CountingProxy starts a proxy before s and returns its URL and a function that
// tells how many requests came through it.
func (s *Server) CountingProxy(t testing.TB) (addr string, count func() int) {
	t.Helper()
	p := s.Proxy(t)
	return p.Addr, func() int { return p.Count("") }
}

// Proxy starts a proxy before s that ends with the test.
func (s *Server) Proxy(t testing.TB) *Proxy {
	t.Helper()
	target, err := url.Parse(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{statuses: make(map[int]int)}
	rp := &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // a dead server is a cut connection
		Transport:    &http.Transport{},
		ModifyResponse: func(r *http.Response) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.statuses[r.StatusCode]++
			return nil
		},
	}
	p.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		line := r.Method + " " + r.URL.Path
		p.mu.Lock()
		p.seen = append(p.seen, line)
		fault, wait := p.fault, time.Duration(0)
		if strings.Contains(line, p.slow) {
			wait = p.delay
		}
		p.mu.Unlock()
		select {
		case <-time.After(wait):
		case <-r.Context().Done():
			return
		}
		if fault != nil {
			fault.ServeHTTP(w, r)
			return
		}
		rp.ServeHTTP(w, r)
	}))
	p.Addr = p.srv.URL
	t.Cleanup(func() {
		p.srv.CloseClientConnections()
		p.srv.Close()
		rp.Transport.(*http.Transport).CloseIdleConnections()
	})
	return p
}

// Count tells how many requests came whose "METHOD /path" contains part.
func (p *Proxy) Count(part string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, line := range p.seen {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

// Seen returns "METHOD /path" of every request so far.
func (p *Proxy) Seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.seen...)
}

// Answered tells how many answers of the server had that status.
func (p *Proxy) Answered(status int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.statuses[status]
}

// Delay holds back requests whose "METHOD /path" contains part; 0 ends that.
func (p *Proxy) Delay(part string, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slow, p.delay = part, d
}

// Fault lets h answer instead of the server; nil ends that.
func (p *Proxy) Fault(h http.Handler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = h
}

// Cut closes every connection to the proxy.
func (p *Proxy) Cut() { p.srv.CloseClientConnections() }

// Reset answers every request with a TCP reset. It is a fault for
// [Proxy.Fault].
var Reset http.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
})
