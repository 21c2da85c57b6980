package apikeyinject

// This file holds when the gateway sends a request again because the upstream
// could not answer it.

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

const (
	// retryFirst is the wait before the first retry where the upstream names
	// none; it doubles up to retryMost. Half of it is left to chance, so that
	// callers that were refused together do not come back together.
	retryFirst = 250 * time.Millisecond
	retryMost  = 10 * time.Second

	// defaultRetryWait bounds the wait that an upstream may ask for.
	defaultRetryWait = time.Minute
)

// retryPolicy says what the operator lets callers ask for.
type retryPolicy struct {
	methods []string      // that may be sent again
	maxWait time.Duration // an upstream that asks for more gets no retry
	now     func() time.Time
}

// idempotent are the methods that may be sent again without the operator's
// word (RFC 9110, 9.2.2).
var idempotent = []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete}

// again tells whether attempt n, counted from 0, is followed by another one,
// and after which time.
func (c *call) again(r *http.Request, res *http.Response, err error, n int) (wait time.Duration, ok bool) {
	if c == nil || n >= c.retries || !slices.Contains(c.policy.methods, r.Method) || isUpgrade(r) {
		return 0, false
	}
	if err != nil {
		var ours caddyhttp.HandlerError
		if r.Context().Err() != nil || errors.Is(err, context.Canceled) || errors.As(err, &ours) {
			return 0, false
		}
		return backoff(n), true
	}
	if res.StatusCode < 500 && res.StatusCode != http.StatusTooManyRequests && !slices.Contains(c.retryOn, res.StatusCode) {
		return 0, false
	}
	wait, said := askedWait(res, c.policy.now())
	if !said {
		return backoff(n), true
	}
	return wait, wait <= c.policy.maxWait
}

func backoff(n int) time.Duration {
	d := min(retryFirst<<n, retryMost)
	return d/2 + rand.N(d/2) //nolint:gosec // chance, not a secret
}

// askedWait returns how long the upstream asks to wait: in Retry-After, or, of
// who was too fast, in the header that says when the limit is reset. A time
// that has passed asks for nothing.
func askedWait(res *http.Response, now time.Time) (wait time.Duration, ok bool) {
	if wait, ok = readWait(res.Header.Get("Retry-After"), now); ok || res.StatusCode != http.StatusTooManyRequests {
		return wait, ok
	}
	for _, name := range []string{"X-Ratelimit-Reset", "Ratelimit-Reset"} {
		if wait, ok = readWait(res.Header.Get(name), now); ok {
			return wait, ok
		}
	}
	return 0, false
}

// readWait reads seconds from now, seconds or milliseconds since 1970, or a
// date.
func readWait(v string, now time.Time) (wait time.Duration, ok bool) {
	const (
		// Numbers below are seconds from now, as no API resets a limit after 30
		// years; numbers from the second on are milliseconds since 1970.
		sinceEpoch = 1e9
		inMillis   = 1e11
	)
	if at, err := http.ParseTime(v); err == nil {
		wait = at.Sub(now)
		return wait, wait > 0
	}
	n, err := strconv.ParseFloat(v, 64)
	if err != nil || n <= 0 || n > 1e14 {
		return 0, false
	}
	switch {
	case n < sinceEpoch:
		return time.Duration(n * float64(time.Second)), true
	case n < inMillis:
		wait = time.UnixMicro(int64(n * 1e6)).Sub(now)
	default:
		wait = time.UnixMicro(int64(n * 1e3)).Sub(now)
	}
	return wait, wait > 0
}

// roundTrip sends out, a placed copy of r, as often as it has to: again with
// another key when the upstream refuses this one, and, where a caller of the
// gateway asks for it, again when the upstream could not answer.
func (ex *exchange) roundTrip(base http.RoundTripper, r, out *http.Request) (*http.Response, error) {
	retries := ex.call != nil && ex.call.retries > 0
	if !retries && len(ex.target.refused) == 0 {
		return ex.send(base, out)
	}
	body := ex.keep(r, out)
	if body != nil {
		defer body.release()
	}
	res, err := ex.attempt(base, r, out, body)
	for n := 0; retries; n++ {
		wait, ok := ex.call.again(r, res, err, n)
		if !ok {
			break
		}
		out, ok = ex.anew(r, body)
		if !ok {
			break
		}
		if res != nil {
			drain(res.Body)
		}
		if err := pause(r.Context(), wait); err != nil {
			return nil, err
		}
		if fail := ex.call.stands(ex); fail != nil {
			return nil, fail.handlerError()
		}
		res, err = ex.attempt(base, r, out, body)
	}
	return res, err
}

// anew places the key on a fresh copy of r, with the body once more. It cannot
// when the body was not kept.
func (ex *exchange) anew(r *http.Request, body *keptBody) (out *http.Request, ok bool) {
	if body == nil && hasBody(r) {
		return nil, false
	}
	var sent []byte
	if body != nil {
		if sent, ok = body.whole(r.Context()); !ok {
			return nil, false
		}
	}
	ex.writer.muted = ex.writer.relayed // one set of interim answers is enough
	out, err := ex.place(r)
	if err != nil {
		return nil, false
	}
	setBody(out, sent)
	return out, true
}

// pause waits, or ends with ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
