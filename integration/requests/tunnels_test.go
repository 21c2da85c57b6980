// A forward proxy that knows CONNECT, and leads all tunnels to one upstream.

package requests

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
)

type tunnels struct {
	addr, upstream string
	listener       net.Listener
	wg             sync.WaitGroup

	mu    sync.Mutex
	asked string
	conns []net.Conn
}

func newTunnels(t *testing.T, upstream string) *tunnels {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tunnels{addr: ln.Addr().String(), upstream: upstream, listener: ln}
	ctx, cancel := context.WithCancel(context.Background())
	p.wg.Go(func() { p.accept(ctx) })
	t.Cleanup(func() {
		cancel()
		ln.Close()
		p.mu.Lock()
		for _, c := range p.conns {
			c.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	})
	return p
}

// last returns the authority that the newest tunnel was asked for.
func (p *tunnels) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func (p *tunnels) accept(ctx context.Context) {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(ctx, c) })
	}
}

func (p *tunnels) serve(ctx context.Context, c net.Conn) {
	defer c.Close()
	up, err := new(net.Dialer).DialContext(ctx, "tcp", p.upstream)
	if err != nil {
		return
	}
	defer up.Close()
	p.mu.Lock()
	p.conns = append(p.conns, c, up)
	p.mu.Unlock()

	br := bufio.NewReader(c)
	req, err := http.ReadRequest(br)
	if err != nil || req.Method != http.MethodConnect || ctx.Err() != nil {
		return
	}
	p.mu.Lock()
	p.asked = req.RequestURI
	p.mu.Unlock()
	if _, err := io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	p.wg.Go(func() {
		_, _ = io.Copy(up, br)
		up.Close()
	})
	_, _ = io.Copy(c, up)
}
