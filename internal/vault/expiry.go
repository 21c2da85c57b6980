// What is told of a token that ends while there is no other.

package vault

import (
	"context"
	"sync"
	"time"
)

// TokenEvent says that the login ends soon, or that it no longer does.
type TokenEvent struct {
	// Expiring: the token in use ends at Ends, and could not be replaced. Else
	// there is another since, or this one was prolonged.
	Expiring bool
	Ends     time.Time

	// Err is the error of the login that should have replaced it, nil for a
	// token that was given to us: there is no login then.
	Err error
}

// warnBefore is how long before its end a token that was given to us is told
// of, or a third of its life when that is shorter.
const warnBefore = 24 * time.Hour

// warnAgain is how often it is looked whether somebody has prolonged it.
const warnAgain = time.Minute

// OnToken has f called when the login ends soon, and when it no longer does:
// each once. f must not block. The returned function ends that.
func (c *Client) OnToken(f func(TokenEvent)) (cancel func()) {
	l := &c.session.listeners
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = make(map[int]func(TokenEvent))
	}
	n := l.next
	l.next++
	l.all[n] = f
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.all, n)
	}
}

// listeners are told of the token, one event at a time.
type listeners struct {
	mu     sync.Mutex
	all    map[int]func(TokenEvent)
	next   int
	warned bool // that the token ends
}

// expiring tells that t, which is in use, ends.
func (s *session) expiring(t *token, err error) {
	s.mu.Lock()
	current, ends := s.current == t, t.ends
	s.mu.Unlock()
	if current && !ends.IsZero() {
		s.listeners.tell(TokenEvent{Expiring: true, Ends: ends, Err: err})
	}
}

func (l *listeners) tell(e TokenEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.warned == e.Expiring {
		return
	}
	l.warned = e.Expiring
	for _, f := range l.all {
		f(e)
	}
}

// until notes when t ends.
func (s *session) until(t *token, ends time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.ends = ends
}

// warnIn is how long it is until t, which was given to us, is to be told of, and
// negative when never.
func (s *session) warnIn(t *token) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.ends.IsZero() {
		return -1
	}
	return max(0, time.Until(t.ends)-min(warnBefore, t.life/3))
}

// warn tells of a token that was given to us and ends, unless somebody has
// prolonged it meanwhile.
func (s *session) warn(ctx context.Context, t *token) {
	if ttl, _, err := s.vault.lookup(ctx, t); err == nil {
		if ttl <= 0 {
			s.until(t, time.Time{})
		} else {
			s.until(t, time.Now().Add(ttl))
		}
	}
	if s.warnIn(t) == 0 {
		s.expiring(t, nil)
	} else {
		s.listeners.tell(TokenEvent{})
	}
}

// nextLook is when to look at a token that was given to us.
func (s *session) nextLook(t *token) time.Duration {
	if d := s.warnIn(t); d > 0 {
		return min(d, credentialPoll)
	}
	return credentialPoll
}
