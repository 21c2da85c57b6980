// Package names runs tests against a Caddy that asks a name server of theirs, so
// that names mean what a case says. The tests' own program is that Caddy, too: see
// [Main].
package names

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/apikeyinject/caddy-apikey-inject"
)

// variable has the address of the name server. Where it is set the program is
// Caddy.
const variable = "TEST_NAME_SERVER"

// Main is the TestMain of a package whose program is also the Caddy that it tests.
func Main(m *testing.M) {
	if addr := os.Getenv(variable); addr != "" {
		net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp", addr)
		}}
		caddycmd.Main()
		return
	}
	self, err := os.Executable()
	if err == nil {
		err = os.Setenv("HARNESS_CADDY", self)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// Answer says what a name is, in lower case and without the last dot, to a question
// of one kind. An address of the other kind is no answer to it, and no mistake.
type Answer func(name string, kind dnsmessage.Type) (netip.Addr, dnsmessage.RCode)

// Server is a name server.
type Server struct {
	conn   net.PacketConn
	answer Answer
}

// Start returns a name server that ends with the test.
func Start(t *testing.T, answer Answer) *Server {
	t.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{conn, answer}
	done := make(chan struct{})
	go func() { defer close(done); s.serve(t) }()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return s
}

// Env has a Caddy ask it.
func (s *Server) Env() string { return variable + "=" + s.conn.LocalAddr().String() }

func (s *Server) serve(t *testing.T) {
	b := make([]byte, 4096)
	for {
		size, from, err := s.conn.ReadFrom(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		var q dnsmessage.Message
		if err != nil || q.Unpack(b[:size]) != nil || len(q.Questions) != 1 {
			t.Errorf("no question: %v", err)
			continue
		}
		if packed, err := s.reply(q.ID, q.Questions[0]).Pack(); err == nil {
			_, _ = s.conn.WriteTo(packed, from)
		}
	}
}

func (s *Server) reply(id uint16, q dnsmessage.Question) *dnsmessage.Message {
	ip, code := s.answer(strings.ToLower(strings.TrimSuffix(q.Name.String(), ".")), q.Type)
	a := &dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, Response: true, RecursionAvailable: true, RCode: code},
		Questions: []dnsmessage.Question{q},
	}
	var body dnsmessage.ResourceBody
	switch {
	case q.Type == dnsmessage.TypeA && ip.Is4():
		body = &dnsmessage.AResource{A: ip.As4()}
	case q.Type == dnsmessage.TypeAAAA && ip.Is6():
		body = &dnsmessage.AAAAResource{AAAA: ip.As16()}
	default:
		return a
	}
	a.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET}, Body: body}}
	return a
}
