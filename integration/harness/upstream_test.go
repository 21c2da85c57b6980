package harness

import (
	"crypto/sha256"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestUpstreamSeesExactBytes(t *testing.T) {
	u := NewUpstream(t, nil)
	request := "POST /a//b?x=%2f HTTP/1.1\r\nhOST: up\r\nX-a: 1\r\nx-A:  2 \r\nContent-Length: 3\r\n\r\nabc"
	if r := Exchange(t, u.Addr(), nil, request); r.Status != 200 || string(r.Body) != "ok" {
		t.Fatalf("answer %q", r.Raw)
	}
	r := u.Only()
	if string(r.Head)+string(r.Body) != request {
		t.Errorf("received %q, want %q", string(r.Head)+string(r.Body), request)
	}
	if got := r.Lines("x-a"); !slices.Equal(got, []string{"X-a: 1", "x-A: 2"}) {
		t.Errorf("lines %q", got)
	}
	if r.Target != "/a//b?x=%2f" || r.Host() != "up" || r.BodyLen != 3 || r.BodySum != sha256.Sum256([]byte("abc")) {
		t.Errorf("received %+v", r)
	}
}

func TestUpstreamBehindCaddy(t *testing.T) {
	ca := NewCA(t)
	plain, secure := NewUpstream(t, nil), NewUpstream(t, ca.ServerTLS())
	h2, h2c := NewH2Upstream(t, ca.ServerTLS()), NewH2Upstream(t, nil)
	tls := " {\n\t\ttransport http {\n\t\t\ttls_trust_pool file " + ca.File + "\n\t\t\ttls_server_name localhost\n\t\t}\n\t}"
	for _, c := range []struct {
		name, upstream, proto string
		rec                   *record
	}{
		{"http/1.1 in clear", plain.URL(), "HTTP/1.1", &plain.record},
		{"http/1.1 over TLS", secure.URL() + tls, "HTTP/1.1", &secure.record},
		{"http/2 over TLS", h2.URL() + tls, "HTTP/2.0", &h2.record},
		{"http/2 in clear", strings.Replace(h2c.URL(), "http:", "h2c:", 1), "HTTP/2.0", &h2c.record},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, addr := proxyTo(t, c.upstream)
			r := Exchange(t, addr, nil, "PUT /p?q HTTP/1.1\r\nHost: "+addr+"\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\nX-Two: a\r\nX-Two: b\r\n\r\n2\r\nhi\r\n0\r\nX-T: end\r\n\r\n")
			if r.Status != 200 || string(r.Body) != "ok" {
				t.Fatalf("answer %q", r.Raw)
			}
			got := c.rec.Only()
			if got.Proto != c.proto || got.Method != "PUT" || got.Target != "/p?q" || string(got.Body) != "hi" {
				t.Errorf("received %s", got)
			}
			if !slices.Equal(got.Values("X-Two"), []string{"a", "b"}) {
				t.Errorf("X-Two = %q", got.Values("X-Two"))
			}
			if len(got.Trailers) != 1 || got.Trailers[0] != (Field{"X-T", "end"}) {
				t.Errorf("trailers %v", got.Trailers)
			}
		})
	}
}

func TestAnswersThatEndBadly(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer Answer
	}{
		{"closed", Close()},
		{"reset", Reset()},
		{"nonsense", Raw("nonsense\r\n\r\n")},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := NewUpstream(t, nil)
			u.Always(c.answer)
			_, addr := proxyTo(t, u.Addr())
			if r := Exchange(t, addr, nil, get(addr)); r.Status != 502 {
				t.Errorf("Caddy answered %q", r.Raw)
			}
			u.WaitHits(1, time.Second)
		})
	}
	t.Run("truncated", func(t *testing.T) {
		u := NewUpstream(t, nil)
		u.Always(Truncated(200, "half", 4))
		c, addr := proxyTo(t, u.Addr())
		conn := DialRaw(t, addr, nil)
		conn.Send(get(addr))
		if r, err := conn.TryReceive("GET"); err == nil {
			t.Errorf("a whole answer: %q", r.Raw)
		}
		c.Log.Wait(t, "aborting with incomplete response", 10*time.Second)
	})
}

