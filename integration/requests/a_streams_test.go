// A8: answers pass while they are written.

package requests

import (
	"bufio"
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

func TestA8EventsPassAsTheyAreWritten(t *testing.T) {
	r := newRig(t)
	ca := harness.NewCA(t)
	u := harness.NewUpstream(t, nil)
	byType := r.secureSite(ca, route("", u.URL(), inHeader))
	byOption := r.secureSite(ca, route("", u.URL(), inHeader, "flush_interval -1"))
	r.start()

	for _, c := range []struct {
		name, addr, contentType string
		client                  *http.Client
	}{
		{"event stream over h1", byType, "text/event-stream", harness.HTTP1Client(t, ca.ClientTLS())},
		{"event stream over h2", byType, "text/event-stream; charset=utf-8", harness.HTTP2Client(t, ca.ClientTLS())},
		{"event stream over h3", byType, "text/event-stream", http3Client(t, ca.ClientTLS())},
		{"anything else with flush_interval -1", byOption, "application/x-ndjson", harness.HTTP1Client(t, ca.ClientTLS())},
	} {
		t.Run(c.name, func(t *testing.T) {
			u.Forget()
			chunks := make(chan string)
			u.Always(harness.Stream(http.StatusOK, chunks, "Content-Type: "+c.contentType, "Cache-Control: no-cache"))
			send := func(s string) {
				select {
				case chunks <- s:
				case <-time.After(20 * time.Second):
					t.Error("the upstream did not take an event")
				}
			}
			go send("data: one\n\n")
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+c.addr+"/events", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := c.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
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
			if line, err := lines.ReadString('\n'); err == nil {
				t.Errorf("read %q after the end", line)
			}
			if got := resp.Header.Get("Content-Type"); got != c.contentType {
				t.Errorf("Content-Type %q", got)
			}
			wantLines(t, u.Only(), "X-Api-Key", "X-Api-Key: "+key)
		})
	}
}
