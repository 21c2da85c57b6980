package alert

// This file holds a catalog in memory and a Slack without a network, so that
// tests may let hours pass.

import (
	"bytes"
	"context"
	"encoding/json"
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
	"github.com/apikeyinject/caddy-apikey-inject/internal/notice"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// book is the catalog of many nodes. That the real one does the same its own
// tests show.
type book struct {
	*memory

	lock  sync.Mutex
	owner string
	seen  time.Time
	away  bool
	bell  chan struct{}
	asked int // to open an alert

	loses bool // what TellAlerts answers
	keeps bool // what was taken, though it is said to have been told
}

func newBook() *book { return &book{memory: newMemory(), bell: make(chan struct{})} }

// ask fails as a database does, also where it is asked by who has been stopped.
func (b *book) ask(ctx context.Context) error {
	b.lock.Lock()
	defer b.lock.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.away {
		return catalog.ErrUnavailable
	}
	return nil
}

func (b *book) setAway(away bool) {
	b.lock.Lock()
	defer b.lock.Unlock()
	b.away = away
}

func (b *book) setLost(loses, keeps bool) {
	b.lock.Lock()
	defer b.lock.Unlock()
	b.loses, b.keeps = loses, keeps
}

func (b *book) ring() {
	b.lock.Lock()
	defer b.lock.Unlock()
	close(b.bell)
	b.bell = make(chan struct{})
}

func (b *book) OpenAlert(ctx context.Context, a catalog.Alert) error {
	b.lock.Lock()
	b.asked++
	b.lock.Unlock()
	if err := b.ask(ctx); err != nil {
		return err
	}
	b.open(a, time.Now())
	b.ring()
	return nil
}

func (b *book) ResolveAlert(ctx context.Context, subject string) error {
	if err := b.ask(ctx); err != nil {
		return err
	}
	b.resolve(subject, time.Now())
	b.ring()
	return nil
}

func (b *book) LeadAlerts(ctx context.Context, owner string) (bool, error) {
	if err := b.ask(ctx); err != nil {
		return false, err
	}
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.owner != "" && b.owner != owner && time.Since(b.seen) < 30*time.Second {
		return false, nil
	}
	if b.owner != owner {
		b.done(false)
	}
	b.owner, b.seen = owner, time.Now()
	return true, nil
}

func (b *book) CedeAlerts(ctx context.Context, owner string) error {
	if err := b.ask(ctx); err != nil {
		return err
	}
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.owner == owner {
		b.owner = ""
	}
	return nil
}

func (b *book) CountAlerts(ctx context.Context) (catalog.AlertCount, error) {
	return b.count(), b.ask(ctx)
}

func (b *book) TellAlerts(ctx context.Context, _ int) (*catalog.Telling, error) {
	if err := b.ask(ctx); err != nil {
		return nil, err
	}
	told := b.take()
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.loses {
		return nil, catalog.ErrUnavailable
	}
	return told, nil
}

func (b *book) AlertsTold(ctx context.Context, ok bool) error {
	if err := b.ask(ctx); err != nil {
		return err
	}
	b.lock.Lock()
	keeps := b.keeps
	b.lock.Unlock()
	if keeps {
		return catalog.ErrUnavailable
	}
	b.done(ok)
	return nil
}

func (b *book) Rung() <-chan struct{} {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.bell
}

// deafBook is a book that, when it is deaf, goes away before it hears what became
// of a message.
type deafBook struct {
	*book

	deaf atomic.Bool
}

func (b *deafBook) AlertsTold(ctx context.Context, ok bool) error {
	if b.deaf.Load() {
		return catalog.ErrUnavailable
	}
	return b.book.AlertsTold(ctx, ok)
}

// channel is where messages arrive.
type channel struct {
	mu     sync.Mutex
	all    []string
	at     []time.Time
	tried  int
	status int // of the answers; 0: 200
	header http.Header
	comes  func() // is called when a message comes
	hangs  bool   // it never answers
}

func (c *channel) RoundTrip(req *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	var m struct{ Text string }
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	if c.come() {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	status := c.status
	if status == 0 {
		status = http.StatusOK
		c.all, c.at = append(c.all, m.Text), append(c.at, time.Now())
	}
	return &http.Response{StatusCode: status, Header: c.header, Body: io.NopCloser(bytes.NewReader([]byte("ok"))), Request: req}, nil
}

// come notes that a message comes, and tells whether it hangs.
func (c *channel) come() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.comes != nil {
		c.comes()
	}
	c.tried++
	return c.hangs
}

func (c *channel) got() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.all)
}

func (c *channel) set(status int, header http.Header) (tried int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status, c.header = status, header
	return c.tried
}

// node is a teller that runs.
type node struct {
	*Teller

	ctx    context.Context //nolint:containedctx // of the test
	logged *observer.ObservedLogs
	failed atomic.Int32 // messages, by Observe
	stop   func()
	cancel func() // is stop, and does not wait for the end
}

func newNode(t *testing.T, name string, b Book, c *channel) *node {
	t.Helper()
	core, logged := observer.New(zapcore.DebugLevel)
	n := &node{Teller: New(b, name, zap.New(core)), ctx: t.Context(), logged: logged}
	n.Observe = func(result string) {
		if result == ResultFailed {
			n.failed.Add(1)
		}
	}
	n.Use(name, &Slack{URL: secret.New("https://hooks.slack.example/services/T0/B0/canary"), Client: &http.Client{Transport: c}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); n.Run(ctx) }()
	n.stop, n.cancel = func() { cancel(); <-ended }, cancel
	t.Cleanup(n.stop)
	return n
}

// refused is the alert of a connection.
func refused(id string) catalog.Alert {
	return catalog.Alert{Subject: catalog.ConnectionSubject("acme", id), Kind: string(notice.AuthFailed), Integration: "acme", Connection: id, KeyVersion: 3}
}
