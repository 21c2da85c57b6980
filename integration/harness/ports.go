// Free ports for servers that cannot tell which one they got.

package harness

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Below the range that Linux hands out for outgoing connections (32768 and up),
// so that no client of a test running beside us is given a port between our
// look and Caddy's bind.
const firstPort, lastPort = 20000, 32000

var (
	portsMu   sync.Mutex
	portsUsed = map[int]bool{}
)

// Port returns a port on 127.0.0.1 that was free for TCP and UDP, and that this
// process has not been given before.
func Port(t testing.TB) int {
	t.Helper()
	portsMu.Lock()
	defer portsMu.Unlock()
	for range 1000 {
		p := firstPort + rand.IntN(lastPort-firstPort)
		if portsUsed[p] || !free(t, p) {
			continue
		}
		portsUsed[p] = true
		return p
	}
	t.Fatal("found no free port in 1000 tries")
	return 0
}

func free(t testing.TB, p int) bool {
	addr := fmt.Sprintf("127.0.0.1:%d", p)
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", addr)
	if err != nil {
		return false
	}
	defer ln.Close()
	pc, err := lc.ListenPacket(t.Context(), "udp", addr)
	if err != nil {
		return false
	}
	return pc.Close() == nil
}
