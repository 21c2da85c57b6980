package lifecycle

// This file holds the sending of one request.

import (
	"io"
	"net/http"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// send returns the whole answer to a request. A server that is being replaced may
// close the connection of a GET, which is then sent again.
func send(c *http.Client, req *http.Request) (*harness.Reply, error) {
	r := &harness.Reply{Started: time.Now()}
	resp, err := harness.Do(c, req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	r.Status, r.Header, r.Body, r.Ended = resp.StatusCode, resp.Header, string(b), time.Now()
	return r, err
}
