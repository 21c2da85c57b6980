package egress_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/apikeyinject/caddy-apikey-inject/internal/egress"
)

// listen counts connections on a loopback port.
func listen(t *testing.T) (port string, accepted *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted = new(atomic.Int32)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, accepted
}

// resolver answers every question for an IPv4 address with what next returns.
func resolver(next func() [4]byte) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go answer(far, next)
		return near, nil
	}}
}

// answer speaks DNS over a stream: each message after its length.
func answer(c net.Conn, next func() [4]byte) {
	defer c.Close()
	buf := make([]byte, 2048)
	n, err := c.Read(buf)
	for n < 14 && err == nil {
		var m int
		m, err = c.Read(buf[n:])
		n += m
	}
	var q dnsmessage.Message
	if err != nil || q.Unpack(buf[2:n]) != nil {
		return
	}
	q.Response, q.RecursionAvailable, q.Additionals = true, true, nil
	if q.Questions[0].Type == dnsmessage.TypeA {
		q.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET},
			Body:   &dnsmessage.AResource{A: next()},
		}}
	}
	out, err := q.Pack()
	if err == nil {
		c.Write(append([]byte{byte(len(out) >> 8), byte(len(out))}, out...))
	}
}

// J3: a name that is public when it is looked at and loopback when it is dialled.
func TestANameThatTurnsToLoopbackIsNotConnected(t *testing.T) {
	port, accepted := listen(t)
	var asked atomic.Int32
	rebinding := resolver(func() [4]byte {
		if asked.Add(1) == 1 {
			return [4]byte{93, 184, 215, 14}
		}
		return [4]byte{127, 0, 0, 1}
	})
	p := allowing(t, "private_ranges", "rebind.example")
	first, err := rebinding.LookupNetIP(t.Context(), "ip4", "rebind.example.")
	if err != nil || len(first) != 1 {
		t.Fatalf("got %v, %v", first, err)
	}
	if err := errors.Join(p.CheckHost("rebind.example"), dialled(t, p, "rebind.example", net.JoinHostPort(first[0].String(), port))); err != nil {
		t.Fatalf("the first look at it: %v", err)
	}
	conn, err := p.DialContext(&net.Dialer{Resolver: rebinding})(t.Context(), "tcp4", net.JoinHostPort("rebind.example.", port))
	if err == nil {
		conn.Close()
	}
	d := denied(t, err)
	if d.Addr != netip.AddrFrom4([4]byte{127, 0, 0, 1}) || d.Host != "rebind.example" {
		t.Errorf("got %+v", d)
	}

	// The same dial, allowed, arrives: it was the policy that stopped it. When
	// it is accepted, so would be one that had come before.
	p = allowing(t, "127.0.0.1")
	conn, err = p.DialContext(&net.Dialer{Resolver: rebinding})(t.Context(), "tcp4", net.JoinHostPort("rebind.example.", port))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = conn.Read(make([]byte, 1)) // ends when the listener has counted it
	conn.Close()
	if n := accepted.Load(); n != 1 {
		t.Errorf("%d connections, want only the allowed one", n)
	}
}

func TestHostsAreRefusedBeforeTheyAreResolved(t *testing.T) {
	port, accepted := listen(t)
	asked := false
	p := policy(t, egress.Config{Allow: []string{"private_ranges"}, Never: []string{"Vault.Internal.:" + port}})
	dial := p.DialContext(&net.Dialer{Resolver: resolver(func() [4]byte { asked = true; return [4]byte{127, 0, 0, 1} })})
	for _, host := range []string{"127.0.0.1", "localhost", "a.localhost", "2130706433", "0x7f.1", "::ffff:7f00:1", "::1", "::", "0.0.0.0", "vault.internal", "VAULT.internal."} {
		_, err := dial(t.Context(), "tcp", net.JoinHostPort(host, port))
		denied(t, err)
	}
	for _, network := range []string{"unix", "unixgram", "udp", "ip", ""} {
		_, err := dial(t.Context(), network, "93.184.215.14:443")
		denied(t, err)
	}
	for _, address := range []string{"93.184.215.14", "93.184.215.14:https", "vault.internal:0" + port} {
		_, err := dial(t.Context(), "tcp", address)
		denied(t, err)
	}
	if asked || accepted.Load() != 0 {
		t.Errorf("asked the resolver: %v, %d connections", asked, accepted.Load())
	}
}

func TestWhatTheBaseDialerControlsRunsAfterThePolicy(t *testing.T) {
	port, _ := listen(t)
	stop := errors.New("stop")
	for name, base := range map[string]*net.Dialer{
		"ControlContext": {ControlContext: func(context.Context, string, string, syscall.RawConn) error { return stop }},
		"Control":        {Control: func(string, string, syscall.RawConn) error { return stop }},
	} {
		if _, err := allowing(t, "127.0.0.1").DialContext(base)(t.Context(), "tcp", "127.0.0.1:"+port); !errors.Is(err, stop) {
			t.Errorf("%s: got %v", name, err)
		}
		_, err := allowing(t).DialContext(base)(t.Context(), "tcp", "127.0.0.1:"+port)
		denied(t, err)
	}
}

