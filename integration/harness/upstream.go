// An upstream on a raw TCP socket: net/http would hide duplicate headers, their
// casing, and their order.

package harness

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// Upstream is an HTTP/1.1 server on a raw socket that records what it receives.
// Until told otherwise it answers everything with 200 and "ok".
type Upstream struct {
	record
	listener net.Listener
	scheme   string
	ctx      context.Context
	wg       sync.WaitGroup

	mu     sync.Mutex
	answer func(*Request) Answer
	early  func(*Request) Answer
	conns  map[net.Conn]struct{}
	opened int
}

// NewUpstream starts an upstream on a free port. With a TLS configuration (see
// [CA.ServerTLS]) it serves https. It ends with the test.
func NewUpstream(t testing.TB, conf *tls.Config) *Upstream {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &Upstream{record: newRecord(t), listener: ln, scheme: "http", conns: map[net.Conn]struct{}{}}
	if conf != nil {
		conf = conf.Clone()
		conf.NextProtos = []string{"http/1.1"}
		u.listener, u.scheme = tls.NewListener(ln, conf), "https"
	}
	ctx, cancel := context.WithCancel(context.Background())
	u.ctx = ctx
	u.wg.Go(u.accept)
	t.Cleanup(func() {
		cancel()
		u.listener.Close()
		u.CutConnections()
		u.wg.Wait()
	})
	return u
}

// Addr returns host and port.
func (u *Upstream) Addr() string { return u.listener.Addr().String() }

// URL returns the base URL, without a path.
func (u *Upstream) URL() string { return u.scheme + "://" + u.Addr() }

// Answer makes the upstream answer every complete request with what f returns.
func (u *Upstream) Answer(f func(*Request) Answer) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answer = f
}

// Always makes the upstream answer every request with a.
func (u *Upstream) Always(a Answer) { u.Answer(func(*Request) Answer { return a }) }

// AnswerEarly is asked when only the header has been read. If f returns an
// answer, it is given before the body is read, and the connection then ends.
func (u *Upstream) AnswerEarly(f func(*Request) Answer) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.early = f
}

// Connections returns how many connections were opened so far.
func (u *Upstream) Connections() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.opened
}

// CutConnections closes every open connection, as a restart of the upstream
// would.
func (u *Upstream) CutConnections() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for c := range u.conns {
		c.Close()
	}
}

func (u *Upstream) accept() {
	for {
		c, err := u.listener.Accept()
		if err != nil {
			return
		}
		u.mu.Lock()
		u.opened++
		n := u.opened
		u.conns[c] = struct{}{}
		u.mu.Unlock()
		if u.ctx.Err() != nil {
			c.Close() // accepted while the test was ending
		}
		u.wg.Go(func() {
			defer func() {
				c.Close()
				u.mu.Lock()
				delete(u.conns, c)
				u.mu.Unlock()
			}()
			u.serve(c, n)
		})
	}
}

func (u *Upstream) serve(c net.Conn, n int) {
	w := &Writer{ctx: u.ctx, conn: c, br: bufio.NewReader(c)}
	for {
		r, err := readHead(w.br)
		if err != nil {
			if errors.Is(err, errWire) {
				u.t.Errorf("the upstream received no HTTP: %v", err)
			}
			return
		}
		r.Conn = n
		u.hit(r)
		u.mu.Lock()
		answer, early := u.answer, u.early
		u.mu.Unlock()
		if early != nil {
			if a := early(r); a != nil {
				u.add(r)
				_ = a(w, r)
				drain(c)
				return
			}
		}
		if find(r.Fields, "Expect") != "" {
			if _, err := io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
				return
			}
		}
		if err := readBody(w.br, r); err != nil {
			return // cut off: counted as a hit, not kept
		}
		u.add(r)
		a := Text(200, "ok")
		if answer != nil {
			a = answer(r)
		}
		if a(w, r) != nil {
			return
		}
	}
}

// drain ends our side and reads off what the peer still sends: a close with
// unread bytes is a reset, and the peer would lose the answer.
func drain(c net.Conn) {
	if cw, ok := c.(interface{ CloseWrite() error }); ok {
		_ = cw.CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	}
}
