// The list of received requests, shared by both kinds of upstream.

package harness

import (
	"sync"
	"testing"
	"time"
)

// record collects requests. Tests read it while servers write.
type record struct {
	t        testing.TB
	mu       sync.Mutex
	hits     int
	requests []*Request
	changed  chan struct{} // closed and replaced at each change
	keepNone bool
}

func newRecord(t testing.TB) record {
	return record{t: t, changed: make(chan struct{})}
}

// hit counts a request as soon as its header is read, so that "0 hits" also
// means that no half request came.
func (rec *record) hit(r *Request) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.hits++
	r.N, r.At = rec.hits, time.Now()
	rec.notify()
}

// add keeps a request that was read to its end.
func (rec *record) add(r *Request) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.keepNone {
		return
	}
	rec.requests = append(rec.requests, r)
	rec.notify()
}

func (rec *record) notify() {
	close(rec.changed)
	rec.changed = make(chan struct{})
}

// Hits returns how many requests arrived, also those whose body never ended.
func (rec *record) Hits() int {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.hits
}

// Requests returns the requests that were read to their end, in that order.
func (rec *record) Requests() []*Request {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return append([]*Request(nil), rec.requests...)
}

// Forget starts the counts and the list again.
func (rec *record) Forget() {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.hits, rec.requests = 0, nil
}

// CountOnly stops keeping requests, for loads that would fill memory. Hits
// goes on.
func (rec *record) CountOnly() {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.keepNone = true
}

// Last returns the newest complete request. The test fails when there is none.
func (rec *record) Last() *Request {
	rec.t.Helper()
	rs := rec.Requests()
	if len(rs) == 0 {
		rec.t.Fatal("the upstream received no request")
	}
	return rs[len(rs)-1]
}

// Only returns the one request that came since the start or the last Forget.
// The test fails when there were none or several.
func (rec *record) Only() *Request {
	rec.t.Helper()
	rs := rec.Requests()
	if len(rs) != 1 || rec.Hits() != 1 {
		rec.t.Fatalf("the upstream received %d requests (%d complete), want 1", rec.Hits(), len(rs))
	}
	return rs[0]
}

// WaitHits waits until n requests arrived, which need not have been read to their
// end: see [record.WaitRequests]. The test fails after d.
func (rec *record) WaitHits(n int, d time.Duration) {
	rec.t.Helper()
	rec.wait("received", n, d, func() int { return rec.hits })
}

// WaitRequests waits until n requests were read to their end, and so are among
// Requests. The test fails after d.
func (rec *record) WaitRequests(n int, d time.Duration) {
	rec.t.Helper()
	rec.wait("read", n, d, func() int { return len(rec.requests) })
}

func (rec *record) wait(what string, n int, d time.Duration, count func() int) {
	rec.t.Helper()
	timeout := time.NewTimer(d)
	defer timeout.Stop()
	for {
		rec.mu.Lock()
		got, changed := count(), rec.changed
		rec.mu.Unlock()
		if got >= n {
			return
		}
		select {
		case <-changed:
		case <-timeout.C:
			rec.t.Fatalf("the upstream %s %d requests in %s, want %d", what, got, d, n)
			return
		}
	}
}
