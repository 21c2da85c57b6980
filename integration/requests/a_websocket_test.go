// A9: WebSockets get the key in their handshake and pass, over HTTP/1.1 and,
// where the server offers extended CONNECT (RFC 8441, RFC 9220), over 2 and 3.

package requests

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// echo is an upstream that upgrades and sends back what it gets.
func echo() harness.Answer {
	return harness.Tunnel([]string{
		"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Set-Cookie: session=1", "X-From: upstream",
	}, func(r io.Reader, w io.Writer) { _, _ = io.Copy(w, r) })
}

// frames are a masked text frame of a client and a close frame.
var frames = []string{"\x81\x85\x01\x02\x03\x04igomn", "\x82\x7e\x04\x00" + everyByte, "\x88\x80\x00\x00\x00\x00"}

func TestA9WebSocketOverHTTP1(t *testing.T) {
	r := newRig(t)
	ca := harness.NewCA(t)
	u := harness.NewUpstream(t, nil)
	u.Always(echo())
	body := route("/header/*", u.URL()+"/v1", "name Authorization", `template "Bearer ${apiKey}"`) + "\n" +
		route("/query/*", u.URL()+"/v1", "placement query", "name token")
	plain, secure := r.site(body), r.secureSite(ca, body)
	r.start()

	for _, c := range []struct {
		name, addr, path string
		tls              bool
		lines            []string
	}{
		{"in clear, key in the header", plain, "/header/ws?a", false, []string{"Connection: Upgrade"}},
		{"over TLS, key in the query", secure, "/query/ws?a", true, []string{"Connection: keep-alive, Upgrade"}},
		{"the client names the key's header", plain, "/header/ws", false, []string{"Connection: Authorization, Sec-WebSocket-Key, upgrade"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			u.Forget()
			conf := ca.ClientTLS()
			if !c.tls {
				conf = nil
			}
			conn := harness.DialRaw(t, c.addr, conf)
			conn.Send(get(c.addr, c.path, append(c.lines, "Upgrade: WebSocket", "Sec-WebSocket-Version: 13",
				"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: chat, superchat", "Authorization: Bearer mine")...))
			answer := conn.Receive("GET")
			if answer.Status != http.StatusSwitchingProtocols || answer.Header.Get("Sec-Websocket-Accept") == "" || answer.Header.Get("X-From") != "upstream" {
				t.Fatalf("answered %q", answer.Raw)
			}
			if answer.Header.Get("Set-Cookie") != "" {
				t.Errorf("the upstream's cookie came through: %q", answer.Raw)
			}
			got := u.Only()
			checkHandshake(t, got, c.path, "chat, superchat")
			for _, f := range frames {
				conn.Send(f)
				if back := conn.ReadUntil(f); back != f {
					t.Errorf("sent %q, came back %q", f, back)
				}
			}
		})
	}
}

// checkHandshake looks at a handshake to an upstream below /v1.
func checkHandshake(t *testing.T, got *harness.Request, path, protocols string) {
	t.Helper()
	target := "/v1" + path
	if bytes.Contains([]byte(path), []byte("/query/")) {
		target += "&token=" + key
		wantLines(t, got, "Authorization")
	} else {
		wantLines(t, got, "Authorization", "Authorization: Bearer "+key)
	}
	if got.Method != http.MethodGet || got.Target != target || got.Proto != "HTTP/1.1" {
		t.Errorf("received %s, want %s", got, target)
	}
	for name, want := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13", "Sec-Websocket-Protocol": protocols} {
		if have := got.Values(name); !slices.Equal(have, []string{want}) {
			t.Errorf("received %s %q, want %q", name, have, want)
		}
	}
}

func TestA9WebSocketOverHTTP2(t *testing.T) {
	ca := harness.NewCA(t)
	for _, offered := range []bool{false, true} {
		t.Run(fmt.Sprintf("offered %v", offered), func(t *testing.T) {
			r := newRig(t)
			u := harness.NewUpstream(t, nil)
			u.Always(echo())
			addr := r.secureSite(ca, route("/header/*", u.URL()+"/v1", "name Authorization", `template "Bearer ${apiKey}"`)+"\n"+
				route("/query/*", u.URL()+"/v1", "placement query", "name token"))
			// net/http does not offer it by itself: golang.org/issue/53208.
			env := []string{"GODEBUG=http2xconnect=0"}
			if offered {
				env = []string{"GODEBUG=http2xconnect=1"}
			}
			r.start(env...)
			for _, path := range []string{"/header/ws?a", "/query/ws?a"} {
				u.Forget()
				c := dialH2(t, addr, ca.ClientTLS())
				if c.extendedConnect != offered {
					t.Fatalf("the server offers extended CONNECT: %v", c.extendedConnect)
				}
				status, header := c.connect(addr, path)
				if !offered {
					if status == http.StatusOK || u.Hits() != 0 {
						t.Errorf("%d, %d hits", status, u.Hits())
					}
					continue
				}
				if status != http.StatusOK || header.Get("X-From") != "upstream" || header.Get("Set-Cookie") != "" {
					t.Fatalf("answered %d %v", status, header)
				}
				checkHandshake(t, u.Only(), path, "chat")
				for _, f := range frames {
					c.send(f)
					if back := c.receive(len(f)); back != f {
						t.Errorf("sent %q, came back %q", f, back)
					}
				}
			}
		})
	}
}

func TestA9WebSocketOverHTTP3(t *testing.T) {
	r := newRig(t)
	ca := harness.NewCA(t)
	u := harness.NewUpstream(t, nil)
	u.Always(echo())
	addr := r.secureSite(ca, route("/header/*", u.URL()+"/v1", "name Authorization", `template "Bearer ${apiKey}"`)+"\n"+
		route("/query/*", u.URL()+"/v1", "placement query", "name token"))
	r.start()

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conf := ca.ClientTLS()
	conf.NextProtos, conf.ServerName = []string{http3.NextProtoH3}, "localhost"
	conn, err := quic.DialAddr(ctx, addr, conf, &quic.Config{EnableDatagrams: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseWithError(0, "") }()
	client := (&http3.Transport{DisableCompression: true}).NewClientConn(conn)
	select {
	case <-client.ReceivedSettings():
	case <-ctx.Done():
		t.Fatal("no settings came")
	}
	if !client.Settings().EnableExtendedConnect {
		t.Fatal("the server does not offer extended CONNECT")
	}
	for _, path := range []string{"/header/ws?a", "/query/ws?a"} {
		u.Forget()
		stream, err := client.OpenRequestStream(ctx)
		if err != nil {
			t.Fatal(err)
		}
		target, err := url.Parse("https://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.SendRequestHeader(&http.Request{
			Method: http.MethodConnect, Proto: "websocket", URL: target, Host: addr,
			Header: http.Header{"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Protocol": {"chat"}, "Authorization": {"Bearer mine"}},
		}); err != nil {
			t.Fatal(err)
		}
		resp, err := stream.ReadResponse()
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.Header.Get("X-From") != "upstream" || resp.Header.Get("Set-Cookie") != "" {
			t.Fatalf("answered %d %v", resp.StatusCode, resp.Header)
		}
		checkHandshake(t, u.Only(), path, "chat")
		for _, f := range frames {
			if _, err := stream.Write([]byte(f)); err != nil {
				t.Fatal(err)
			}
			back := make([]byte, len(f))
			if _, err := io.ReadFull(stream, back); err != nil || string(back) != f {
				t.Errorf("sent %q, came back %q: %v", f, back, err)
			}
		}
		_ = stream.Close()
	}
}
