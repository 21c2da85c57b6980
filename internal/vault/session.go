// Staying logged in: one loop that owns the token.

package vault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// Times of the session, from what other clients of Vault have learnt.
const (
	backoffMin     = time.Second
	backoffWaited  = 5 * time.Second  // cap while requests wait for a token
	backoffMax     = time.Minute      // cap while nobody does
	waitedFor      = 10 * time.Second // how long a request counts as waiting
	refusedWait    = 15 * time.Minute // Vault locks a role for so long after 5 bad logins
	credentialPoll = 10 * time.Second // how soon a changed credential file is seen
	minLife        = time.Second      // never log in faster than this
)

// token is one login's result. A new one is a new generation.
type token struct {
	value     secret.Value
	gen       uint64
	born      time.Time
	ttl       time.Duration // 0: does not end, or is not known
	renewable bool
	own       bool // we logged in for it, so we renew and revoke it
	tended    bool // given by the operator: we renew it, and no more
	dead      chan struct{}
	die       sync.Once
	ends      time.Time     // zero: never, or not known; guarded by session.mu, as is the next
	life      time.Duration // of one that was given to us, when it was first looked at
	checked   time.Time     // last time a 403 was looked into; guarded by session.mu
}

// refusedError says that Vault does not accept our credentials: trying again
// with the same could lock out everybody who uses them.
type refusedError struct {
	err   error
	locks bool // the method counts bad logins
}

func (e *refusedError) Error() string { return e.err.Error() }
func (e *refusedError) Unwrap() error { return e.err }

// Is makes a refusedError a [store.ErrRefused].
func (*refusedError) Is(target error) bool { return target == store.ErrRefused }

// lessor is what the session asks of Vault; tests put another in its place.
type lessor interface {
	// login returns a new token, or a *refusedError.
	login(ctx context.Context) (*token, error)
	// renew returns the token's new life. renewable false means that it will
	// not be renewed again. errTokenDead means that it is gone.
	renew(ctx context.Context, t *token) (ttl time.Duration, renewable bool, err error)
	// lookup tells the same of a token that was given to us.
	lookup(ctx context.Context, t *token) (ttl time.Duration, renewable bool, err error)
	// fingerprint changes when the credentials do.
	fingerprint() string
}

// session keeps a token alive from Start to Close.
type session struct {
	vault lessor
	said  chronicle

	start sync.Once
	stop  context.CancelFunc
	ended chan struct{}
	kick  chan struct{} // capacity 1: look again now

	mu      sync.Mutex
	current *token
	failed  error         // of the last login, while there is no token
	pause   time.Time     // end of the pause that it was asked for, if it was
	changed chan struct{} // closed and replaced when current or failed changes
	wanted  time.Time     // last time a request found no token
	gen     uint64

	listeners listeners
}

func newSession(v lessor) *session {
	return &session{vault: v, ended: make(chan struct{}), kick: make(chan struct{}, 1), changed: make(chan struct{})}
}

func (s *session) run(ctx context.Context) {
	defer close(s.ended)
	var wait, refused time.Duration
	for ctx.Err() == nil {
		before := s.vault.fingerprint()
		t, err := s.vault.login(ctx)
		if ctx.Err() == nil {
			s.said.login(t, err)
		}
		if err == nil {
			wait, refused = 0, 0
			s.publish(t)
			s.keep(ctx, t)
			continue
		}
		s.fail(err)
		if t := s.inUse(); t != nil {
			s.expiring(t, err)
		}
		if no, ok := errors.AsType[*refusedError](err); ok {
			refused = min(max(30*time.Second, 2*refused), refusedWait)
			if no.locks {
				refused = refusedWait
			}
			s.awaitCredentials(ctx, before, refused)
			continue
		}
		wait = max(backoffMin, 2*wait)
		wait = min(wait, s.cap())
		pause := wait/2 + rand.N(wait/2+1) //nolint:gosec // jitter
		if asked, ok := errors.AsType[*store.ThrottledError](err); ok {
			pause = asked.After
		}
		if !s.sleep(ctx, pause) {
			wait = 0 // Vault has shown itself well
		}
	}
}

// cap is how long to wait at most before the next login.
func (s *session) cap() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.wanted) < waitedFor {
		return backoffWaited
	}
	return backoffMax
}

// sleep waits for d, a kick, or the end. It reports whether d passed.
func (s *session) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.kick:
	case <-ctx.Done():
	}
	return false
}

// awaitCredentials returns when the credentials differ from before, or after d.
func (s *session) awaitCredentials(ctx context.Context, before string, d time.Duration) {
	end := time.Now().Add(d)
	for ctx.Err() == nil && s.vault.fingerprint() == before {
		left := time.Until(end)
		if left <= 0 {
			return
		}
		s.sleep(ctx, min(left, credentialPoll))
	}
}

func (s *session) publish(t *token) {
	defer s.listeners.tell(TokenEvent{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gen++
	t.gen, t.born, t.dead = s.gen, time.Now(), make(chan struct{})
	if t.ttl > 0 {
		t.ends = t.born.Add(t.ttl)
	}
	s.current, s.failed = t, nil
	s.wakeLocked()
}

func (s *session) inUse() *token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

func (s *session) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed, s.pause = err, time.Time{}
	if asked, ok := errors.AsType[*store.ThrottledError](err); ok {
		s.pause = time.Now().Add(asked.After)
	}
	s.wakeLocked()
}

func (s *session) wakeLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// retry makes a waiting login happen now, and those who come for a token wait
// for it, or for the one under way: whoever found Vault well again would otherwise still meet the error of
// its absence. A refused login waits on, unless its credentials have changed.
func (s *session) retry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retryLocked()
}

func (s *session) retryLocked() {
	if _, refused := errors.AsType[*refusedError](s.failed); !refused {
		s.failed = nil
	}
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// kill says that Vault does not know t any more. Of many callers the first
// counts: one dead generation is one login.
func (s *session) kill(t *token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == t {
		s.current = nil
		s.said.died()
		if s.failed != nil { // an early login failed already: try it again now
			s.retryLocked()
		}
	}
	t.die.Do(func() { close(t.dead) })
}

// token returns the token to use, waiting for a login that is under way. A
// login that has failed is not waited for: its error comes back.
func (s *session) token(ctx context.Context) (*token, error) {
	for {
		s.mu.Lock()
		t, failed, changed, until := s.current, s.failed, s.changed, s.pause
		if t == nil {
			s.wanted = time.Now()
		}
		s.mu.Unlock()
		if t != nil {
			return t, nil
		}
		if left := time.Until(until); failed != nil && left > 0 {
			return nil, fmt.Errorf("not logged in: %w", &store.ThrottledError{After: left}) // what is left, not the pause anew
		}
		if failed != nil && until.IsZero() {
			return nil, fmt.Errorf("not logged in: %w: %w", failed, store.ErrUnavailable)
		}
		select {
		case <-changed:
		case <-s.ended:
			return nil, fmt.Errorf("the client is closed: %w", store.ErrUnavailable)
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for a login: %w: %w", ctx.Err(), store.ErrUnavailable)
		}
	}
}

// mayCheck tells whether a 403 to t should be looked into now: at most once in
// 30 s, and not for a token so young that only a policy can be the reason.
func (s *session) mayCheck(t *token) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(t.born) < 5*time.Second || time.Since(t.checked) < 30*time.Second {
		return false
	}
	t.checked = time.Now()
	return true
}
