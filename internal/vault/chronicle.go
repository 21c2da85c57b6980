// What is said of logins: each to the figures, each change of state to the log.

package vault

import (
	"errors"
	"sync"

	"go.uber.org/zap"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// Results of [Config.ObserveLogin].
const (
	LoginOK        = "ok"
	LoginRefused   = "refused" // our credentials
	LoginThrottled = "throttled"
	LoginFailed    = "failed" // Vault is away
)

// chronicle tells of the logins of one session. The zero value tells nobody.
type chronicle struct {
	log     *zap.Logger
	method  string
	observe func(method, result string)

	mu     sync.Mutex
	state  string // result of the last login; empty: none yet
	lapsed bool   // Vault did not know the last token any more
}

// login tells of a login. The log has it when it is not as the one before: a
// token that is replaced in time is no news.
func (c *chronicle) login(t *token, err error) {
	result := loginResult(err)
	if c.observe != nil {
		c.observe(c.method, result)
	}
	if c.log == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	was, lapsed := c.state, c.lapsed
	c.state, c.lapsed = result, c.lapsed && err != nil
	method := zap.String("method", c.method)
	switch {
	case err != nil && was != result:
		c.log.Warn("logging in to Vault does not work", method, zap.String("result", result), zap.Error(err))
	case err != nil:
	case was == LoginOK && lapsed:
		c.log.Info("logged in to Vault", method, zap.Duration("ttl", t.ttl), zap.String("reason", "Vault did not know the token any more"))
	case was == "" && t.own:
		c.log.Info("logged in to Vault", method, zap.Duration("ttl", t.ttl), zap.String("reason", "start"))
	case was != LoginOK && was != "":
		c.log.Info("logged in to Vault", method, zap.Duration("ttl", t.ttl), zap.String("reason", "it did not work before"))
	}
}

// died tells that Vault does not know the token any more.
func (c *chronicle) died() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lapsed = true
}

func loginResult(err error) string {
	var refused *refusedError
	var throttled *store.ThrottledError
	switch {
	case err == nil:
		return LoginOK
	case errors.As(err, &refused):
		return LoginRefused
	case errors.As(err, &throttled):
		return LoginThrottled
	}
	return LoginFailed
}