// J6: the operator's own services, by name and by every address they have.
func TestGuardedServicesAreNeverReached(t *testing.T) {
	now := time.Now()
	asked, fails := 0, error(nil)
	at := netip.MustParseAddr("::ffff:10.0.0.7")
	p := policy(t, egress.Config{
		Allow: []string{"private_ranges", "127.0.0.0/8", "::1", "vault.internal", "203.0.113.9"},
		Never: []string{"vault.internal:8200", "10.9.9.9:5432", "localhost:2019", "[::ffff:203.0.113.9]:443", ":2020", "/run/vault.sock", "unix//run/pg.sock"},
		Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			asked++
			if host != "vault.internal" {
				t.Errorf("looks up %q", host)
			}
			return []netip.Addr{at}, fails
		},
		Local: func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("192.168.7.7")}, nil },
		Now:   func() time.Time { return now },
	})
	decide := func(host, address string) error {
		_, port, _ := net.SplitHostPort(address)
		return p.Control(host, port)(t.Context(), "tcp", address, nil)
	}
	for _, tc := range [][2]string{
		{"vault.internal", "10.0.0.8:8200"}, // by its name, wherever that leads
		{"Vault.Internal.", "93.184.215.14:8200"},
		{"x.example", "10.0.0.7:8200"}, // by its address
		{"10.0.0.7", "10.0.0.7:8200"},
		{"x.example", "[::ffff:10.0.0.7]:8200"},
		{"x.example", "[64:ff9b::a00:7]:8200"},
		{"x.example", "10.9.9.9:5432"},
		{"x.example", "[2002:a09:909::]:5432"},
		{"x.example", "127.0.0.1:2019"},
		{"x.example", "127.0.0.2:2019"},
		{"x.example", "[::1]:2019"},
		{"x.example", "203.0.113.9:443"},
		{"x.example", "192.168.7.7:2020"},
		{"x.example", "127.0.0.1:2020"},
	} {
		if d := denied(t, decide(tc[0], tc[1])); d.Option != "" {
			t.Errorf("%v: offers to open it by %s", tc, d.Option)
		}
	}
	for _, tc := range [][2]string{
		{"vault.internal", "10.0.0.7:443"},
		{"x.example", "10.0.0.8:8200"},
		{"x.example", "10.9.9.9:5433"},
		{"x.example", "127.0.0.1:2021"},
		{"x.example", "192.168.7.7:2019"},
		{"x.example", "192.168.7.8:2020"},
	} {
		if err := decide(tc[0], tc[1]); err != nil {
			t.Errorf("%v: %v", tc, err)
		}
	}
	if asked != 1 {
		t.Errorf("looked up %d times", asked)
	}

	// A name that moves is followed; one that cannot be looked up stays known.
	now, at = now.Add(time.Minute), netip.MustParseAddr("10.0.0.8")
	denied(t, decide("x.example", "10.0.0.8:8200"))
	if err := decide("x.example", "10.0.0.7:8200"); err != nil {
		t.Error(err)
	}
	now, fails = now.Add(time.Minute), errors.New("timeout")
	denied(t, decide("x.example", "10.0.0.8:8200"))
	if err := decide("x.example", "10.0.0.7:8200"); err != nil {
		t.Error(err)
	}

	// What was never known is not let through, unless it does not exist.
	if err := p.SetNever([]string{"vault.internal:8200"}); err != nil {
		t.Fatal(err)
	}
	denied(t, decide("x.example", "10.0.0.7:8200"))
	if err := decide("x.example", "127.0.0.1:2019"); err != nil {
		t.Errorf("an address that is guarded no more: %v", err)
	}
	fails = &net.DNSError{IsNotFound: true}
	if err := decide("x.example", "10.0.0.7:8200"); err != nil {
		t.Error(err)
	}

	if err := p.SetNever([]string{"10.0.0.7:8200", "nonsense"}); err == nil {
		t.Error("a wrong entry is accepted")
	}
	denied(t, decide("vault.internal", "10.0.0.99:8200")) // the former entries stay
}

func TestUnknownAddressesOfThisMachineDenyItsPorts(t *testing.T) {
	p := policy(t, egress.Config{
		Allow: []string{"private_ranges"}, Never: []string{"0.0.0.0:2019"},
		Local: func() ([]netip.Addr, error) { return nil, errors.New("no interfaces") },
	})
	denied(t, p.Control("x.example", "2019")(t.Context(), "tcp", "10.0.0.1:2019", nil))
	if err := p.Control("x.example", "443")(t.Context(), "tcp", "10.0.0.1:443", nil); err != nil {
		t.Error(err)
	}
}

func TestAddressesOfThisMachineAreRead(t *testing.T) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	p := policy(t, egress.Config{Allow: []string{"0.0.0.0/0", "::/0", "127.0.0.0/8", "::1"}, Never: []string{"[::]:2019"}})
	for _, a := range addrs {
		ip := netip.MustParsePrefix(a.String()).Addr().Unmap()
		d := denied(t, p.Control("x.example", "2019")(t.Context(), "tcp", netip.AddrPortFrom(ip, 2019).String(), nil))
		if d.Option != "" {
			t.Errorf("%s: %v", ip, d)
		}
	}
}
