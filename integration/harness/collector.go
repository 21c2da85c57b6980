package harness

// This file holds a receiver of traces, as OpenTelemetry's exporters send them.

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Span is a span as it was exported.
type Span struct {
	Trace, ID, Parent string
	Name, Kind        string // "client", "server", "internal"
	Scope             string
	Error             bool
	Attributes        map[string]string
	Links             []string // ids of spans
	Began, Ended      time.Time
}

// Collector takes spans by OTLP over HTTP.
type Collector struct {
	url string

	mu    sync.Mutex
	raw   bytes.Buffer // all that came, as text
	spans []Span
}

// NewCollector starts one. It ends with the test.
func NewCollector(t testing.TB) *Collector {
	t.Helper()
	c := new(Collector)
	srv := httptest.NewServer(http.HandlerFunc(c.take))
	t.Cleanup(srv.Close)
	c.url = srv.URL
	return c
}

// Env has a Caddy send its spans to the collector, soon.
func (c *Collector) Env() Option {
	return Env("OTEL_EXPORTER_OTLP_ENDPOINT="+c.url, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
		"OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_METRICS_EXPORTER=none", "OTEL_LOGS_EXPORTER=none")
}

func (c *Collector) take(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	raw, err := io.ReadAll(body)
	in := new(collector.ExportTraceServiceRequest)
	if err == nil {
		err = proto.Unmarshal(raw, in)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, fmt.Sprint(r.URL.Path, err), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintln(&c.raw, in)
	for _, resource := range in.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, spanOf(scope.GetScope().GetName(), s))
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func spanOf(scope string, s *traces.Span) Span {
	out := Span{
		Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
		Name: s.GetName(), Kind: strings.ToLower(strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_")), Scope: scope,
		Error:      s.GetStatus().GetCode() == traces.Status_STATUS_CODE_ERROR,
		Attributes: map[string]string{},
		Began:      time.Unix(0, int64(s.GetStartTimeUnixNano())), Ended: time.Unix(0, int64(s.GetEndTimeUnixNano())),
	}
	for _, a := range s.GetAttributes() {
		out.Attributes[a.GetKey()] = text(a.GetValue())
	}
	for _, l := range s.GetLinks() {
		out.Links = append(out.Links, hex.EncodeToString(l.GetSpanId()))
	}
	return out
}

func text(v *common.AnyValue) string {
	switch v := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_IntValue:
		return fmt.Sprint(v.IntValue)
	}
	return v.String()
}

// Text returns all that came.
func (c *Collector) Text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.raw.String()
}

// Traces returns the spans by their traces, each in the order of their begin.
func (c *Collector) Traces() map[string][]Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string][]Span{}
	for _, s := range c.spans {
		all[s.Trace] = append(all[s.Trace], s)
	}
	for _, spans := range maps.All(all) {
		slices.SortFunc(spans, func(a, b Span) int { return a.Began.Compare(b.Began) })
	}
	return all
}

// Wait returns the spans of a trace once there are so many.
func (c *Collector) Wait(t testing.TB, trace string, n int) []Span {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		spans := c.Traces()[trace]
		if len(spans) >= n {
			return spans
		}
		if time.Now().After(end) {
			t.Fatalf("the trace %s has %d spans, want %d: %+v", trace, len(spans), n, spans)
		}
	}
}
