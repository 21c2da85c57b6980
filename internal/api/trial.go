package api

// This file holds what is made of a key that its upstream was asked about before
// it is entered.

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// Trials ask upstreams whether they take a key.
type Trials interface {
	// Try tries a key for c, a connection of i, by the request that the
	// verification of i names. It keeps nothing.
	Try(ctx context.Context, i *catalog.Integration, c *catalog.Connection, key secret.Value) Verdict
}

// Verdict is what came of a trial.
type Verdict int

const (
	// NoVerdict: the upstream did not answer, or something else than whether it
	// takes the key.
	NoVerdict Verdict = iota

	// Taken: the upstream takes the key.
	Taken

	// Refused: it does not.
	Refused

	// Forbidden: it was not asked, as its address is not allowed.
	Forbidden
)

// try asks the upstream about a key that is to be entered for conn, where the
// integration says how, and notes on conn what is known of the key then. A key
// that is refused is not to be entered: path is where it stands in the body.
func (a *API) try(ctx context.Context, i *catalog.Integration, conn *catalog.Connection, key secret.Value, path ...any) (Verdict, error) {
	conn.Unverified, conn.VerifyAt = false, a.cfg.Now()
	if i.Verification == nil || a.cfg.Trials == nil {
		return NoVerdict, nil
	}
	verdict, err := a.verdict(ctx, i, conn, key)
	if err != nil {
		return NoVerdict, err
	}
	const code = "connection_test_failed"
	switch verdict {
	case Refused:
		e := refuse(http.StatusBadRequest, code, "%s does not accept this API key; check it and try again", i.DisplayName)
		e.Faults = []Fault{{Code: code, Message: "The API key was not accepted", Path: path}}
		return verdict, e
	case Forbidden:
		return verdict, refuse(http.StatusBadRequest, "egress_denied", "The API key cannot be tried, and was not stored: the operator does not allow the address that integration %q leads to", clipped(i.UniqueKey))
	case NoVerdict:
		conn.Unverified = true
	case Taken:
		conn.VerifyAt = a.cfg.Now().Add(i.Verification.Interval)
	}
	return verdict, nil
}

// verdict asks the upstream, unless whoever disabled what leads there wants
// nothing sent. What the upstream says is of no use when the integration has
// meanwhile been led elsewhere: there the key was not tried.
func (a *API) verdict(ctx context.Context, i *catalog.Integration, conn *catalog.Connection, key secret.Value) (Verdict, error) {
	if i.Disabled || conn.Disabled {
		return NoVerdict, nil
	}
	verdict := a.cfg.Trials.Try(ctx, i, conn, key)
	if err := ctx.Err(); err != nil { // who asked has left, and will not know that it was entered
		return NoVerdict, fmt.Errorf("trying a key: %w", err)
	}
	now, err := a.integration(ctx, i.UniqueKey)
	if errors.Is(err, catalog.ErrNotFound) {
		return NoVerdict, nil // that is found when it is entered
	}
	if err != nil {
		return NoVerdict, fmt.Errorf("looking where a key was tried: %w", err)
	}
	if !sameWay(i, now) {
		return NoVerdict, nil
	}
	return verdict, nil
}
