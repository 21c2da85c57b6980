// The life of one token, from its login to the next.

package vault

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// keep renews t until a new login is due: t is dead, near its end, or near its
// maximum. In the last two cases it is still good, so that the next login
// overlaps with it and no request meets the gap.
func (s *session) keep(ctx context.Context, t *token) {
	if !t.own {
		if !t.tended || s.tend(ctx, t) {
			s.watch(ctx, t)
		}
		return
	}
	ttl, end, renewable := t.ttl, t.born.Add(t.ttl), t.renewable
	for ctx.Err() == nil {
		if ttl <= 0 { // a root token: nothing to renew, and no reason to log in again
			s.alive(ctx, t, -1)
			return
		}
		if !renewable {
			s.alive(ctx, t, max(minLife, time.Until(end)-t.ttl/6))
			return
		}
		if !s.alive(ctx, t, max(minLife/2, jitter(ttl*2/3))) {
			return
		}
		got, again, err := s.renewing(ctx, t, end.Add(-t.ttl/10))
		if err != nil {
			return
		}
		if got <= t.ttl/2 { // capped by the maximum: log in while this one works
			s.until(t, time.Now().Add(got))
			s.alive(ctx, t, minLife/2)
			return
		}
		ttl, renewable, end = got, again, s.prolong(t, got)
	}
}

// prolong notes that t lives for ttl from now, and returns its end.
func (s *session) prolong(t *token, ttl time.Duration) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.ttl, t.ends = max(t.ttl, ttl), time.Now().Add(ttl)
	return t.ends
}

// renewing renews t, trying again until last when Vault is away.
func (s *session) renewing(ctx context.Context, t *token, last time.Time) (time.Duration, bool, error) {
	for wait := backoffMin; ; wait = min(2*wait, backoffMax) {
		ttl, renewable, err := s.vault.renew(ctx, t)
		if err == nil {
			return ttl, renewable, nil
		}
		if errors.Is(err, errTokenDead) {
			s.kill(t)
			return 0, false, err
		}
		if time.Now().Add(wait).After(last) || !s.alive(ctx, t, jitter(wait)) {
			return 0, false, err
		}
	}
}

// tend renews a token that was given to us for as long as that helps. There is
// no other to log in for. It reports whether t is still in use.
func (s *session) tend(ctx context.Context, t *token) bool {
	ttl, renewable, err := s.vault.lookup(ctx, t)
	for wait := backoffMin; err != nil; wait = min(2*wait, backoffMax) {
		if errors.Is(err, errTokenDead) {
			s.kill(t)
			return false
		}
		if !s.alive(ctx, t, jitter(wait)) {
			return false
		}
		ttl, renewable, err = s.vault.lookup(ctx, t)
	}
	s.mu.Lock()
	t.life = ttl
	s.mu.Unlock()
	if ttl > 0 { // a root token has no end
		s.prolong(t, ttl) // also one that nobody can renew
	}
	for renewable && ttl > 0 {
		end := s.prolong(t, ttl)
		if !s.alive(ctx, t, max(minLife/2, jitter(ttl*2/3))) {
			return false
		}
		got, again, err := s.renewing(ctx, t, end)
		if errors.Is(err, errTokenDead) {
			return false
		}
		if err != nil {
			break
		}
		if got <= t.ttl/2 {
			s.prolong(t, got)
			break
		}
		ttl, renewable = got, again
	}
	return true
}

// watch waits for a token that is not ours to die or to be replaced.
func (s *session) watch(ctx context.Context, t *token) {
	before := s.vault.fingerprint()
	var again time.Time
	for s.vault.fingerprint() == before {
		if now := time.Now(); s.warnIn(t) == 0 && !now.Before(again) {
			s.warn(ctx, t)
			again = now.Add(warnAgain)
		}
		if !s.alive(ctx, t, s.nextLook(t)) {
			return
		}
	}
}

// alive waits for d, or without end when d is negative, and tells whether t is
// still in use then.
func (s *session) alive(ctx context.Context, t *token, d time.Duration) bool {
	var due <-chan time.Time
	if d >= 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-due:
		return true
	case <-t.dead:
	case <-ctx.Done():
	}
	return false
}

// jitter spreads d by 10 % to either side, so that many clients that started
// together do not renew together.
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d - d/10 + rand.N(d/5+1) //nolint:gosec // jitter
}
