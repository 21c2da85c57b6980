//go:build !race

package apikeyinject

// This file holds what it may cost a request to be observed.

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// unread is where lines of a log go that nobody encodes: that is the log's part,
// and done by the rules of its encoder.
type unread struct {
	zapcore.LevelEnabler
	lines int
}

func (u *unread) With([]zapcore.Field) zapcore.Core { return u }
func (u *unread) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return ce.AddCore(e, u)
}
func (u *unread) Write(zapcore.Entry, []zapcore.Field) error { u.lines++; return nil }
func (*unread) Sync() error                                  { return nil }

// uncounted is a counter that does nothing.
type uncounted struct{ prometheus.Counter }

func (uncounted) Inc() {}

// observedCost are the same handler twice, unobserved and observed by figures,
// access log and audit, and a request for both.
type observedCost struct {
	plain, observed, written func()
	clone                    func()
	log                      *unread
}

func newObservedCost(t testing.TB) *observedCost {
	t.Helper()
	c := &observedCost{log: &unread{LevelEnabler: zapcore.InfoLevel}}
	handler := func(log zapcore.Core) *Handler {
		h := costly(t, "header")
		send(t, h, requestWith(12))
		silent := *h.target.counters
		silent.injected = uncounted{silent.injected}
		if log == nil {
			h.target.counters = &silent
			return h
		}
		h.accessLogs, h.target.audit, h.auditLog = true, true, zap.New(log)
		return h
	}
	w := discard{http.Header{}}
	r := requestWith(12)
	ready := prepared(r, w, nil)
	run := func(h *Handler) func() {
		return func() { // each request has extra fields of its own
			ctx := context.WithValue(ready.Context(), caddyhttp.ExtraLogFieldsCtxKey, new(caddyhttp.ExtraLogFields))
			_ = h.ServeHTTP(w, ready.WithContext(ctx), nil)
		}
	}
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	c.plain = run(handler(nil))
	c.observed = run(handler(c.log))
	c.written = run(handler(zapcore.NewCore(encoder, zapcore.AddSync(io.Discard), zapcore.InfoLevel)))
	var kept *http.Request
	c.clone = func() { kept = r.Clone(context.Background()) }
	_ = kept
	return c
}

func TestCostOfBeingObserved(t *testing.T) {
	c := newObservedCost(t)
	extra := testing.AllocsPerRun(500, c.observed) - testing.AllocsPerRun(500, c.plain)
	t.Logf("%v allocations", extra)
	if extra > 6 {
		t.Errorf("got %v allocations, want at most 6", extra)
	}
	if c.log.lines == 0 {
		t.Fatal("nothing was audited")
	}
	got := medianExtra(c.observed, c.plain, c.clone)
	for range 20 { // a machine that is busy for a while is no slow plugin
		if got <= 0.6 {
			break
		}
		got = min(got, medianExtra(c.observed, c.plain, c.clone))
	}
	t.Logf("%.2f times the time of Clone, and %.2f with the encoding of the audit line", got, medianExtra(c.written, c.plain, c.clone))
	if got > 0.6 {
		t.Errorf("got %.2f times the time of Clone, want at most 0.6", got)
	}
}

// Without tracing, an attempt costs no allocation beyond the transport's.
func TestCostOfAnAttemptThatIsNotTraced(t *testing.T) {
	h := costly(t, "header")
	r := injected(t, h, requestWith(12))
	ex := r.Context().Value(exchangeKey{}).(*exchange)
	got := testing.AllocsPerRun(500, func() { _, _ = ex.send(h.transport.base, r) }) //nolint:bodyclose // there is none
	if got > 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}

func BenchmarkUnobserved(b *testing.B)      { observe(b, newObservedCost(b).plain) }
func BenchmarkObserved(b *testing.B)        { observe(b, newObservedCost(b).observed) }
func BenchmarkObservedEncoded(b *testing.B) { observe(b, newObservedCost(b).written) }

func observe(b *testing.B, f func()) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
}
