package catalog

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestAServerThatIsGoneWithoutAWordIsNoticed(t *testing.T) {
	c, err := serverConfig("postgres://u:p@db.internal/x")
	must(t, err)
	for network, addr := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")} {
		ln, err := net.Listen(network, addr)
		must(t, err)
		t.Cleanup(func() { _ = ln.Close() })
		conn, err := c.DialFunc(t.Context(), network, ln.Addr().String())
		must(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		tcp, ok := conn.(*net.TCPConn)
		if !ok {
			continue // this machine is not gone
		}
		raw, err := tcp.SyscallConn()
		must(t, err)
		get := func(option int) (n int) {
			must(t, raw.Control(func(fd uintptr) { n, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, option) }))
			must(t, err)
			return n
		}
		// What is sent, and then what only waits.
		if d := time.Duration(get(unix.TCP_USER_TIMEOUT)) * time.Millisecond; d != silence {
			t.Errorf("what is sent stays unanswered for %s", d)
		}
		if d := time.Duration(get(unix.TCP_KEEPIDLE)+get(unix.TCP_KEEPCNT)*get(unix.TCP_KEEPINTVL)) * time.Second; d != silence {
			t.Errorf("who waits notices after %s", d)
		}
	}
}
