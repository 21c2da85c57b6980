// What does not end at once: events, WebSockets, large bodies, over HTTP/1.1
// and HTTP/2.

package gateway

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// secure is a rig whose API is served over TLS, too, at addr.
func secure(t *testing.T) (r *rig, ca *harness.CA, addr string) {
	t.Helper()
	ca = harness.NewCA(t)
	port, cert := harness.Port(t), ca.Server()
	r = newRig(t, settings{local: true, env: []string{"SSL_CERT_FILE=" + ca.File}, sites: fmt.Sprintf(
		"https://127.0.0.1:%d {\n\tbind 127.0.0.1\n\ttls %s %s\n\tapikey_inject_api {\n\t\ttoken ops {env.OPS}\n\t}\n}\n", port, cert.CertFile, cert.KeyFile,
	)})
	r.integration("acme", "")
	r.connection("acme", "c", "key-of-c")
	return r, ca, fmt.Sprintf("127.0.0.1:%d", port)
}

// request is one for the gateway at an address.
func request(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+ops)
	req.Header.Set("Provider-Config-Key", "acme")
	req.Header.Set("Connection-Id", "c")
	return req
}

func TestEventsPassTheGatewayAsTheyAreWritten(t *testing.T) {
	r, ca, addr := secure(t)
	for name, client := range map[string]*http.Client{"h1": harness.HTTP1Client(t, ca.ClientTLS()), "h2": harness.HTTP2Client(t, ca.ClientTLS())} {
		t.Run(name, func(t *testing.T) {
			r.up.Forget()
			chunks := make(chan string)
			r.up.Always(harness.Stream(http.StatusOK, chunks, "Content-Type: text/event-stream"))
			send := func(s string) {
				select {
				case chunks <- s:
				case <-time.After(20 * time.Second):
					t.Error("the upstream did not take an event")
				}
			}
			go send("data: one\n\n")
			req := request(t, http.MethodGet, "https://"+addr+"/proxy/events", nil)
			req.Header.Set("Retries", "3") // changes nothing about an answer that has begun
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			lines := bufio.NewReader(resp.Body)
			next := func(want string) {
				t.Helper()
				if line, err := lines.ReadString('\n'); err != nil || line != want {
					t.Fatalf("read %q, %v; want %q", line, err, want)
				}
			}
			// The second event is written only once the first was read.
			next("data: one\n")
			next("\n")
			send("data: two\n\n")
			next("data: two\n")
			next("\n")
			close(chunks)
			r.wantKey(t, "Api-Key key-of-c")
		})
	}
}

func TestAWebSocketPassesTheGateway(t *testing.T) {
	r, ca, addr := secure(t)
	r.up.Always(harness.Tunnel([]string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Set-Cookie: session=1"},
		func(r io.Reader, w io.Writer) { _, _ = io.Copy(w, r) }))
	for name, at := range map[string]string{"in clear": r.addr(), "over TLS": addr} {
		t.Run(name, func(t *testing.T) {
			r.up.Forget()
			conf := ca.ClientTLS()
			if at == r.addr() {
				conf = nil
			}
			conn := harness.DialRaw(t, at, conf)
			conn.Send("GET /proxy/ws?a HTTP/1.1\r\nHost: " + at + "\r\nAuthorization: Bearer " + ops + "\r\nProvider-Config-Key: acme\r\nConnection-Id: c\r\nRetries: 3\r\n" +
				"Connection: Upgrade, Authorization, Connection-Id\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nNango-Proxy-Sec-WebSocket-Protocol: chat\r\n\r\n")
			answer := conn.Receive("GET")
			if answer.Status != http.StatusSwitchingProtocols || answer.Header.Get("Sec-Websocket-Accept") == "" || answer.Header.Get("Set-Cookie") != "" {
				t.Fatalf("answered %q", answer.Raw)
			}
			got := r.wantKey(t, "Api-Key key-of-c")
			for name, want := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13", "Sec-Websocket-Protocol": "chat"} {
				if have := got.Values(name); !slices.Equal(have, []string{want}) || got.Target != "/ws?a" {
					t.Errorf("received %s %q at %s, want %q", name, have, got.Target, want)
				}
			}
			for _, f := range []string{"\x81\x85\x01\x02\x03\x04igomn", "\x88\x80\x00\x00\x00\x00"} {
				conn.Send(f)
				if back := conn.ReadUntil(f); back != f {
					t.Errorf("sent %q, came back %q", f, back)
				}
			}
		})
	}
	t.Run("another upgrade", func(t *testing.T) {
		r.up.Forget()
		r.up.Always(harness.Text(200, "ok"))
		r.send(t, "GET", "/proxy/x", "", "Provider-Config-Key: acme", "Connection-Id: c", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
		if got := r.wantKey(t, "Api-Key key-of-c"); len(got.Values("Upgrade"))+len(got.Values("Http2-Settings")) != 0 {
			t.Errorf("the upstream received %s", got)
		}
	})
}

