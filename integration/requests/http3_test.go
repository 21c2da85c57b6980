// Clients of HTTP/3.

package requests

import (
	"crypto/tls"
	"net/http"
	"testing"

	"github.com/quic-go/quic-go/http3"
)

func http3Client(t *testing.T, conf *tls.Config) *http.Client {
	tr := &http3.Transport{TLSClientConfig: conf, DisableCompression: true}
	t.Cleanup(func() { _ = tr.Close() })
	return &http.Client{Transport: tr}
}
