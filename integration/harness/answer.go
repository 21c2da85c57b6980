// What an upstream can be told to answer.

package harness

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Answer writes the answer to r. An error ends the connection.
type Answer func(w *Writer, r *Request) error

// errClose ends a connection after an answer that is complete on purpose.
var errClose = errors.New("closing the connection")

// Writer is the upstream's side of a connection.
type Writer struct {
	ctx  context.Context // ends with the test
	conn net.Conn
	br   *bufio.Reader
}

// Raw answers with these bytes and keeps the connection open.
func Raw(b string) Answer {
	return func(w *Writer, _ *Request) error {
		_, err := io.WriteString(w.conn, b)
		return err
	}
}

// Text answers with a status, a body, and header lines ("Name: value"), with
// the length declared. To HEAD, and with 204 and 304, there is no body.
func Text(status int, body string, lines ...string) Answer {
	return func(w *Writer, r *Request) error {
		var b strings.Builder
		writeHead(&b, status, lines)
		bare := status == http.StatusNoContent || status == http.StatusNotModified
		if !bare {
			fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
		}
		b.WriteString("\r\n")
		if !bare && r.Method != http.MethodHead {
			b.WriteString(body)
		}
		_, err := io.WriteString(w.conn, b.String())
		return err
	}
}

// Truncated declares more bytes than it sends, and closes.
func Truncated(status int, body string, missing int, lines ...string) Answer {
	return func(w *Writer, _ *Request) error {
		var b strings.Builder
		writeHead(&b, status, lines)
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body)+missing, body)
		_, _ = io.WriteString(w.conn, b.String())
		return errClose
	}
}

// Stream answers with a chunked body whose chunks are taken from a channel, as
// server-sent events come. Closing the channel ends the body.
func Stream(status int, chunks <-chan string, lines ...string) Answer {
	return func(w *Writer, _ *Request) error {
		var b strings.Builder
		writeHead(&b, status, lines)
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		if _, err := io.WriteString(w.conn, b.String()); err != nil {
			return err
		}
		for {
			select {
			case <-w.ctx.Done():
				return w.ctx.Err()
			case chunk, more := <-chunks:
				if !more {
					_, err := io.WriteString(w.conn, "0\r\n\r\n")
					return err
				}
				if _, err := fmt.Fprintf(w.conn, "%x\r\n%s\r\n", len(chunk), chunk); err != nil {
					return err
				}
			}
		}
	}
}

// Interim sends an interim response (103, say) and then the answer a.
func Interim(status int, lines []string, a Answer) Answer {
	return func(w *Writer, r *Request) error {
		var b strings.Builder
		writeHead(&b, status, lines)
		if _, err := io.WriteString(w.conn, b.String()+"\r\n"); err != nil {
			return err
		}
		return a(w, r)
	}
}

// Delayed waits before it answers with a, or until release is closed if that
// is not nil.
func Delayed(d time.Duration, release <-chan struct{}, a Answer) Answer {
	return func(w *Writer, r *Request) error {
		wait := time.NewTimer(d)
		defer wait.Stop()
		select {
		case <-w.ctx.Done():
			return w.ctx.Err()
		case <-release:
		case <-wait.C:
		}
		return a(w, r)
	}
}

// Hang never answers; the connection stays open until the test or the peer
// ends it.
func Hang() Answer {
	return func(w *Writer, _ *Request) error {
		_, _ = io.Copy(io.Discard, w.br)
		return errClose
	}
}

// Close closes the connection without an answer.
func Close() Answer { return func(*Writer, *Request) error { return errClose } }

// Reset ends the connection with a TCP reset.
func Reset() Answer {
	return func(w *Writer, _ *Request) error {
		c := w.conn
		if t, ok := c.(interface{ NetConn() net.Conn }); ok {
			c = t.NetConn()
		}
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
			t.Close()
		}
		return errClose
	}
}

// Tunnel answers with 101 and these header lines, then hands the connection to
// f. When f returns, the connection closes. f ends when its reads do: they do
// at the end of the test.
func Tunnel(lines []string, f func(r io.Reader, w io.Writer)) Answer {
	return func(w *Writer, _ *Request) error {
		var b strings.Builder
		writeHead(&b, http.StatusSwitchingProtocols, lines)
		if _, err := io.WriteString(w.conn, b.String()+"\r\n"); err != nil {
			return err
		}
		f(w.br, w.conn)
		return errClose
	}
}

// Inform calls f with each request before it answers with a.
func Inform(f func(*Request), a Answer) Answer {
	return func(w *Writer, r *Request) error {
		f(r)
		return a(w, r)
	}
}

func writeHead(b *strings.Builder, status int, lines []string) {
	fmt.Fprintf(b, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	for _, l := range lines {
		b.WriteString(l + "\r\n")
	}
}
