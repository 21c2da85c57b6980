// The addresses of a cluster and the connections to them.

package vault

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

// Bounds of a connection, each a multiple of what a healthy Vault in the same
// region needs, so that a dead one is noticed within a request's patience.
const (
	dialTimeout   = 2 * time.Second
	tlsTimeout    = 3 * time.Second
	headerTimeout = 4 * time.Second
	idleTimeout   = 60 * time.Second
	maxConns      = 10 // per address; Vault answers in milliseconds

	// A dead HTTP/2 connection would otherwise hang all its streams until the
	// kernel gives up, after about 15 minutes.
	pingAfter   = 15 * time.Second
	pingTimeout = 5 * time.Second

	// maxBody is above anything KV holds: Vault refuses strings over 1 MiB.
	maxBody = 1 << 20
)

// errTooLarge ends the reading of a body that no honest answer has.
var errTooLarge = fmt.Errorf("answer is larger than %d bytes", maxBody)

// endpoint is one address.
type endpoint struct {
	addr   string // as configured; it holds no userinfo
	scheme string
	host   string // what a redirect to this address has as its host
	socket string // path of a unix socket, else empty
}

// CheckAddress returns nil when addr can be one of [Config.Addresses]. Its
// errors show no part of it that could be a password.
func CheckAddress(addr string) error {
	_, err := parseEndpoint(addr)
	return err
}

// parseEndpoint reads an address. Its errors show no part of it that could be a
// password.
func parseEndpoint(addr string) (endpoint, error) {
	u, err := url.Parse(strings.TrimSpace(addr))
	if err != nil {
		return endpoint{}, errors.New("is not a URL")
	}
	if u.User != nil {
		return endpoint{}, errors.New("must not hold a user or password")
	}
	switch u.Scheme {
	case "unix":
		socket := strings.TrimPrefix(strings.TrimSpace(addr), "unix://")
		if !strings.HasPrefix(socket, "/") {
			return endpoint{}, fmt.Errorf("%q needs an absolute path, like unix:///run/vault.sock", addr)
		}
		return endpoint{addr: addr, scheme: "http", host: "localhost", socket: socket}, nil
	case "http", "https":
	default:
		if !strings.Contains(addr, "://") { // not repeated: it may be a token in the wrong variable
			return endpoint{}, errors.New("must begin with http://, https:// or unix:///")
		}
		return endpoint{}, fmt.Errorf("%q must begin with http://, https:// or unix:///", addr)
	}
	if u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		return endpoint{}, fmt.Errorf("%q must be scheme, host and port", addr)
	}
	return endpoint{addr: strings.TrimRight(u.String(), "/"), scheme: u.Scheme, host: strings.ToLower(u.Host)}, nil
}

// wire is a set of connections to one address, made with one TLS material.
type wire struct {
	endpoint
	api  *api.Client
	base *http.Transport
	tls  *handshake
}

// newWire opens nothing yet.
func newWire(e endpoint, c Config, t *tls.Config) (*wire, error) {
	d := &net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}
	base := &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if e.socket != "" {
				return d.DialContext(ctx, "unix", e.socket)
			}
			return d.DialContext(ctx, network, addr)
		},
		TLSClientConfig:       t,
		TLSHandshakeTimeout:   tlsTimeout,
		ResponseHeaderTimeout: headerTimeout,
		IdleConnTimeout:       idleTimeout,
		MaxConnsPerHost:       maxConns,
		MaxIdleConnsPerHost:   maxConns,
		ForceAttemptHTTP2:     true,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
	if c.Proxy != "" && e.socket == "" {
		u, err := url.Parse(c.Proxy)
		if err != nil {
			return nil, errors.New("proxy: is not a URL")
		}
		base.Proxy = http.ProxyURL(u)
	}
	addr := e.addr
	if e.socket != "" {
		addr = "http://localhost" // the dialer knows the socket; vault/api would ignore the context
	}
	tls := &handshake{addr: e.addr, log: c.Log}
	cl, err := api.NewClient(&api.Config{
		Address: addr,
		HttpClient: &http.Client{
			Transport:     bounded{base, tls},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		MaxRetries:       0, // a repeated write looks like somebody else's
		DisableRedirects: true,
		SRVLookup:        c.SRVLookup,
	})
	if err != nil { // it reads every VAULT_* variable, also those we have no use for
		return nil, fmt.Errorf("preparing the client of %s (is a VAULT_* variable malformed?): %w", e.addr, err)
	}
	// What vault/api took from the environment belongs to another cluster
	// whenever the operator has written something else.
	cl.ClearToken()
	headers := http.Header{api.RequestHeaderName: {"true"}}
	for name, values := range c.Headers {
		headers[http.CanonicalHeaderKey(name)] = values
	}
	cl.SetHeaders(headers)
	cl.SetWrappingLookupFunc(func(string, string) string { return "" })
	if c.RateLimit > 0 {
		cl.SetLimiter(c.RateLimit, max(1, c.RateBurst))
	}
	return &wire{endpoint: e, api: cl, base: base, tls: tls}, nil
}

// bounded limits what is read of an answer. It sits below vault/api, which
// reads error bodies whole, and sees errors before anybody wraps them.
type bounded struct {
	base *http.Transport
	tls  *handshake
}

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.base.RoundTrip(r)
	b.tls.note(err)
	if err != nil {
		return nil, err
	}
	resp.Body = &limitedBody{ReadCloser: resp.Body, left: maxBody}
	return resp, nil
}

type limitedBody struct {
	io.ReadCloser
	left int
}

func (l *limitedBody) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, errTooLarge
	}
	if len(p) > l.left+1 {
		p = p[:l.left+1] // one byte more tells an exact fit from an excess
	}
	n, err := l.ReadCloser.Read(p)
	l.left -= n
	if l.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}
