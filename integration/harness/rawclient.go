// A client on a raw socket.

package harness

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// RawConn is a client's connection on which exact bytes are sent.
type RawConn struct {
	t    testing.TB
	conn net.Conn
	br   *bufio.Reader
	seen *bytes.Buffer
}

// RawResponse is an answer, parsed and as it came.
type RawResponse struct {
	Status int
	Header http.Header
	Body   []byte

	// Raw is everything from the status line to the end of the body.
	Raw string
}

// ioTimeout bounds each read and write of a raw client.
const ioTimeout = 30 * time.Second

// DialRaw connects to host:port, with TLS if conf is not nil. The connection
// is closed at the end of the test.
func DialRaw(t testing.TB, addr string, conf *tls.Config) *RawConn {
	t.Helper()
	d := net.Dialer{Timeout: 5 * time.Second}
	conn, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if conf != nil {
		conf = conf.Clone()
		if conf.ServerName == "" {
			conf.ServerName = "localhost"
		}
		conn = tls.Client(conn, conf)
	}
	t.Cleanup(func() { conn.Close() })
	seen := &bytes.Buffer{}
	return &RawConn{t: t, conn: conn, seen: seen, br: bufio.NewReader(io.TeeReader(conn, seen))}
}

// Send writes these bytes.
func (c *RawConn) Send(b string) {
	c.t.Helper()
	_ = c.conn.SetWriteDeadline(time.Now().Add(ioTimeout))
	if _, err := io.WriteString(c.conn, b); err != nil {
		c.t.Fatalf("sending: %v", err)
	}
}

// Receive reads one whole response to a request of that method. Interim
// responses are responses of their own. The test fails when none comes.
func (c *RawConn) Receive(method string) *RawResponse {
	c.t.Helper()
	r, err := c.TryReceive(method)
	if err != nil {
		c.t.Fatalf("receiving: %v", err)
	}
	return r
}

// TryReceive is [RawConn.Receive] for connections that may be cut; with the
// error comes what had arrived, if that was at least a header.
func (c *RawConn) TryReceive(method string) (*RawResponse, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(ioTimeout))
	start := c.seen.Len() - c.br.Buffered()
	resp, err := http.ReadResponse(c.br, &http.Request{Method: method})
	if err != nil {
		return nil, err
	}
	out := &RawResponse{Status: resp.StatusCode, Header: resp.Header}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		out.Body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	out.Raw = string(c.seen.Bytes()[start : c.seen.Len()-c.br.Buffered()])
	return out, err
}

// ReadUntil reads until what it read holds part, and returns all of it: for
// streams and tunnels. The test fails when the connection ends before.
func (c *RawConn) ReadUntil(part string) string {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(ioTimeout))
	var got []byte
	for !bytes.Contains(got, []byte(part)) {
		b, err := c.br.ReadByte()
		if err != nil {
			c.t.Fatalf("reading until %q: %v; got %q", part, err, got)
		}
		got = append(got, b)
	}
	return string(got)
}

// Close closes the connection, as a client that leaves.
func (c *RawConn) Close() { c.conn.Close() }

// Exchange sends one request's exact bytes on a new connection and returns the
// final answer, interim ones skipped. The method is taken from the bytes.
func Exchange(t testing.TB, addr string, conf *tls.Config, request string) *RawResponse {
	t.Helper()
	c := DialRaw(t, addr, conf)
	defer c.Close()
	c.Send(request)
	method, _, _ := bytes.Cut([]byte(request), []byte(" "))
	for {
		r := c.Receive(string(method))
		if r.Status >= 200 || r.Status == http.StatusSwitchingProtocols {
			return r
		}
	}
}
