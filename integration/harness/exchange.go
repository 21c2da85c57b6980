// One request of a load, and whether it may be sent once more.

package harness

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"syscall"
)

// stage is how far a request got before its connection broke.
type stage int32

const (
	unsent   stage = iota // no connection was ready for it
	sent                  // some of it may have been written
	answered              // some of an answer came
)

// exchange sends the request and reads its answer into reply.
func (l *Load) exchange(reply *Reply) (stage, error) {
	ctx, cancel := context.WithTimeout(context.Background(), l.Timeout)
	defer cancel()
	var body io.Reader
	if l.Body != "" {
		body = strings.NewReader(l.Body)
	}
	var reached atomic.Int32
	begun := func() { reached.CompareAndSwap(int32(unsent), int32(sent)) }
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              func(httptrace.GotConnInfo) { begun() },
		WroteHeaders:         begun,
		GotFirstResponseByte: func() { reached.Store(int32(answered)) },
	})
	req, err := http.NewRequestWithContext(ctx, l.Method, l.URL, body)
	if err != nil {
		return unsent, err
	}
	for _, line := range l.Header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Add(name, value)
	}
	resp, err := l.Client.Do(req)
	if err != nil {
		return stage(reached.Load()), err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	reply.Status, reply.Header, reply.Body = resp.StatusCode, resp.Header, string(b)
	return answered, err
}

// mayRepeat tells whether a client may send a request again that got this far.
func (l *Load) mayRepeat(reached stage) bool {
	if reached == unsent {
		return true
	}
	return reached == sent && (l.Method == http.MethodGet || l.Method == http.MethodHead)
}

// closedEarly tells whether err is a connection that the server closed. A
// refused connection is none: it says that nobody listens.
func closedEarly(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// repeated sends again, twice at most, what a server that was being replaced
// closed before it answered.
func repeated(send func() (*http.Response, error)) (*http.Response, error) {
	resp, err := send()
	for try := 0; closedEarly(err) && try < 2; try++ {
		resp, err = send()
	}
	return resp, err
}

// Do sends a request without a body, and repeats a GET or HEAD as a client may
// (see [Load]): each reload may close a connection that nobody accepted yet.
func Do(c *http.Client, req *http.Request) (*http.Response, error) {
	if req.Body != nil || req.Method != http.MethodGet && req.Method != http.MethodHead {
		return c.Do(req)
	}
	return repeated(func() (*http.Response, error) { return c.Do(req) })
}