func TestAnswersInParts(t *testing.T) {
	u := NewUpstream(t, nil)
	_, addr := proxyTo(t, u.Addr()+" {\n\t\tflush_interval -1\n\t}")
	t.Run("a stream's first chunk comes before the second is written", func(t *testing.T) {
		chunks := make(chan string)
		u.Always(Stream(200, chunks, "Content-Type: text/event-stream"))
		c := DialRaw(t, addr, nil)
		c.Send(get(addr))
		chunks <- "data: one\n\n"
		c.ReadUntil("data: one")
		chunks <- "data: two\n\n"
		close(chunks)
		c.ReadUntil("data: two")
	})
	t.Run("an interim answer comes first", func(t *testing.T) {
		u.Always(Interim(103, []string{"Link: </x>"}, Text(204, "")))
		c := DialRaw(t, addr, nil)
		c.Send(get(addr))
		if r := c.Receive("GET"); r.Status != 103 || r.Header.Get("Link") == "" {
			t.Errorf("first %q", r.Raw)
		}
		if r := c.Receive("GET"); r.Status != 204 {
			t.Errorf("second %q", r.Raw)
		}
	})
	t.Run("a tunnel carries bytes both ways", func(t *testing.T) {
		u.Always(Tunnel([]string{"Connection: Upgrade", "Upgrade: websocket"}, func(r io.Reader, w io.Writer) {
			_, _ = io.Copy(w, r)
		}))
		c := DialRaw(t, addr, nil)
		c.Send("GET / HTTP/1.1\r\nHost: " + addr + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n")
		if r := c.Receive("GET"); r.Status != 101 {
			t.Fatalf("answer %q", r.Raw)
		}
		c.Send("there and back")
		c.ReadUntil("there and back")
	})
	t.Run("an early answer does not wait for the body", func(t *testing.T) {
		u.AnswerEarly(func(*Request) Answer { return Text(401, "no", "Connection: close") })
		c := DialRaw(t, u.Addr(), nil) // Caddy itself reads a short body to its end first
		c.Send("POST / HTTP/1.1\r\nHost: " + addr + "\r\nContent-Length: 10\r\n\r\n12345")
		if r := c.Receive("POST"); r.Status != 401 {
			t.Errorf("answer %q", r.Raw)
		}
	})
}

func TestAHalfRequestIsHitAndNotKept(t *testing.T) {
	u := NewUpstream(t, nil)
	c := DialRaw(t, u.Addr(), nil)
	c.Send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nha")
	u.WaitHits(1, 5*time.Second)
	if got := u.Requests(); len(got) != 0 {
		t.Errorf("kept %v", got)
	}
	c.Send("lf")
	u.WaitRequests(1, 5*time.Second)
	if got := u.Only(); string(got.Body) != "half" {
		t.Errorf("kept %q", got.Body)
	}
}

func TestHangEndsWithTheConnection(t *testing.T) {
	u := NewUpstream(t, nil)
	u.Always(Hang())
	c := DialRaw(t, u.Addr(), nil)
	c.Send(get(u.Addr()))
	u.WaitHits(1, 5*time.Second)
	u.CutConnections()
	if r, err := c.TryReceive("GET"); err == nil {
		t.Errorf("answered %q", r.Raw)
	}
	release := make(chan struct{})
	u.Always(Delayed(time.Hour, release, Text(200, "late")))
	c = DialRaw(t, u.Addr(), nil)
	c.Send(get(u.Addr()))
	close(release)
	if r := c.Receive("GET"); string(r.Body) != "late" || u.Connections() != 2 {
		t.Errorf("answer %q over %d connections", r.Raw, u.Connections())
	}
}

func TestClientCertificates(t *testing.T) {
	ca := NewCA(t)
	conf := ca.ServerTLS()
	conf.ClientAuth, conf.ClientCAs = 4, ca.Pool // tls.RequireAndVerifyClientCert
	u := NewUpstream(t, conf)
	subject := subjectOf("billing")
	call := func(c Cert) error {
		resp, err := HTTP1Client(t, ca.ClientTLS(c)).Get(u.URL())
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	if err := call(ca.Client(subject)); err != nil {
		t.Errorf("with the authority's certificate: %v", err)
	}
	if err := call(ca.SelfSigned(subject)); err == nil {
		t.Error("a self-signed certificate was accepted")
	}
	if u.Hits() != 1 {
		t.Errorf("%d hits, want 1", u.Hits())
	}
	if resp, err := http.Get(u.URL()); err == nil {
		resp.Body.Close()
		t.Error("the authority is trusted by everybody")
	}
}
