// Talking to Caddy's admin endpoint.

package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// adminTimeout is above the 30 s that an eager start may take.
const adminTimeout = 60 * time.Second

// adminClient has a new connection for each request: each load replaces the
// admin server, and a connection to the former one may end at any moment.
var adminClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// Do sends a request to the admin endpoint and returns status and body. One
// whose connection the former admin server closed before it accepted it is sent
// again.
func (c *Caddy) Do(method, path, body string, lines ...string) (int, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	resp, err := repeated(func() (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, method, c.Admin+path, strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		if body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		for _, l := range lines {
			name, value, _ := strings.Cut(l, ": ")
			req.Header.Set(name, value)
		}
		return adminClient.Do(req)
	})
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// Load replaces the configuration, Caddyfile or JSON, as POST /load does. It
// returns when the new one serves; the error holds Caddy's answer.
func (c *Caddy) Load(config string) error {
	contentType := "text/caddyfile"
	if json.Valid([]byte(config)) {
		contentType = "application/json"
	}
	return c.change(http.MethodPost, "/load", config, "Content-Type: "+contentType)
}

// Reload loads the configuration that is in force once more.
func (c *Caddy) Reload() error {
	c.t.Helper()
	return c.change(http.MethodPost, "/load", c.Config(""), "Cache-Control: must-revalidate")
}

// Patch replaces the value at a path ("/config/apps/…", "/id/…") with JSON.
func (c *Caddy) Patch(path, value string) error { return c.change(http.MethodPatch, path, value) }

// Post adds or sets a value, Put inserts one, and Delete removes one.
func (c *Caddy) Post(path, value string) error { return c.change(http.MethodPost, path, value) }

// Put inserts the value at a path.
func (c *Caddy) Put(path, value string) error { return c.change(http.MethodPut, path, value) }

// Delete removes what is at a path.
func (c *Caddy) Delete(path string) error { return c.change(http.MethodDelete, path, "") }

func (c *Caddy) change(method, path, body string, lines ...string) error {
	status, answer, err := c.Do(method, path, body, lines...)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("%s %s: %d %s", method, path, status, strings.TrimSpace(answer))
	}
	return c.replaced()
}

// replaced waits until the servers of the former configuration accept nothing
// any longer. Caddy answers a load when it has asked them to stop; until they
// do, a new connection may still be served as before.
func (c *Caddy) replaced() error {
	for end := time.Now().Add(adminTimeout); ; time.Sleep(5 * time.Millisecond) {
		status, dump, err := c.Do(http.MethodGet, "/debug/pprof/goroutine?debug=2", "")
		switch {
		case err != nil || status != http.StatusOK || !accepting(dump): // nothing is told where the admin endpoint is gone, too
			return nil
		case time.Now().After(end):
			return fmt.Errorf("the former servers still accept connections after %s", adminTimeout)
		}
	}
}

// accepting tells from a dump of goroutines whether a server of a former
// configuration is being stopped and has not yet closed its listeners: it is
// past that when it waits for its connections to end.
func accepting(dump string) bool {
	for g := range strings.SplitSeq(dump, "\n\n") {
		head, _, _ := strings.Cut(g, "\n")
		switch {
		case !strings.Contains(g, "caddyhttp.(*App).stop.func"):
		case strings.Contains(g, "http3.(*Server).Shutdown("):
		case strings.Contains(g, "net/http.(*Server).Shutdown(") && strings.Contains(head, "[select"):
		case strings.Contains(g, "sync.(*WaitGroup).Wait(") && !strings.Contains(g, ".Shutdown("): // for all of them
		default:
			return true
		}
	}
	return false
}

// Config returns the JSON at a path below /config/. The test fails when there
// is none.
func (c *Caddy) Config(path string) string {
	c.t.Helper()
	return c.get("/config/" + strings.TrimPrefix(path, "/"))
}

// Metrics returns what the admin endpoint tells Prometheus.
func (c *Caddy) Metrics() string {
	c.t.Helper()
	return c.get("/metrics")
}

// Metric returns the sum of all samples of that name whose labels hold every
// given part (`outcome="ok"`). Without a sample it is 0.
func (c *Caddy) Metric(name string, labels ...string) float64 {
	c.t.Helper()
	var sum float64
samples:
	for line := range strings.Lines(c.Metrics()) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || (rest[0] != '{' && rest[0] != ' ') {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(rest, l) {
				continue samples
			}
		}
		value := strings.TrimSpace(rest[strings.LastIndexByte(strings.TrimSpace(rest), ' ')+1:])
		f, err := strconv.ParseFloat(value, 64)
		if err != nil {
			c.t.Fatalf("reading metric %q: %v", line, err)
		}
		sum += f
	}
	return sum
}

var (
	goroutineTotal = regexp.MustCompile(`goroutine profile: total (\d+)`)
	heapAlloc      = regexp.MustCompile(`# HeapAlloc = (\d+)`)
)

// Goroutines returns how many goroutines the process has.
func (c *Caddy) Goroutines() int {
	c.t.Helper()
	return c.number("/debug/pprof/goroutine?debug=1", goroutineTotal)
}

// Heap returns the bytes of live heap after a garbage collection.
func (c *Caddy) Heap() int {
	c.t.Helper()
	return c.number("/debug/pprof/heap?gc=1&debug=1", heapAlloc)
}

func (c *Caddy) number(path string, re *regexp.Regexp) int {
	c.t.Helper()
	m := re.FindStringSubmatch(c.get(path))
	if m == nil {
		c.t.Fatalf("GET %s: no number found", path)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

func (c *Caddy) get(path string) string {
	c.t.Helper()
	status, body, err := c.Do(http.MethodGet, path, "")
	if err != nil {
		c.t.Fatal(err)
	}
	if status != http.StatusOK {
		c.t.Fatalf("GET %s: %d %s", path, status, body)
	}
	return body
}
