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

	"github.com/apikeyinject/caddy-apikey-inject/internal/api"
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

	// maxReplays bounds how often one request is sent again. Once is enough but
	// where a key is replaced again, or the upstream turns from the former key to
	// the newest, while a request is on its way.
	maxReplays = 2

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
		if !api.Refusal(s) {
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

// attempt sends out, a placed copy of r, and answers a refusal of its key by
// sending it with another.
func (ex *exchange) attempt(base http.RoundTripper, r, out *http.Request, body *keptBody) (*http.Response, error) {
	res, err := ex.send(base, out)
	if err != nil {
		return nil, err
	}
	if !ex.refuses(res) {
		ex.accepted(ex.ren.key)
		return res, nil
	}
	return ex.again(base, r, res, body)
}

// refuses tells whether an upstream's answer refuses the key.
func (ex *exchange) refuses(res *http.Response) bool {
	return slices.Contains(ex.target.refused, res.StatusCode)
}

// again sends a refused request with a newer key, or in a rotation with the
// former one, and returns the answer to that, or the refusal when there is
// nothing to send.
func (ex *exchange) again(base http.RoundTripper, r *http.Request, res *http.Response, body *keptBody) (*http.Response, error) {
	t, figures := trying(ex.ren.key), ex.target.counters
	for range maxReplays {
		key, isNewer := ex.another(r.Context(), &t)
		if key == nil {
			figures.refused(actionRelayed)
			return res, nil
		}
		answer := ex.replay(base, r, res, body, key)
		if answer == nil { // cannot be sent again; the next request has the newer key
			figures.refused(unsent(isNewer))
			return res, nil
		}
		figures.refused(sent(isNewer))
		figures.replayed(ex.resultOf(answer))
		if answer.err != nil {
			return nil, answer.err
		}
		res = answer.res
		if !ex.refuses(res) {
			ex.accepted(key)
			if !isNewer {
				ex.entry.Bridged(t.newest)
			}
			return res, nil
		}
	}
	figures.refused(actionRelayed)
	ex.rejected(t.newest)
	return res, nil
}

// tried are the keys that one request was sent with.
type tried struct {
	first, newest, former *keyring.Key

	turned bool // the newest was tried after the former
}

func trying(key *keyring.Key) tried { return tried{first: key, newest: key} }

// another returns a key to try when all of t were refused: a newer one than the
// newest, or the former one while a rotation lasts, or the newest once more where
// the former one was taken until now. Nil says that none helps, which the keyring
// is told, or that the caller or the time was gone before the
// store answered, which says nothing of the key.
func (ex *exchange) another(ctx context.Context, t *tried) (key *keyring.Key, isNewer bool) {
	key, isNewer = ex.otherKey(ctx, t.newest)
	switch {
	case key == nil:
	case isNewer:
		t.newest = key
	case key.Equal(t.former) && !t.turned && ex.entry.IsBridged(t.newest):
		t.turned = true
		return t.newest, true
	case key.Equal(t.first), key.Equal(t.former): // with another newest one, the first is the former
		ex.rejected(t.newest)
		return nil, false
	default:
		t.former = key
	}
	return key, isNewer
}

// otherKey is another for one refused key.
func (ex *exchange) otherKey(ctx context.Context, newest *keyring.Key) (key *keyring.Key, isNewer bool) {
	ctx, cancel := context.WithTimeout(ctx, refusedWait)
	defer cancel()
	if key, ok := ex.entry.Refused(ctx, ex.field, newest); ok {
		if ex.customer.moved(ctx) {
			return nil, false
		}
		return key, true
	}
	if key, ok := ex.entry.Previous(ctx, ex.field); ok && key != newest && ex.customer.takes(key) {
		return key, false
	}
	if ctx.Err() == nil {
		ex.rejected(newest)
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
	was := ex.ren
	ex.ren = ren
	out, ok := ex.anew(r, body)
	if !ok {
		ex.ren = was
		return nil
	}
	drain(res.Body)
	ex.replayed = true
	again, err := ex.send(base, out) //nolint:bodyclose // the answer is handed on
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
