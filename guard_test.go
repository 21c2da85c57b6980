package apikeyinject

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// farConn is a connection to an address that this machine cannot have. It
// takes what is written and ends then.
type farConn struct {
	net.Conn
	to      net.Addr
	written atomic.Int32
	ended   chan struct{}
	end     func()
}

func newFarConn(ip string) *farConn {
	c := &farConn{to: &net.TCPAddr{IP: net.ParseIP(ip), Port: 80}, ended: make(chan struct{})}
	c.end = sync.OnceFunc(func() { close(c.ended) })
	return c
}

func (c *farConn) RemoteAddr() net.Addr { return c.to }

func (c *farConn) Write(p []byte) (int, error) {
	c.written.Add(int32(len(p)))
	c.end()
	return len(p), nil
}

func (c *farConn) Read([]byte) (int, error) {
	<-c.ended
	return 0, io.EOF
}

func (c *farConn) Close() error {
	c.end()
	return nil
}

// Plain http to a public address is refused on the connection that was really
// made, whatever name or address was asked for.
func TestInsecureHTTPByTheAddressReallyDialled(t *testing.T) {
	for _, c := range []struct {
		ip   string
		near bool
	}{
		{"127.0.0.1", true},
		{"127.9.9.9", true},
		{"::1", true},
		{"::ffff:127.0.0.1", true},
		{"10.0.0.1", true},
		{"172.31.255.255", true},
		{"192.168.1.1", true},
		{"fd12::1", true},
		{"::ffff:10.1.2.3", true},
		{"8.8.8.8", false},
		{"203.0.113.7", false},
		{"172.32.0.1", false},
		{"::ffff:8.8.8.8", false},
		{"2001:4860:4860::8888", false},
		{"169.254.169.254", false},
		{"fe80::1", false},
		{"100.64.0.1", false},
		{"0.0.0.0", false},
		{"::", false},
		{"224.0.0.1", false},
		{"64:ff9b::7f00:1", false},
		{"2002:7f00:1::", false},
	} {
		t.Run(c.ip, func(t *testing.T) {
			conn := newFarConn(c.ip)
			tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
			refuseClear(tr)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/", nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := tr.RoundTrip(req)
			if err == nil {
				_ = res.Body.Close()
				t.Fatal("nobody answers here, and yet there is an answer")
			}
			f := asFailure(err)
			if c.near {
				if f != nil || conn.written.Load() == 0 {
					t.Errorf("refused: %v, %d bytes written", err, conn.written.Load())
				}
				return
			}
			if f != errEgress || conn.written.Load() != 0 {
				t.Errorf("got %v, %d bytes written; want %v and nothing written", err, conn.written.Load(), errEgress)
			}
			select {
			case <-conn.ended:
			default:
				t.Error("the connection was left open")
			}
			var status caddyhttp.HandlerError
			if !errors.As(err, &status) || status.StatusCode != http.StatusForbidden {
				t.Errorf("reverse_proxy would not answer 403 to %#v", err)
			}
		})
	}
	t.Run("errors of the dialler go back as they came", func(t *testing.T) {
		want := reverseproxy.DialError{}
		tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, want }}
		refuseClear(tr)
		//nolint:errorlint // reverse_proxy decides about retries by the concrete type
		if _, err := tr.DialContext(t.Context(), "tcp", "127.0.0.1:1"); err != error(want) {
			t.Errorf("got %#v", err)
		}
	})
}

// The guard stands before every connection in clear unless the operator waived
// it. Which function dials is all that can be seen without a public address.
func TestInsecureHTTPGuardIsInPlace(t *testing.T) {
	for _, c := range []struct {
		name, config string
		guarded      bool
	}{
		{"http", `{"base_url":"http://api.example"}`, true},
		{"http with a transport of its own", `{"base_url":"http://10.0.0.1","base":{"protocol":"http","versions":["h2c"],"dial_timeout":"1s"}}`, true},
		{"http and insecure_http", `{"base_url":"http://api.example","insecure_http":true}`, false},
		{"https", `{"base_url":"https://api.example"}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			root, err := caddy.ProvisionContext(&caddy.Config{})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := caddy.NewContext(root)
			defer cancel()
			mod, err := ctx.LoadModuleByID("http.reverse_proxy.transport.apikey_inject", json.RawMessage(c.config))
			if err != nil {
				t.Fatal(err)
			}
			dial := mod.(*Transport).base.(*reverseproxy.HTTPTransport).Transport.DialContext
			name := runtime.FuncForPC(reflect.ValueOf(dial).Pointer()).Name()
			if guarded := strings.Contains(name, "refuseClear"); guarded != c.guarded {
				t.Errorf("dialled by %s", name)
			}
		})
	}
}
