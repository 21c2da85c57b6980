package apikeyinject

// This file holds who is told of keys, stores and connections outside of this
// process: a service by webhooks, people in Slack.

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/alert"
	"github.com/apikeyinject/caddy-apikey-inject/internal/webhook"
)

// Webhook says who is told when a connection is made, gets another key, is
// deleted, or when its upstream refuses its key or takes it again.
//
// Bodies are those of Nango's webhooks of the type `auth`. They are signed as
// Nango signs them (`X-Nango-Hmac-Sha256`) and as Standard Webhooks says
// (`webhook-signature`), and tried again for three days. The egress policy says
// which addresses they may go to.
type Webhook struct {
	// Where to. A connection may have a URL of its own, `webhook_url_override`.
	// Required.
	URL string `json:"url,omitempty"`

	// What signs: a placeholder such as `{env.WEBHOOK_SECRET}` for 16 bytes or
	// more, best `whsec_` and base64. Required.
	Secret string `json:"secret,omitempty"`
}

func (w *Webhook) check() error {
	if w == nil {
		return nil
	}
	if w.URL == "" {
		return wrong("url", "is required")
	}
	if !hasPlaceholder(w.URL) {
		if err := webhook.CheckURL(w.URL); err != nil {
			return &fieldError{"url", err}
		}
	}
	if w.Secret == "" {
		return wrong("secret", "is required: a placeholder such as {env.NAME} or {file./path}")
	}
	if err := checkSecret(w.Secret); err != nil {
		return &fieldError{"secret", err}
	}
	return nil
}

func hasPlaceholder(s string) bool { return placeholder.MatchString(s) }

// checkSlack refuses what is no placeholder: who has the URL of an incoming
// webhook can write to its channel.
func checkSlack(s string) error {
	if s == "" {
		return nil
	}
	return checkSecret(s)
}

// outside is whom this configuration tells.
type outside struct {
	webhook *webhook.Receiver // nil: no one
	slack   *alert.Slack      // likewise
	as      [3]string         // what it was made of, expanded
}

// provisionOutside fills in the placeholders. Several handlers of the API may
// stand in one configuration; whom they tell is the same.
func (a *API) provisionOutside() error {
	if a.Webhook == nil && a.Slack == "" {
		return nil
	}
	var o outside
	x := expander{repl: caddy.NewReplacer()}
	if a.Webhook != nil {
		o.webhook = &webhook.Receiver{
			URL: x.text("webhook.url", a.Webhook.URL), Secret: x.secret("webhook.secret", a.Webhook.Secret), Client: a.app.outsideClient(),
		}
		o.as[0], o.as[1] = o.webhook.URL, o.webhook.Secret.Reveal()
	}
	if a.Slack != "" {
		o.slack = &alert.Slack{URL: x.secret("slack", a.Slack), Client: a.app.outsideClient()}
		o.as[2] = o.slack.URL.Reveal()
	}
	if x.err != nil {
		return x.err
	}
	if err := o.check(); err != nil {
		return err
	}
	a.app.mu.Lock()
	defer a.app.mu.Unlock()
	if was := a.app.outside; was != nil && was.as != o.as {
		return errors.New("webhook and slack differ from those of another apikey_inject_api of this configuration: they hold for all of it")
	}
	a.app.outside = &o
	return nil
}

func (o *outside) check() error {
	if w := o.webhook; w != nil {
		if err := webhook.CheckURL(w.URL); err != nil {
			return &fieldError{"webhook.url", err}
		}
		if err := webhook.CheckSecret(w.Secret); err != nil {
			return &fieldError{"webhook.secret", err}
		}
	}
	if o.slack != nil {
		if err := o.slack.Check(); err != nil {
			return &fieldError{"slack", err}
		}
	}
	return nil
}

// outsideDial bounds the connecting to a receiver.
const outsideDial = 5 * time.Second

// outsideClient returns a client that reaches what the egress policy allows,
// follows no redirect, asks no proxy, and sends nothing in clear to public
// addresses.
func (a *App) outsideClient() *http.Client {
	dial := a.egress.DialContext(&net.Dialer{Timeout: outsideDial})
	transport := func() *http.Transport {
		return &http.Transport{
			DialContext: dial, TLSHandshakeTimeout: outsideDial, ForceAttemptHTTP2: true,
			MaxIdleConns: 64, MaxIdleConnsPerHost: 4, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 64 << 10,
		}
	}
	inClear := transport()
	inClear.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err == nil && !nearby(conn.RemoteAddr()) {
			_ = conn.Close()
			return nil, errInClear
		}
		return conn, err
	}
	return &http.Client{
		Transport:     byScheme{http: inClear, https: transport()},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// errInClear says that a receiver is neither near nor reached by TLS.
var errInClear = errors.New("nothing is sent without TLS to a public address")

// byScheme picks one of two transports.
type byScheme struct{ http, https *http.Transport }

// RoundTrip implements [http.RoundTripper].
func (b byScheme) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "https" {
		return b.https.RoundTrip(r)
	}
	return b.http.RoundTrip(r)
}

// startOutside has those told that this configuration names, from now on.
func (a *App) startOutside() {
	defer close(a.telling)
	p := a.opened.Load()
	if a.outside == nil || p == nil {
		return
	}
	ctx, cancel := context.WithTimeout(a.ctx, catalogWait)
	defer cancel()
	// Said before the first request, so that its doing is told.
	if w := a.outside.webhook; w != nil {
		p.webhooks.Use(a, w)
		_ = p.webhooks.Announce(ctx)
	}
	if s := a.outside.slack; s != nil {
		p.alerts.Use(a, s)
		p.alerts.Announce(ctx)
	}
}

// stopOutside takes back what startOutside gave.
func (a *App) stopOutside(p *pooledCatalog) {
	p.webhooks.Drop(a)
	p.alerts.Drop(a)
}
