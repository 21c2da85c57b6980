package webhook

// This file holds one attempt to deliver a webhook.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/quoted"
)

const (
	// readLimit is how much of an answer is read, so that its connection can be
	// used again.
	readLimit = 4 << 10

	// closing bounds what is written down of an attempt when the process ends.
	closing = 2 * time.Second
)

// errGone says that the receiver wants no more of it.
var errGone = errors.New("the receiver answered 410")

// errCrowded says that a receiver which fails has enough attempts under way.
var errCrowded = errors.New("the receiver fails, and others are on their way to it")

// errLongPast says that a webhook should have been given up: for days nobody was
// configured to send it, and who is now may not be meant.
var errLongPast = errors.New("for three days nobody was there to send it")

// statusError is an answer that does not say that the webhook was taken.
type statusError struct {
	status int
	after  time.Duration
}

func (e *statusError) Error() string { return fmt.Sprintf("the receiver answered %d", e.status) }

// deliver makes one attempt, and writes down what became of it.
func (s *Sender) deliver(ctx context.Context, r *Receiver, m *catalog.Message) {
	to := m.URL
	if to == "" {
		to = r.URL
	}
	host := hostOf(to)
	err := s.attempt(ctx, r, host, to, m)
	now := s.now()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	if err != nil && ctx.Err() != nil { // we were stopped, not refused
		_ = s.outbox.PostponeMessage(end, m, now)
		return
	}
	if !errors.Is(err, errCrowded) && !errors.Is(err, errLongPast) {
		s.health.note(s.log, host, err)
	}
	switch old := now.Sub(m.MadeAt) >= keepFor; {
	case err == nil:
		s.observe(ResultDelivered)
		_ = s.outbox.DropMessage(end, m) // if that fails it is sent again, with the same id
	case old || errors.Is(err, errGone):
		s.observe(ResultGivenUp)
		s.log.Error("a webhook was given up", zap.String("id", m.ID), zap.String("integration", m.Integration),
			zap.String("connection", m.Connection), zap.String("receiver", host), zap.Int("attempts", m.Tries), zap.Error(err))
		_ = s.outbox.DropMessage(end, m)
	case errors.Is(err, errCrowded): // no attempt was made
		_ = s.outbox.PostponeMessage(end, m, now.Add(wait(m.Tries, 0)))
	default:
		s.observe(ResultFailed)
		var asked time.Duration
		if no, ok := errors.AsType[*statusError](err); ok {
			asked = no.after
		}
		_ = s.outbox.PostponeMessage(end, m, now.Add(wait(m.Tries, asked)))
	}
}

// attempt sends a message, if it is to be sent now.
func (s *Sender) attempt(ctx context.Context, r *Receiver, host, to string, m *catalog.Message) error {
	switch {
	case s.now().Sub(m.MadeAt) >= keepFor+maxWait:
		return errLongPast
	case !s.health.begin(host):
		return errCrowded
	}
	defer s.health.end(host)
	return s.post(ctx, r, to, m)
}

// post sends a message. Its errors hold nothing of the URL beyond what dialling
// says of the address, also when the receiver sends it back.
func (s *Sender) post(ctx context.Context, r *Receiver, to string, m *catalog.Message) error {
	if err := CheckURL(to); err != nil {
		return err
	}
	body, err := encode(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return errors.New("the URL cannot be used")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "caddy-apikey-inject")
	sign(req.Header, r.Secret, m.ID, s.now(), body)
	res, err := r.Client.Do(req)
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err // the outer one has the URL
	}
	if err != nil {
		return fmt.Errorf("sending: %w", quoted.Drop(err))
	}
	defer res.Body.Close() //nolint:errcheck // nothing was written
	_, _ = io.CopyN(io.Discard, res.Body, readLimit)
	switch {
	case res.StatusCode/100 == 2:
		return nil
	case res.StatusCode == http.StatusGone:
		return errGone
	}
	return &statusError{res.StatusCode, askedWait(res, s.now())}
}

func hostOf(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return u.Host
}

// health notes which receivers fail, so that each is logged once and not at
// each attempt, and does not hold the places of all others: a connection may
// name a receiver of its own, and one that hangs holds each for the whole time.
type health struct {
	mu      sync.Mutex
	failing map[string]bool
	asked   map[string]int // attempts under way
}

// failingAtOnce bounds the attempts under way to a receiver that fails.
const failingAtOnce = 2

// begin tells whether a receiver may be asked, which end then ends.
func (h *health) begin(host string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failing[host] && h.asked[host] >= failingAtOnce {
		return false
	}
	if h.asked == nil {
		h.asked = make(map[string]int)
	}
	h.asked[host]++
	return true
}

func (h *health) end(host string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.asked[host]--; h.asked[host] == 0 {
		delete(h.asked, host)
	}
}

// maxFailing bounds the receivers that are remembered: each connection may have
// one of its own.
const maxFailing = 1000

func (h *health) note(log *zap.Logger, host string, err error) {
	h.mu.Lock()
	was := h.failing[host]
	began := err != nil && !was && len(h.failing) < maxFailing // of more none is logged
	switch {
	case err == nil:
		delete(h.failing, host)
	case began:
		if h.failing == nil {
			h.failing = make(map[string]bool)
		}
		h.failing[host] = true
	}
	h.mu.Unlock()
	switch {
	case began:
		log.Warn("a receiver of webhooks does not take them; they are tried again", zap.String("receiver", host), zap.Error(err))
	case err == nil && was:
		log.Info("a receiver of webhooks takes them again", zap.String("receiver", host))
	}
}
