// Steady load, and the count of what failed in it.

package harness

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Load describes a steady load on one URL.
//
// A request has failed when its answer is not the upstream's, or when its
// connection broke in a way that the client may not repair by itself. A client
// may send once more what was never sent, and a GET or HEAD whose connection
// closed before the first byte of an answer (RFC 9110, 9.2.2). net/http does so
// only on connections that it had used before; the load does it for new ones and
// counts it as Retried: plain reverse_proxy needs it at a reload for the odd
// connection that was still waiting to be accepted.
//
// Over reloads the count is fair only for what loses nothing on plain
// reverse_proxy: GETs of [HTTP1Client] and POSTs of [HTTP2Client]. POSTs over
// HTTP/1.1 are to be compared with plain reverse_proxy in the same Caddy and the
// same reloads, by [Report].Broken.
type Load struct {
	// URL to call.
	URL string

	// Method. Default: GET.
	Method string

	// Body of each request.
	Body string

	// Header lines of each request ("Name: value").
	Header []string

	// Client to use. Default: a new [HTTP1Client] for this load.
	Client *http.Client

	// Conns is how many requests may be under way at once. Default: 16.
	Conns int

	// Rate in requests per second over all connections. Default: 200.
	Rate int

	// Timeout of one request. Default: 30s.
	Timeout time.Duration

	// Check says why an answer is not the upstream's. It is called by several
	// goroutines. Default: status 200 without an Apikey-Inject-Error header.
	Check func(*Reply) error
}

// Reply is one answer in a load.
type Reply struct {
	// N counts the requests in the order of their start, from 0, among those
	// of one connection; Worker says which connection.
	N, Worker int

	// Started and Ended frame the request: from before it was sent until its
	// body was read.
	Started, Ended time.Time

	Status int
	Header http.Header
	Body   string
}

// Report counts what became of a load.
type Report struct {
	// Sent requests, all of which ended.
	Sent int

	// Wrong is how many answers Check refused.
	Wrong int

	// Broken is how many requests got no whole answer.
	Broken int

	// Retried is how many requests a client may and did send once more. They
	// have not failed unless the second try did.
	Retried int

	// Duration of the load, and the slowest request.
	Duration, Slowest time.Duration

	// Faults describes the first twenty failures.
	Faults []string
}

// Failed is Wrong and Broken together.
func (r Report) Failed() int { return r.Wrong + r.Broken }

// String is one line for logs, and a line for each known fault.
func (r Report) String() string {
	return fmt.Sprintf("%d requests in %s (%.0f/s): %d wrong, %d broken, %d retried, slowest %s\n%s",
		r.Sent, r.Duration.Round(time.Millisecond), float64(r.Sent)/r.Duration.Seconds(),
		r.Wrong, r.Broken, r.Retried, r.Slowest.Round(time.Millisecond), strings.Join(r.Faults, "\n"))
}

// Running is a load under way.
type Running struct {
	load   Load
	t      testing.TB
	cancel context.CancelFunc
	wg     sync.WaitGroup
	start  time.Time

	mu     sync.Mutex
	report Report
	done   bool
}

// Start begins the load. It runs until [Running.Stop], or the end of the test.
func (l Load) Start(t testing.TB) *Running {
	t.Helper()
	if l.Method == "" {
		l.Method = http.MethodGet
	}
	if l.Conns == 0 {
		l.Conns = 16
	}
	if l.Rate == 0 {
		l.Rate = 200
	}
	if l.Timeout == 0 {
		l.Timeout = 30 * time.Second
	}
	if l.Check == nil {
		l.Check = checkOK
	}
	if l.Client == nil {
		l.Client = HTTP1Client(t, nil)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Running{load: l, t: t, cancel: cancel, start: time.Now()}
	for i := range l.Conns {
		r.wg.Go(func() { r.work(ctx, i) })
	}
	t.Cleanup(func() { r.Stop() })
	return r
}

// Stop lets requests under way end and returns the counts.
func (r *Running) Stop() Report {
	r.cancel()
	r.wg.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.done {
		r.done = true
		r.report.Duration = time.Since(r.start)
	}
	return r.report
}

// Report returns the counts so far.
func (r *Running) Report() Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	rep := r.report
	rep.Faults = append([]string(nil), rep.Faults...)
	if !r.done {
		rep.Duration = time.Since(r.start)
	}
	return rep
}

// work sends this worker's share of the rate, evenly spaced and out of step
// with the others. A worker that is late does not make up for it in a burst.
func (r *Running) work(ctx context.Context, worker int) {
	every := time.Second * time.Duration(r.load.Conns) / time.Duration(r.load.Rate)
	first := time.NewTimer(every * time.Duration(worker) / time.Duration(r.load.Conns))
	defer first.Stop()
	select {
	case <-ctx.Done():
		return
	case <-first.C:
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := 0; ; n++ {
		r.once(n, worker)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// once sends one request. It has its own deadline, not the load's context: a
// request cut off by the end of the load would count as a failure.
func (r *Running) once(n, worker int) {
	reply := &Reply{N: n, Worker: worker, Started: time.Now()}
	reached, err := r.load.exchange(reply)
	retry := closedEarly(err) && r.load.mayRepeat(reached)
	if retry {
		_, err = r.load.exchange(reply)
	}
	reply.Ended = time.Now()
	broken := err != nil
	if err == nil {
		err = r.load.Check(reply)
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Sent++
	if retry {
		r.report.Retried++
	}
	r.report.Slowest = max(r.report.Slowest, reply.Ended.Sub(reply.Started))
	if err == nil {
		return
	}
	if broken {
		r.report.Broken++
	} else {
		r.report.Wrong++
	}
	if len(r.report.Faults) < 20 {
		r.report.Faults = append(r.report.Faults, fmt.Sprintf("  after %s: %v",
			reply.Started.Sub(r.start).Round(time.Millisecond), err))
	}
}

func checkOK(r *Reply) error {
	if code := r.Header.Get("Apikey-Inject-Error"); code != "" {
		return fmt.Errorf("status %d, Apikey-Inject-Error %s", r.Status, code)
	}
	if r.Status != http.StatusOK {
		return fmt.Errorf("status %d, body %.200q", r.Status, r.Body)
	}
	return nil
}
