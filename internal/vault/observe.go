// What each call was and what became of it, for figures.

package vault

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// Operations and classes of [Config.Observe].
const (
	OpRead   = "read"
	OpWrite  = "write"
	OpDelete = "delete"
	OpLogin  = "login"
	OpToken  = "token" // renewal, look-up and revocation of our own token
	OpMounts = "mounts"
	OpUnwrap = "unwrap"
	OpHealth = "health"

	ClassOK          = "ok"
	ClassNotFound    = "not_found"
	ClassDenied      = "denied"
	ClassRejected    = "rejected" // another 4xx: wrong credentials, a lost check-and-set
	ClassThrottled   = "throttled"
	ClassUnavailable = "unavailable"
)

// send makes a call and tells [Config.Observe].
func (c *Client) send(ctx context.Context, q call) (*answer, error) {
	if c.cfg.Observe == nil {
		return c.sendAnywhere(ctx, q)
	}
	began := time.Now()
	a, err := c.sendAnywhere(ctx, q)
	c.cfg.Observe(q.op(), classify(a, err), time.Since(began))
	return a, err
}

// op names the call by its path; the path itself may hold a customer's id.
func (q call) op() string {
	switch {
	case strings.HasPrefix(q.path, "auth/token/"):
		return OpToken
	case strings.HasPrefix(q.path, "auth/"):
		return OpLogin
	case strings.HasPrefix(q.path, "sys/wrapping/"):
		return OpUnwrap
	case strings.HasPrefix(q.path, "sys/internal/"):
		return OpMounts
	case q.path == "sys/health":
		return OpHealth
	case q.method == http.MethodGet:
		return OpRead
	case q.method == http.MethodDelete:
		return OpDelete
	}
	return OpWrite
}

func classify(a *answer, err error) string {
	var throttled *store.ThrottledError
	switch {
	case errors.As(err, &throttled):
		return ClassThrottled
	case err != nil || a.huge:
		return ClassUnavailable
	case a.status < 400:
		return ClassOK
	case a.status == http.StatusNotFound:
		return ClassNotFound
	case a.status == http.StatusForbidden:
		return ClassDenied
	case a.status == http.StatusTooManyRequests:
		return ClassThrottled
	case a.status < 470:
		return ClassRejected
	}
	return ClassUnavailable
}
