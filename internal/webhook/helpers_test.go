package webhook

// This file holds an outbox in memory and a receiver without a network, so that
// tests may let days pass.

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

const signing = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// outbox is one of many nodes.
type outbox struct {
	mu   sync.Mutex
	rows map[string]*row
	said atomic.Int32
	lost atomic.Uint64 // were not written down
	away bool
	bell chan struct{}
}

type row struct {
	catalog.Message
	due time.Time
}

func newOutbox() *outbox { return &outbox{rows: map[string]*row{}, bell: make(chan struct{})} }

// add enters a message.
func (o *outbox) add(m catalog.Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if m.ID == "" {
		m.ID = fmt.Sprintf("msg_%04d", len(o.rows))
	}
	m.Connection, m.Integration, m.MadeAt = cmp.Or(m.Connection, "cust-1"), "acme", time.Now()
	o.rows[m.ID] = &row{m, time.Now()}
	close(o.bell)
	o.bell = make(chan struct{})
}

func (o *outbox) waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.rows)
}

func (o *outbox) SendsWebhooks(context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.said.Add(1)
	return nil
}

func (o *outbox) ClaimMessages(_ context.Context, limit int, lease time.Duration) ([]*catalog.Message, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.away {
		return nil, catalog.ErrUnavailable
	}
	var all []*catalog.Message
	for _, r := range o.rows {
		if len(all) < limit && !r.due.After(time.Now()) {
			r.due = time.Now().Add(lease)
			r.Tries++
			m := r.Message
			all = append(all, &m)
		}
	}
	slices.SortFunc(all, func(a, b *catalog.Message) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

func (o *outbox) DropMessage(ctx context.Context, m *catalog.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if r := o.rows[m.ID]; r != nil && r.Tries == m.Tries {
		delete(o.rows, m.ID)
	}
	return nil
}

func (o *outbox) PostponeMessage(ctx context.Context, m *catalog.Message, until time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if r := o.rows[m.ID]; r != nil && r.Tries == m.Tries {
		r.due = until
	}
	return nil
}

func (o *outbox) NextMessage(context.Context) (waiting int, due time.Time, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.rows {
		if due.IsZero() || r.due.Before(due) {
			due = r.due
		}
	}
	return len(o.rows), due, nil
}

func (o *outbox) Crowded() uint64 { return o.lost.Load() }

func (o *outbox) Rung() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bell
}

// got is what a receiver got.
type got struct {
	at     time.Time
	url    string
	header http.Header
	body   string
}

// receiver answers with what answer says: a status, or an error.
type receiver struct {
	mu     sync.Mutex
	all    []got
	answer func(n int, r *http.Request) (int, error)
	header http.Header
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	n := len(r.all)
	r.all = append(r.all, got{time.Now(), req.URL.String(), req.Header.Clone(), string(b)})
	answer := r.answer
	r.mu.Unlock()
	status := http.StatusNoContent
	if answer != nil {
		if status, err = answer(n, req); err != nil {
			return nil, err
		}
	}
	return &http.Response{StatusCode: status, Header: r.header, Body: io.NopCloser(bytes.NewReader(nil)), Request: req}, nil
}

func (r *receiver) got() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// target returns the receiver as a configuration gives it.
func (r *receiver) target(to string) *Receiver {
	return &Receiver{URL: to, Secret: secret.New(signing), Client: &http.Client{
		Transport:     r,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// counted is a sender whose attempts are counted by their results.
type counted struct {
	*Sender

	mu sync.Mutex
	of map[string]int
}

func (c *counted) observed(result string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[result]++
}

func (c *counted) count(result string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[result]
}

// start runs a sender until the test ends or stop is called.
func start(t *testing.T, o Outbox) (s *counted, logged *observer.ObservedLogs, stop func()) {
	t.Helper()
	core, logged := observer.New(zapcore.DebugLevel)
	s = &counted{Sender: NewSender(o, zap.New(core)), of: map[string]int{}}
	s.Observe = s.observed
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return s, logged, stop
}
