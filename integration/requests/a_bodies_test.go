// A6: bodies pass byte for byte, and Caddy does not hold them.

package requests

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

func TestA6BodiesPassByteForByte(t *testing.T) {
	r := newRig(t)
	u := harness.NewUpstream(t, nil)
	header := r.site(route("", u.URL(), inHeader))
	query := r.site(route("", u.URL(), "placement query", "name k"))
	r.start()

	json := `{"a":1, "a" : 2,"n":12345678901234567890 , "e":"\u00e9\/","f":1.0e+00}` + "\r\n"
	form := "a=1&a=2&k=mine&b=%2F+%20&&c&api_key=x;y"
	for _, c := range []struct{ name, head, sent, want string }{
		{"JSON with duplicate keys and a 20-digit integer", "Content-Type: application/json\r\n", json, json},
		{"a form with a field named like the key", "Content-Type: application/x-www-form-urlencoded\r\n", form, form},
		{"bytes of every value", "Content-Type: application/octet-stream\r\n", everyByte, everyByte},
		{"no bytes", "", "", ""},
		{"chunks", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n4;x=y\r\nd\r\nf\r\n0\r\n\r\n", "abcd\r\nf"},
		{"gzip", "Content-Encoding: gzip\r\n", "\x1f\x8b not really", "\x1f\x8b not really"},
	} {
		for place, addr := range map[string]string{"header": header, "query": query} {
			t.Run(c.name+" beside a key in the "+place, func(t *testing.T) {
				u.Forget()
				head, chunked := c.head, strings.HasPrefix(c.head, "Transfer-Encoding")
				if !chunked {
					head += fmt.Sprintf("Content-Length: %d\r\n", len(c.sent))
				}
				answer := harness.Exchange(t, addr, nil, "POST / HTTP/1.1\r\nHost: "+addr+"\r\n"+head+"\r\n"+c.sent)
				got := u.Only()
				if answer.Status != http.StatusOK || string(got.Body) != c.want {
					t.Errorf("answered %d, received %q, want %q", answer.Status, got.Body, c.want)
				}
				for line := range strings.Lines(c.head) {
					name, _, _ := strings.Cut(line, ":")
					wantLines(t, got, name, strings.TrimSpace(line))
				}
				if length := got.Values("Content-Length"); !chunked && (len(length) != 1 || length[0] != fmt.Sprint(len(c.sent))) {
					t.Errorf("Content-Length %q, want %d", length, len(c.sent))
				}
			})
		}
	}
}

var everyByte = func() string {
	b := make([]byte, 1024)
	for i := range b {
		b[i] = byte(i)
	}
	return string(b)
}()

// flat is how much Caddy's memory may grow over a body of 100 MB. Buffers and
// garbage of the copy are a few MB; a body that is held is 100.
const flat = 40 << 20

func TestA6MemoryIsFlatUnderABodyOf100MB(t *testing.T) {
	r := newRig(t)
	u := harness.NewUpstream(t, nil)
	addr := r.site(route("", u.URL(), inHeader))
	r.start()

	block := make([]byte, 1<<20)
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // bytes that do not repeat
	for i := range block {
		block[i] = byte(rng.Uint32())
	}
	const blocks = 100
	for _, c := range []struct{ name, head, before, after, end string }{
		{"of known length", fmt.Sprintf("Content-Length: %d", blocks<<20), "", "", ""},
		{"in chunks", "Transfer-Encoding: chunked", "100000\r\n", "\r\n", "0\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			u.Forget()
			harness.Exchange(t, addr, nil, get(addr, "/")) // the key is read, the pools are there
			u.Forget()
			before, most, sum := r.resident(), 0.0, sha256.New()
			conn := harness.DialRaw(t, addr, nil)
			conn.Send("PUT /big HTTP/1.1\r\nHost: " + addr + "\r\n" + c.head + "\r\n\r\n")
			for i := range blocks {
				block[0] = byte(i)
				sum.Write(block)
				conn.Send(c.before + string(block) + c.after)
				if i%10 == 9 {
					most = max(most, r.resident())
				}
			}
			conn.Send(c.end)
			if answer := conn.Receive("PUT"); answer.Status != http.StatusOK {
				t.Fatalf("answered %q", answer.Raw)
			}
			most = max(most, r.resident())
			got := u.Only()
			if got.BodyLen != blocks<<20 || !bytes.Equal(got.BodySum[:], sum.Sum(nil)) {
				t.Errorf("%d bytes arrived, or not the same", got.BodyLen)
			}
			wantLines(t, got, "X-Api-Key", "X-Api-Key: "+key)
			if grown := most - before; grown > flat {
				t.Errorf("memory grew by %.0f MB", grown/(1<<20))
			}
		})
	}
}

// resident returns the bytes of memory that Caddy's process has.
func (r *rig) resident() float64 {
	r.t.Helper()
	n := r.caddy.Metric("process_resident_memory_bytes")
	if n == 0 {
		r.t.Fatal("Caddy tells no resident memory")
	}
	return n
}
