package api

// This file holds what is made of a key that its upstream was asked about before
// it is entered.

import (
	"context"
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
	verdict := a.cfg.Trials.Try(ctx, i, conn, key)
	if err := ctx.Err(); err != nil { // who asked has left, and will not know that it was entered
		return NoVerdict, fmt.Errorf("trying a key: %w", err)
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
