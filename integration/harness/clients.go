// Clients of net/http for tests.

package harness

import (
	"crypto/tls"
	"net/http"
	"testing"
)

// HTTP1Client returns a client of HTTP/1.1 with its own connections, which
// follows no redirects, asks for no compression, and obeys no proxy variables.
func HTTP1Client(t testing.TB, conf *tls.Config) *http.Client {
	var p http.Protocols
	p.SetHTTP1(true)
	return client(t, conf, &p)
}

// HTTP2Client is the same for HTTP/2: over TLS, or with a nil configuration in
// clear by prior knowledge.
func HTTP2Client(t testing.TB, conf *tls.Config) *http.Client {
	var p http.Protocols
	p.SetHTTP2(conf != nil)
	p.SetUnencryptedHTTP2(conf == nil)
	return client(t, conf, &p)
}

func client(t testing.TB, conf *tls.Config, p *http.Protocols) *http.Client {
	tr := &http.Transport{
		TLSClientConfig:     conf,
		Protocols:           p,
		MaxIdleConnsPerHost: 256,
		DisableCompression:  true,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{
		Transport:     tr,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
