// Replays where sending a request twice is not plain: bodies that the first
// attempt did not take, answers that do not end, callers that leave.

package integration

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// refusesEarly answers 401 to the header of a request with another key, and
// says that the connection ends: a POST on one that ends unsaid is lost.
func (r *rotating) refusesEarly(q *harness.Request) harness.Answer {
	if slices.Contains(q.Values("X-Api-Key"), *r.takes.Load()) {
		return nil
	}
	return harness.Text(r.status, "refused", "X-Refused: yes", "Connection: close")
}

// addr is where the gateway listens.
func (r *rotating) addr() string {
	return strings.TrimSuffix(strings.TrimPrefix(r.url, "http://"), "/x")
}

func TestReplay(t *testing.T) {
	r := newRotating(t, 401)
	r.want("GET", nil, 200, "key-1 0")
	n := 1
	next := func() string {
		n++
		key := fmt.Sprintf("key-%d", n)
		r.rotate(key)
		r.up.Forget()
		return key
	}
	fast := func(t *testing.T, do func()) {
		t.Helper()
		began := time.Now()
		do()
		if took := time.Since(began); took > 1500*time.Millisecond {
			t.Errorf("took %s", took)
		}
	}
	t.Run("of a body that the upstream refused by its header", func(t *testing.T) {
		key := next()
		r.up.AnswerEarly(r.refusesEarly)
		defer r.up.AnswerEarly(nil)
		body := strings.Repeat("0123456789abcdef", 4096)
		c := harness.DialRaw(t, r.addr(), nil)
		defer c.Close()
		c.Send(fmt.Sprintf("POST /x HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", r.addr(), len(body)) + body[:1000])
		r.up.WaitHits(1, 10*time.Second)
		fast(t, func() {
			c.Send(body[1000:])
			if res := c.Receive("POST"); res.Status != 200 || string(res.Body) != key+" 65536" {
				t.Errorf("%d %s", res.Status, res.Body)
			}
		})
	})
	t.Run("of a body that waits for 100 Continue", func(t *testing.T) {
		key := next()
		r.up.AnswerEarly(r.refusesEarly)
		defer r.up.AnswerEarly(nil)
		c := harness.DialRaw(t, r.addr(), nil)
		defer c.Close()
		fast(t, func() {
			c.Send("POST /x HTTP/1.1\r\nHost: " + r.addr() + "\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
			if res := c.Receive("POST"); res.Status != 100 {
				t.Fatalf("%d, want 100", res.Status)
			}
			c.Send("body")
			res := c.Receive("POST")
			for res.Status == 100 { // the upstream's own, to the replay
				res = c.Receive("POST")
			}
			if res.Status != 200 || string(res.Body) != key+" 4" {
				t.Errorf("%d %s", res.Status, res.Body)
			}
		})
	})
	t.Run("of HEAD", func(t *testing.T) {
		next()
		r.want("HEAD", nil, 200, "")
	})
	t.Run("after an answer that does not end", func(t *testing.T) {
		key := next()
		r.up.Answer(func(q *harness.Request) harness.Answer {
			if slices.Contains(q.Values("X-Api-Key"), key) {
				return r.answer(q)
			}
			return harness.Raw("HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\nrefused")
		})
		defer r.up.Answer(r.answer)
		fast(t, func() { r.want("GET", nil, 200, key+" 0") })
	})
	t.Run("never of an upgrade", func(t *testing.T) {
		key := next()
		res := harness.Exchange(t, r.addr(), nil, "GET /x HTTP/1.1\r\nHost: "+r.addr()+
			"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
		if res.Status != 401 || r.up.Hits() != 1 {
			t.Errorf("%d after %d hits", res.Status, r.up.Hits())
		}
		r.want("GET", nil, 200, key+" 0")
	})
	t.Run("never of a body with trailers", func(t *testing.T) {
		key := next()
		res := harness.Exchange(t, r.addr(), nil, "POST /x HTTP/1.1\r\nHost: "+r.addr()+
			"\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n")
		if res.Status != 401 || r.up.Hits() != 1 {
			t.Errorf("%d after %d hits", res.Status, r.up.Hits())
		}
		r.want("GET", nil, 200, key+" 0")
	})
	t.Run("a body that is announced and never sent", func(t *testing.T) {
		next()
		r.up.AnswerEarly(r.refusesEarly)
		defer r.up.AnswerEarly(nil)
		c := harness.DialRaw(t, r.addr(), nil)
		c.Send("POST /x HTTP/1.1\r\nHost: " + r.addr() + "\r\nContent-Length: 64\r\n\r\nhalf")
		r.up.WaitHits(1, 10*time.Second)
		c.Close()
		key := next()
		r.want("GET", nil, 200, key+" 0")
	})
	t.Run("a caller that leaves while the key is read says nothing of it", func(t *testing.T) {
		key := next()
		mark := r.caddy.Log.Mark()
		r.vault.Pause()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
			if res, err := http.DefaultClient.Do(req); err == nil {
				_ = res.Body.Close()
				t.Errorf("answered %d", res.StatusCode)
			}
		}()
		r.up.WaitHits(1, 10*time.Second)
		cancel()
		<-done
		r.vault.Resume()
		r.want("GET", nil, 200, key+" 0")
		if strings.Contains(r.caddy.Log.Since(mark), "the upstream refuses") {
			t.Error("the log says that the newest key is refused")
		}
	})
}

// TestReplayOfBufferedBodies: what reverse_proxy has buffered has a length, and
// its retries are on top.
func TestReplayOfBufferedBodies(t *testing.T) {
	r := newRotating(t, 401, "request_buffers 1MiB", "lb_retries 2", "lb_try_interval 10ms")
	r.want("GET", nil, 200, "key-1 0")
	r.rotate("key-2")
	r.up.Forget()
	r.want("POST", struct{ io.Reader }{strings.NewReader("streamed")}, 200, "key-2 8")
	if hits := r.up.Hits(); hits != 2 {
		t.Errorf("%d hits, want 2", hits)
	}
	r.accept("another")
	r.up.Forget()
	r.want("POST", strings.NewReader("body"), 401, "refused")
	if hits := r.up.Hits(); hits > 2 {
		t.Errorf("%d hits: retries repeat a refusal", hits)
	}
}

// TestReplayToHTTP2 has an upstream of HTTP/2 that refuses before it reads the
// body.
func TestReplayToHTTP2(t *testing.T) {
	var r *rotating
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("X-Api-Key") != *r.takes.Load() {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		n, _ := io.Copy(io.Discard, q.Body)
		_, _ = fmt.Fprintf(w, "%s %d %s", q.Header.Get("X-Api-Key"), n, q.Proto)
	}))
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	defer srv.Close()
	r = newRotatingTo(t, srv.URL, 401, "replay_buffer 1MiB", "transport http {\nversions h2c\n}")
	r.want("GET", nil, 200, "key-1 0 HTTP/2.0")
	for n := 2; n < 12; n++ {
		r.rotate(fmt.Sprintf("key-%d", n))
		r.want("POST", strings.NewReader(strings.Repeat("x", 1<<20)), 200, fmt.Sprintf("key-%d 1048576 HTTP/2.0", n))
	}
}

// TestReplayOverHTTP3 has a client whose requests do not say that they have no
// body.
func TestReplayOverHTTP3(t *testing.T) {
	r := newRotating(t, 401)
	ca, port := harness.NewCA(t), harness.Port(t)
	cert := ca.Server()
	site := fmt.Sprintf(`{
	auto_https disable_redirects
}
https://localhost:%d {
	bind 127.0.0.1
	tls %s %s
	apikey_inject %s {
		name X-Api-Key
		key acme/prod
		allow anyone
	}
}
`, port, cert.CertFile, cert.KeyFile, r.up.URL())
	if err := r.caddy.Load(site); err != nil {
		t.Fatal(err)
	}
	tr := &http3.Transport{TLSClientConfig: ca.ClientTLS()}
	t.Cleanup(func() { _ = tr.Close() })
	for n, method := range []string{"GET", "DELETE", "POST"} {
		key := fmt.Sprintf("key-%d", n+2)
		r.rotate(key)
		req, err := http.NewRequestWithContext(t.Context(), method, fmt.Sprintf("https://localhost:%d/", port), nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != 200 || string(b) != key+" 0" {
			t.Errorf("%s: %d %s", method, res.StatusCode, b)
		}
	}
}
