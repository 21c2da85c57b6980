package alert

// This file holds how a message gets to Slack.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/quoted"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/webhook"
)

// attempt bounds the sending of one message.
const attempt = 10 * time.Second

// Slack is an incoming webhook. Who has its URL can write to the channel, so the
// URL is a secret.
type Slack struct {
	URL secret.Value

	// Client sends. What it may reach is its transport's to decide; redirects
	// it must not follow.
	Client *http.Client
}

// Check refuses a URL that no message goes to: one that is not https, unless
// this machine is meant. Its error holds nothing of the URL.
func (s *Slack) Check() error {
	u, err := url.Parse(s.URL.Reveal())
	if err != nil || u.Hostname() == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return errors.New("must be the https URL of an incoming webhook, such as https://hooks.slack.com/services/…")
	}
	return nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// refusal is an answer that does not say that the message was taken.
type refusal struct {
	status int
	after  time.Duration
}

func (e *refusal) Error() string { return fmt.Sprintf("Slack answered %d", e.status) }

// send sends a message. Its errors hold nothing of the URL.
func (s *Slack) send(ctx context.Context, text string) error {
	body, err := json.Marshal(map[string]any{"text": text, "unfurl_links": false})
	if err != nil {
		return fmt.Errorf("writing a message: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL.Reveal(), bytes.NewReader(body))
	if err != nil {
		return errors.New("the URL cannot be used")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "caddy-apikey-inject")
	res, err := s.Client.Do(req)
	if err != nil {
		return fmt.Errorf("sending: %w", bare(err))
	}
	defer res.Body.Close() //nolint:errcheck // nothing was written
	_, _ = io.CopyN(io.Discard, res.Body, 4<<10)
	if res.StatusCode/100 != 2 {
		return &refusal{res.StatusCode, min(webhook.RetryAfter(res.Header, time.Now()), time.Hour)}
	}
	return nil
}

// bare takes off an error of a client what has the URL in it, or may have: who
// answers can send it back.
func bare(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	return quoted.Drop(err)
}
