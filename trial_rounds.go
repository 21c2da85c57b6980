package apikeyinject

// This file holds how known keys are tried again and again, so that one which
// was revoked is found without a call through it.

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/api"
	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/rounds"
)

// triedKeys is what a configuration tries on an interval. It is filled while
// that is provisioned.
type triedKeys struct {
	// connections tells that some route or gateway uses those of the catalog, so
	// that this node may read their keys; one that only enters keys need not.
	connections bool

	inline map[string]*inlineTrial // routes without an integration's name, by a name for each

	due map[rounds.Source]time.Time // integrations' own keys; of the rounds alone
}

// inlineTrial is a route that is its own integration, and a way to its upstream.
type inlineTrial struct {
	*target
	via http.RoundTripper
}

// tryConnections says that this configuration uses keys of connections.
func (a *App) tryConnections() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tried.connections = true
}

// tryInline has the key of a route tried whose integration has no name.
func (h *Handler) tryInline(ctx caddy.Context) error {
	if h.Verification == nil || h.Verification.Interval == 0 || h.target.own == nil {
		return nil
	}
	o, err := parseObject(h.ProxyRaw)
	if err == nil {
		o, err = baseTransport(o["transport"], h.target.integration)
	}
	if err != nil {
		return err
	}
	via, err := h.app.loadBase(ctx, o, guardOf(h.target.integration, h.target.plan))
	if err != nil {
		return err
	}
	h.app.mu.Lock()
	defer h.app.mu.Unlock()
	if h.app.tried.inline == nil {
		h.app.tried.inline = make(map[string]*inlineTrial)
	}
	name := h.target.label
	for n := 2; h.app.tried.inline[name] != nil; n++ { // another key for the same host
		name = fmt.Sprintf("%s (%d)", h.target.label, n)
	}
	h.app.tried.inline[name] = &inlineTrial{h.target, via}
	return nil
}

// keepTried has keys tried for as long as this configuration runs.
func (a *App) keepTried() {
	fixed := a.ownTrials()
	if len(fixed) == 0 && !a.tried.connections {
		return
	}
	a.tried.due = make(map[rounds.Source]time.Time)
	go rounds.Run(a.ctx, rounds.Config{
		Sources: func() []rounds.Source { return append(a.connectionTrials(), fixed...) },
		Claim:   a.claimTrials,
		Try:     a.tryAgain,
		Failed: func(s rounds.Source, err error) {
			a.logger.Warn("looking for keys to try", zap.String("integration", s.Integration), zap.Error(err))
		},
	})
}

// ownTrials are the integrations whose own key is tried.
func (a *App) ownTrials() []rounds.Source {
	var all []rounds.Source
	for key, i := range a.Integrations {
		if v := i.Verification; v != nil && v.Interval > 0 && i.Key != nil && !i.Key.perConnection() && !i.Disabled {
			all = append(all, rounds.Source{Integration: key, Own: true, Interval: time.Duration(v.Interval)})
		}
	}
	for label, t := range a.tried.inline {
		if !t.integration.Disabled {
			all = append(all, rounds.Source{Integration: label, Own: true, Interval: time.Duration(t.integration.Verification.Interval)})
		}
	}
	return all
}

// connectionTrials are the integrations of whose connections the keys are tried.
func (a *App) connectionTrials() []rounds.Source {
	p := a.opened.Load()
	if p == nil || !a.tried.connections {
		return nil
	}
	open := p.ready.Load()
	if open == nil {
		return nil
	}
	var all []rounds.Source
	for key, i := range a.Integrations {
		if v := i.Verification; v != nil && v.Interval > 0 && !i.Disabled {
			all = append(all, rounds.Source{Integration: key, Interval: time.Duration(v.Interval)})
		}
	}
	for i := range open.dir.Integrations {
		if v := i.Verification; v != nil && v.Interval > 0 && !i.Disabled && !a.configures(i.UniqueKey) {
			all = append(all, rounds.Source{Integration: i.UniqueKey, Interval: v.Interval})
		}
	}
	return all
}

// claimTrials returns the connections of a source that are due, of all nodes'
// for this one; an own key is tried on each node, which alone knows what it
// holds of it.
func (a *App) claimTrials(ctx context.Context, s rounds.Source, limit int) ([]string, error) {
	if !s.Own {
		return read(a, func(db *catalog.DB) ([]string, error) {
			return db.ClaimVerifications(ctx, s.Integration, limit, s.Interval)
		})
	}
	due, known := a.tried.due[s]
	if !known { // nodes that start together do not try together
		due = time.Now().Add(rand.N(s.Interval/10 + 1)) //nolint:gosec // no secret
		a.tried.due[s] = due
	}
	if time.Now().Before(due) {
		return nil, nil
	}
	a.tried.due[s] = time.Now().Add(s.Interval - rand.N(s.Interval/10+1)) //nolint:gosec // no secret
	return []string{""}, nil
}

// tryAgain tries a known key, and tells what came of it as a request would.
func (a *App) tryAgain(ctx context.Context, s rounds.Source, id string) {
	t, err := a.trier()
	if err != nil {
		return // this configuration has ended
	}
	ex, err := t.known(ctx, s, id)
	if err != nil {
		if ctx.Err() == nil {
			t.logger.Debug("a key cannot be tried", zap.String("integration", s.Integration), zap.String("connection", id), zap.Error(err))
		}
		return
	}
	t.judge(ctx, ex)
}

// known returns the exchange of a key that is in the store.
func (t *trier) known(ctx context.Context, s rounds.Source, id string) (*exchange, error) {
	to, err := t.source(s)
	if err != nil {
		return nil, err
	}
	if to.integration.Verification == nil || to.integration.Disabled {
		return nil, errDisabled
	}
	ex := &exchange{Context: ctx, target: to, use: use{entry: to.own}}
	if !s.Own {
		open, conn, fail := t.usable(ctx, to, id)
		if fail != nil {
			return nil, fail
		}
		if ex.customer, fail = newCustomer(open, to, conn); fail != nil {
			return nil, fail
		}
		ex.entry = ex.customer.entry
	}
	if ex.entry == nil {
		return nil, errConnection
	}
	overtaken, fail := ex.fetch(ctx, !s.Own)
	switch {
	case overtaken:
		return nil, fmt.Errorf("another key is just being entered: %w", failUnavailable(0))
	case fail != nil:
		return nil, fail
	}
	return ex, nil
}

// judge tries the newest key and, when it is refused, does as a request does:
// reads it anew, and in a rotation tries the former one before it says that the
// newest is of no use.
func (t *trier) judge(ctx context.Context, ex *exchange) {
	keys := trying(ex.ren.key)
	for again := 0; ; again++ {
		switch t.try(ctx, ex) {
		case api.Taken:
			ex.accepted(ex.ren.key)
			return
		case api.Refused:
		case api.NoVerdict, api.Forbidden:
			return
		}
		if again == maxReplays {
			ex.rejected(keys.newest)
			return
		}
		key, _ := ex.another(ctx, &keys)
		if key == nil {
			return
		}
		ren, err := ex.render(key)
		if err != nil {
			return
		}
		ex.ren = ren
	}
}

// source returns the integration of a source.
func (t *trier) source(s rounds.Source) (*target, error) {
	if in := t.app.tried.inline[s.Integration]; s.Own && in != nil && !t.app.configures(s.Integration) {
		return in.target, nil
	}
	to, fail := t.targetOf(s.Integration)
	if fail != nil {
		return nil, fail
	}
	return to, nil
}