// flat is how much Caddy's memory may grow over a body of 100 MB. Buffers and
// garbage of the copy are a few MB; a body that is held is 100.
const flat = 40 << 20

func TestABodyOf100MBIsNotHeldByTheGateway(t *testing.T) {
	r, ca, addr := secure(t)
	block := make([]byte, 1<<20)
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // bytes that do not repeat
	for i := range block {
		block[i] = byte(rng.Uint32())
	}
	const blocks = 100
	whole := sha256.New()
	for range blocks {
		whole.Write(block)
	}
	resident := func() float64 { return r.caddy.Metric("process_resident_memory_bytes") }
	for name, client := range map[string]*http.Client{"h1": harness.HTTP1Client(t, ca.ClientTLS()), "h2": harness.HTTP2Client(t, ca.ClientTLS())} {
		for _, length := range []int64{blocks << 20, -1} {
			t.Run(fmt.Sprintf("%s, length %d", name, length), func(t *testing.T) {
				if resp, err := client.Do(request(t, http.MethodGet, "https://"+addr+"/proxy/warm", nil)); err != nil {
					t.Fatal(err)
				} else {
					_ = resp.Body.Close()
				}
				r.up.Forget()
				before, peak := resident(), make(chan float64, 1)
				body, writer := io.Pipe()
				go func() {
					most := 0.0
					for i := range blocks {
						if _, err := writer.Write(block); err != nil {
							break
						}
						if i%10 == 9 {
							most = max(most, resident())
						}
					}
					peak <- most
					_ = writer.Close()
				}()
				req := request(t, http.MethodPut, "https://"+addr+"/proxy/big", body)
				req.ContentLength = length
				req.Header.Set("Retries", "3")
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				got := r.wantKey(t, "Api-Key key-of-c")
				if resp.StatusCode != http.StatusOK || got.BodyLen != blocks<<20 || !bytes.Equal(got.BodySum[:], whole.Sum(nil)) {
					t.Errorf("answered %d; %d bytes arrived, or not the same", resp.StatusCode, got.BodyLen)
				}
				if grown := max(<-peak, resident()) - before; before == 0 || grown > flat {
					t.Errorf("memory grew by %.0f MB", grown/(1<<20))
				}
			})
		}
	}
}

func TestTheGatewayAndTheAPIOverHTTP2(t *testing.T) {
	t.Parallel()
	r, ca, addr := secure(t)
	client := harness.HTTP2Client(t, ca.ClientTLS())
	req := request(t, http.MethodPost, "https://"+addr+"/proxy/users?a=%2f", strings.NewReader(`{"a":1,"a":2}`))
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := r.wantKey(t, "Api-Key key-of-c"); resp.ProtoMajor != 2 || got.Target != "/users?a=%2f" || string(got.Body) != `{"a":1,"a":2}` {
		t.Errorf("by HTTP/%d the upstream received %s", resp.ProtoMajor, got)
	}
	// An integration of the API to an upstream of HTTP/2, by a dialer of ours.
	up := harness.NewH2Upstream(t, ca.ServerTLS())
	r.api(http.StatusOK, http.MethodPost, "/integrations", creating("h2", up.URL()))
	r.connection("h2", "c", "key-of-h2")
	for range 3 {
		req = request(t, http.MethodGet, "https://"+addr+"/proxy/users", nil)
		req.Header.Set("Provider-Config-Key", "h2")
		if resp, err = client.Do(req); err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := up.Last(); got.Proto != "HTTP/2.0" || got.Conn != 1 || !slices.Equal(got.Values("Authorization"), []string{"Api-Key key-of-h2"}) {
			t.Errorf("the upstream received %s on connection %d", got, got.Conn)
		}
	}
	req = request(t, http.MethodGet, "https://"+addr+"/connections", nil)
	if resp, err = client.Do(req); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if b, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 || strings.Count(string(b), `"connection_id":"c"`) != 2 {
		t.Errorf("the API answered %d %s", resp.StatusCode, b)
	}
}
