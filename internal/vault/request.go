// One call to the cluster: over its addresses, bounded, with one answer.

package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/apikeyinject/caddy-apikey-inject/internal/quoted"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// call is one request to Vault.
type call struct {
	method    string
	path      string // below /v1/, checked segments
	query     url.Values
	namespace string
	token     secret.Value
	body      any
	probe     bool // asked also while the client pauses, and 429 means standby
}

// answer is what Vault said, whatever it was.
type answer struct {
	status int
	json   bool
	body   []byte
	errs   []string
	huge   bool          // the body was given up: it is larger than maxBody
	after  time.Duration // of a 429
}

// says tells whether one of the answer's errors contains text.
func (a *answer) says(text string) bool {
	for _, e := range a.errs {
		if strings.Contains(e, text) {
			return true
		}
	}
	return false
}

// sendAnywhere makes a call at the address that last worked and, where nothing can have
// been done there, at the next ones. An error means that there is no answer;
// it wraps [store.ErrUnavailable].
func (c *Client) sendAnywhere(ctx context.Context, q call) (*answer, error) {
	if wait := c.pausedFor(); wait > 0 && !q.probe {
		return nil, &store.ThrottledError{After: wait}
	}
	wires := *c.wires.Load()
	first := int(c.sticky.Load())
	each := c.cfg.RequestTimeout
	if len(wires) > 1 { // a hanging address must leave time for the next
		each = max(time.Second, each/time.Duration(len(wires)))
	}
	var last error
	for i := range wires {
		n := (first + i) % len(wires)
		a, err := c.sendTo(ctx, wires, n, each, q)
		if err == nil && !elsewhere(a) {
			c.sticky.Store(int32(n)) //nolint:gosec // a handful of addresses
			if a.status == http.StatusTooManyRequests && !q.probe {
				return nil, c.pause(a.after)
			}
			return a, nil
		}
		if err == nil {
			if i == len(wires)-1 || q.once() && mayBeDone(a) {
				return a, nil
			}
			err = unavailable(q, a)
		} else if q.method != http.MethodGet && !undone(err) {
			return nil, err // it may have been done: asking another would do it twice
		}
		last = err
		if ctx.Err() != nil {
			break
		}
	}
	return nil, last
}

// elsewhere tells whether another node of the cluster may do better.
func elsewhere(a *answer) bool {
	switch a.status {
	case 472, 473, 474, http.StatusNotImplemented, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout, 530:
		return true
	}
	return a.status == http.StatusInternalServerError && a.says("local node not active")
}

// once tells whether a call that was done refuses to be done again: a version is
// written then, or a wrapping token used up.
func (q call) once() bool {
	op := q.op()
	return op == OpWrite || op == OpUnwrap
}

// mayBeDone tells whether an answer is a balancer's that had a node at work and
// lost it.
func mayBeDone(a *answer) bool {
	return a.status == http.StatusBadGateway || a.status == http.StatusGatewayTimeout
}

// undone tells whether a request that gave err can have had no effect.
func undone(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func (c *Client) sendTo(ctx context.Context, wires []*wire, n int, timeout time.Duration, q call) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	asked := wires[n]
	resp, err := asked.do(ctx, q)
	if err == nil && isRedirect(resp.StatusCode) {
		_ = resp.Body.Close()
		to, rerr := c.redirect(wires, asked, resp.Header.Get("Location"))
		if rerr != nil {
			return nil, fmt.Errorf("asking %s: %w: %w", asked.addr, rerr, store.ErrUnavailable)
		}
		asked = to
		resp, err = asked.do(ctx, q)
		if err == nil && isRedirect(resp.StatusCode) {
			_ = resp.Body.Close()
			return nil, fmt.Errorf("asking %s: redirected twice: %w", asked.addr, store.ErrUnavailable)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w: %w", asked.addr, transportError(err), store.ErrUnavailable)
	}
	defer func() { _ = resp.Body.Close() }()
	a, err := readAnswer(resp)
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w: %w", asked.addr, err, store.ErrUnavailable)
	}
	return a, nil
}

// do sends q to one address. An answer of any status is no error.
func (w *wire) do(ctx context.Context, q call) (*http.Response, error) {
	cl := w.api.WithNamespace(q.namespace)
	req := cl.NewRequest(q.method, "/v1/"+q.path)
	req.ClientToken = q.token.Reveal()
	req.Params = q.query
	if q.body != nil {
		if err := req.SetJSONBody(q.body); err != nil {
			return nil, err
		}
	}
	resp, err := cl.RawRequestWithContext(ctx, req) //nolint:staticcheck // what it is deprecated for hides the status and the body (vault/api's ReadRaw knows no writes)
	var status *api.ResponseError
	if errors.As(err, &status) && resp != nil { // its text holds the URL and the whole body: only the parts are used
		return resp.Response, nil
	}
	if err != nil {
		if resp != nil && resp.Body != nil {
			_ = resp.Body.Close()
		}
		return nil, err
	}
	return resp.Response, nil
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// redirect finds the wire a standby sends us to. The token goes to configured
// addresses only, and never from https to http.
func (c *Client) redirect(wires []*wire, from *wire, location string) (*wire, error) {
	u, err := url.Parse(location)
	if err != nil || c.cfg.DisableRedirects {
		return nil, errors.New("it redirects, which is not followed")
	}
	for _, w := range wires {
		if w.socket == "" && w.scheme == u.Scheme && w.host == strings.ToLower(u.Host) &&
			(from.scheme != "https" || w.scheme == "https") {
			return w, nil
		}
	}
	return nil, errors.New("it redirects to a host that is not among the configured addresses")
}

// transportError drops the URL that net/http puts before its errors, which may
// hold a customer's path, and what it quotes of an answer that is not HTTP,
// which may hold the token and the body we sent.
func transportError(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return quoted.Drop(err)
}

func readAnswer(resp *http.Response) (*answer, error) {
	body, err := io.ReadAll(resp.Body)
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	a := &answer{status: resp.StatusCode, json: kind == "application/json", body: body}
	if a.json && errors.Is(err, errTooLarge) {
		a.huge, a.body, err = true, nil, nil
	}
	if err != nil {
		return nil, transportError(err)
	}
	if a.status >= http.StatusBadRequest {
		var e struct {
			Errors   []string `json:"errors"`
			Warnings []string `json:"warnings"`
		}
		if json.Unmarshal(body, &e) == nil {
			a.errs = append(e.Errors, e.Warnings...) //nolint:gocritic // one list of what it said
		}
	}
	if a.status == http.StatusTooManyRequests {
		if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
			a.after = time.Duration(n) * time.Second
		}
	}
	return a, nil
}
