package apikeyinject

// This file holds what happens when an upstream refuses a key: it is read
// again, and the request sent once more where that is safe.

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
)

const (
	// defaultReplayBuffer is the largest request body that is kept for a
	// replay, in bytes.
	defaultReplayBuffer = 64 << 10

	// maxReplayBuffer bounds what an operator may ask for: a body that large
	// is held in memory for every request under way.
	maxReplayBuffer = 16 << 20

	// maxRefusals bounds refused_after: a key that is refused that often is not
	// taken.
	maxRefusals = 1000

	// refusedWait bounds what an answer with a refused key waits for a newer
	// key. A healthy store takes milliseconds.
	refusedWait = 2 * time.Second

	// drainLimit is how much of a refused answer is read so that its
	// connection can be used again.
	drainLimit = 64 << 10

	// drainWait bounds how long that takes: a new connection costs less.
	drainWait = 100 * time.Millisecond
)

// defaultRefused are the statuses by which an upstream refuses a key.
var defaultRefused = []int{http.StatusUnauthorized}

// checkRefused refuses statuses that do not say that nothing was done.
func checkRefused(statuses []int) error {
	for _, s := range statuses {
		if s < 400 || s > 499 {
			return fmt.Errorf("%d is no status by which a key is refused; 400 to 499 are allowed", s)
		}
	}
	return nil
}

// checkReplayBuffer bounds the memory that requests may hold.
func checkReplayBuffer(n int64) error {
	if n < 0 || n > maxReplayBuffer {
		return fmt.Errorf("%d bytes is outside 0 to %d", n, maxReplayBuffer)
	}
	return nil
}

// attempt sends out, a placed copy of r, and answers a refusal of its key: a
// newer key, or in a rotation the former one, is tried once.
func (ex *exchange) attempt(base http.RoundTripper, r, out *http.Request, body *keptBody) (*http.Response, error) {
	res, err := base.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(ex.target.refused, res.StatusCode) {
		ex.accepted(ex.ren.key)
		return res, nil
	}
	newest := ex.ren.key
	other, isNewer := ex.otherKey(r.Context())
	if other == nil {
		return res, nil
	}
	again := ex.replay(base, r, res, body, other)
	if again == nil { // cannot be sent again; the next request has the newer key
		return res, nil
	}
	return ex.judge(again, newest, other, isNewer)
}

// judge tells the keyring what the upstream thinks of the key that was tried
// last.
func (ex *exchange) judge(again *answer, newest, other *keyring.Key, isNewer bool) (*http.Response, error) {
	if again.err != nil {
		return nil, again.err
	}
	refused := slices.Contains(ex.target.refused, again.res.StatusCode)
	switch {
	case refused && isNewer:
		ex.rejected(other)
	case refused:
		ex.rejected(newest)
	default:
		ex.accepted(other)
	}
	return again.res, nil
}

// otherKey returns a newer key than the one that was refused, or the former one
// while a rotation lasts. Nil says that none helps, which the keyring is told,
// or that the caller or the time was gone before the store answered, which says
// nothing of the key.
func (ex *exchange) otherKey(ctx context.Context) (key *keyring.Key, isNewer bool) {
	ctx, cancel := context.WithTimeout(ctx, refusedWait)
	defer cancel()
	if key, ok := ex.entry.Refused(ctx, ex.field, ex.ren.key); ok {
		if ex.customer.moved(ctx) {
			return nil, false
		}
		return key, true
	}
	if key, ok := ex.entry.Previous(ctx, ex.field); ok && key != ex.ren.key && ex.customer.takes(key) {
		return key, false
	}
	if ctx.Err() == nil {
		ex.rejected(ex.ren.key)
	}
	return nil, false
}

// rejected tells the keyring, and the catalog where the key is a connection's,
// that the upstream does not take a key: the catalog once it did so often enough.
func (ex *exchange) rejected(key *keyring.Key) {
	if ex.entry.Rejected(key, ex.target.refusedAfter) && ex.customer != nil {
		ex.customer.rejected(key)
	}
}

// accepted tells that it does.
func (ex *exchange) accepted(key *keyring.Key) {
	ex.entry.Accepted(key)
	if ex.customer != nil {
		ex.customer.accepted(key)
	}
}

// answer is what came of a second try.
type answer struct {
	res *http.Response
	err error
}

// replay sends the request once more with another key. Nil says that it cannot
// be: its body is not kept, or the key cannot be rendered. A refusal says that
// nothing was done, so the method does not matter.
func (ex *exchange) replay(base http.RoundTripper, r *http.Request, res *http.Response, body *keptBody, key *keyring.Key) *answer {
	if isUpgrade(r) {
		return nil
	}
	ren, err := ex.render(key)
	if err != nil {
		return nil
	}
	was := ex.use
	ex.ren, ex.inj = ren, ren.inj
	out, ok := ex.anew(r, body)
	if !ok {
		ex.use, ex.inj = was, was.ren.inj
		return nil
	}
	drain(res.Body)
	ex.replayed = true
	again, err := base.RoundTrip(out) //nolint:bodyclose // the answer is handed on
	return &answer{again, err}
}

// setBody makes out carry these bytes, or no body.
func setBody(out *http.Request, sent []byte) {
	if len(sent) == 0 {
		out.Body, out.ContentLength = nil, 0
		return
	}
	out.Body = io.NopCloser(bytes.NewReader(sent))
}

func isUpgrade(r *http.Request) bool { return len(r.Header["Upgrade"]) > 0 }

// drain reads a refused answer to its end, so that its connection can be used
// again. One that does not end soon is cut.
func drain(body io.ReadCloser) {
	t := time.AfterFunc(drainWait, func() { _ = body.Close() })
	_, _ = io.CopyN(io.Discard, body, drainLimit)
	t.Stop()
	_ = body.Close()
}
