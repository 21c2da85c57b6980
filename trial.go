package apikeyinject

// This file holds how a key is tried at its upstream: by one request that is
// placed, guarded and sent as those that are proxied.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/api"
	"github.com/apikeyinject/caddy-apikey-inject/internal/directory"
	"github.com/apikeyinject/caddy-apikey-inject/internal/quoted"
)

const (
	// trialBudget bounds one trial, its upstream's name and handshake included.
	trialBudget = 10 * time.Second

	// trialBody is how much of an answer is read, so that its connection can be
	// used again. It is of no other use.
	trialBody = 4 << 10
)

// trialAgent tells an upstream's operator what the request is, unless the
// verification has a User-Agent of its own.
const trialAgent = "caddy-apikey-inject (key verification)"

// trier tries keys. It is a route that has no path: with the integrations as
// every route finds them, and base transports of its own.
type trier struct {
	*Handler
	clear http.RoundTripper // where an integration has no other
	end   context.CancelFunc
}

// tryOnDemand is the trier of an app, made when a key is first tried.
type tryOnDemand struct {
	mu    sync.Mutex
	trier *trier
	ended bool
}

// trier returns what tries keys.
func (a *App) trier() (*trier, error) {
	o := &a.trying
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.trier != nil:
		return o.trier, nil
	case o.ended:
		return nil, errEnded
	}
	// A context of its own: modules are loaded into it while others use the
	// app's.
	ctx, end := caddy.NewContext(a.ctx)
	t := &trier{Handler: &Handler{app: a, logger: a.logger.Named("verification")}, end: end}
	err := t.loadTransports(ctx)
	if err == nil {
		t.clear, err = a.loadBase(ctx, object{}, guardClear)
	}
	if err != nil {
		end()
		return nil, err
	}
	o.trier = t
	return t, nil
}

// close ends the connections of trials.
func (o *tryOnDemand) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	if o.trier != nil {
		o.trier.end()
		o.trier = nil
	}
}

// via returns the base transport to an integration's upstream.
func (t *trier) via(to *target) http.RoundTripper {
	for _, in := range t.app.tried.inline {
		if in.target == to {
			return in.via
		}
	}
	if to.via != nil {
		return to.via
	}
	return t.clear
}

// try sends the request of a verification with the key that the exchange has.
func (t *trier) try(ctx context.Context, ex *exchange) (verdict api.Verdict) {
	defer func() { countVerification(ex.target.label, verdict) }()
	ctx, cancel := context.WithTimeout(ctx, trialBudget)
	defer cancel()
	ex.Context = ctx
	v := ex.target.integration.Verification
	r, err := v.request(ex)
	if err == nil {
		r, err = ex.place(r)
	}
	if err != nil {
		return t.noVerdict(ex, fmt.Errorf("making the request: %w", err))
	}
	res, err := t.via(ex.target).RoundTrip(r)
	switch {
	case asFailure(err) == errEgress:
		return api.Forbidden
	case err != nil:
		return t.noVerdict(ex, err)
	}
	_, _ = io.CopyN(io.Discard, res.Body, trialBody)
	_ = res.Body.Close()
	switch {
	case slices.Contains(v.Success, res.StatusCode), len(v.Success) == 0 && res.StatusCode >= 200 && res.StatusCode <= 299:
		return api.Taken
	case res.StatusCode == http.StatusUnauthorized, slices.Contains(ex.target.refused, res.StatusCode):
		return api.Refused
	case res.StatusCode == http.StatusForbidden && !ex.inUse(time.Duration(v.Interval)):
		return api.Refused
	}
	return t.noVerdict(ex, fmt.Errorf("the upstream answered %d", res.StatusCode))
}

// inUse tells whether requests use the connection that is tried. Their answers
// then say more than a 403, which may be about the request of the trial alone:
// the key would be refused by each trial, and taken again by the next request.
func (ex *exchange) inUse(interval time.Duration) bool {
	return ex.customer != nil && time.Since(ex.customer.conn.LastUsed()) < max(interval, 2*directory.UseEvery)
}

// noVerdict says why there is none. What the upstream sent is not in it, as that
// may be the key.
func (t *trier) noVerdict(ex *exchange, err error) api.Verdict {
	if err = quoted.Drop(err); ex.ren.inj.In(err.Error()) {
		err = errors.New("reading the upstream's answer: it is malformed and holds the key")
	}
	fields := []zap.Field{zap.String("integration", ex.target.label), zap.Error(err)}
	if ex.customer != nil {
		fields = append(fields, zap.String("connection", ex.customer.conn.ID))
	}
	level := zapcore.InfoLevel
	if ex.entry != nil { // tried again, like thousands of others
		level = zapcore.DebugLevel
	}
	t.logger.Log(level, "no verdict on a key", fields...)
	return api.NoVerdict
}
