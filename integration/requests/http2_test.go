// A client of HTTP/2 frame by frame: net/http sends no extended CONNECT.

package requests

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

type h2conn struct {
	t      *testing.T
	framer *http2.Framer
	conn   net.Conn
	stream uint32
	data   bytes.Buffer

	// extendedConnect tells what the server's first settings said.
	extendedConnect bool
}

// dialH2 connects, greets, and waits for the server's settings.
func dialH2(t *testing.T, addr string, conf *tls.Config) *h2conn {
	t.Helper()
	conf = conf.Clone()
	conf.NextProtos, conf.ServerName = []string{"h2"}, "localhost"
	d := tls.Dialer{Config: conf}
	conn, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	c := &h2conn{t: t, conn: conn, framer: http2.NewFramer(conn, conn), stream: 1}
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	c.must(c.framer.WriteSettings())
	for {
		settings, ok := c.read().(*http2.SettingsFrame)
		if ok && !settings.IsAck() {
			v, has := settings.Value(http2.SettingEnableConnectProtocol)
			c.extendedConnect = has && v == 1
			c.must(c.framer.WriteSettingsAck())
			return c
		}
	}
}

func (c *h2conn) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *h2conn) read() http2.Frame {
	c.t.Helper()
	f, err := c.framer.ReadFrame()
	c.must(err)
	return f
}

// connect asks for a WebSocket and returns the answer's status, 0 when the
// server reset the stream instead.
func (c *h2conn) connect(authority, path string) (int, http.Header) {
	c.t.Helper()
	return c.request([]string{
		":protocol", "websocket", ":scheme", "https", ":path", path, ":authority", authority,
		"sec-websocket-version", "13", "sec-websocket-protocol", "chat", "authorization", "Bearer mine",
	})
}

// request opens the stream with a CONNECT of these names and values.
func (c *h2conn) request(fields []string) (int, http.Header) {
	c.t.Helper()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	c.must(enc.WriteField(hpack.HeaderField{Name: ":method", Value: http.MethodConnect}))
	for i := 0; i < len(fields); i += 2 {
		c.must(enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	c.must(c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: c.stream, BlockFragment: block.Bytes(), EndHeaders: true}))
	for {
		switch f := c.read().(type) {
		case *http2.MetaHeadersFrame:
			header := http.Header{}
			for _, field := range f.RegularFields() {
				header.Add(field.Name, field.Value)
			}
			status, err := strconv.Atoi(f.PseudoValue("status"))
			c.must(err)
			return status, header
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return 0, nil
		}
	}
}

func (c *h2conn) send(b string) {
	c.t.Helper()
	c.must(c.framer.WriteData(c.stream, false, []byte(b)))
}

// receive reads n bytes of the stream.
func (c *h2conn) receive(n int) string {
	c.t.Helper()
	for c.data.Len() < n {
		switch f := c.read().(type) {
		case *http2.DataFrame:
			c.data.Write(f.Data())
			if f.StreamEnded() && c.data.Len() < n {
				c.t.Fatalf("the stream ended after %q", c.data.String())
			}
		case *http2.RSTStreamFrame:
			c.t.Fatalf("the stream was reset: %v", f.ErrCode)
		}
	}
	return string(c.data.Next(n))
}
