package vault

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// fakeVault is a lessor with a clock of the test's.
type fakeVault struct {
	ttl    time.Duration // of a new token
	maxTTL time.Duration // of all renewals; 0: none

	mu     sync.Mutex
	err    error
	creds  string
	logins []time.Time
	renews int
}

func (f *fakeVault) login(context.Context) (*token, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.logins = append(f.logins, time.Now())
	if f.err != nil {
		return nil, f.err
	}
	return &token{value: secret.New("t"), own: true, renewable: true, ttl: f.ttl}, nil
}

func (f *fakeVault) renew(_ context.Context, t *token) (time.Duration, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renews++
	if f.err != nil {
		return 0, false, f.err
	}
	if left := time.Until(t.born.Add(f.maxTTL)); f.maxTTL > 0 && left < f.ttl {
		return left, true, nil
	}
	return f.ttl, true, nil
}

func (f *fakeVault) lookup(context.Context, *token) (time.Duration, bool, error) {
	return 0, false, nil
}

func (f *fakeVault) fingerprint() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.creds
}

func (f *fakeVault) set(err error, creds string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err, f.creds = err, creds
}

func (f *fakeVault) counts() (logins, renews int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.logins), f.renews
}

// during runs f in a bubble with a running session, and ends that.
func during(t *testing.T, v *fakeVault, f func(t *testing.T, s *session)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newSession(v)
		go s.run(ctx)
		synctest.Wait()
		f(t, s)
		cancel()
		<-s.ended
	})
}

func TestTokenIsRenewedAndNotReplaced(t *testing.T) {
	v := &fakeVault{ttl: time.Hour}
	during(t, v, func(t *testing.T, _ *session) {
		time.Sleep(24 * time.Hour)
		if l, r := v.counts(); l != 1 || r < 30 || r > 42 {
			t.Errorf("%d logins, %d renewals in a day", l, r)
		}
	})
}

func TestLoginOverlapsBeforeTheMaximum(t *testing.T) {
	v := &fakeVault{ttl: time.Hour, maxTTL: 3 * time.Hour}
	during(t, v, func(t *testing.T, s *session) {
		for range 24 * 60 {
			time.Sleep(time.Minute)
			tok, err := s.token(t.Context())
			if err != nil || time.Since(tok.born) >= v.maxTTL {
				t.Fatalf("a token past its maximum is in use: %v", err)
			}
		}
		if l, _ := v.counts(); l < 8 || l > 12 {
			t.Errorf("%d logins in a day", l)
		}
	})
}

func TestTokenThatDoesNotEndIsLeftAlone(t *testing.T) {
	v := &fakeVault{}
	during(t, v, func(t *testing.T, _ *session) {
		time.Sleep(1000 * time.Hour)
		if l, r := v.counts(); l != 1 || r != 0 {
			t.Errorf("%d logins, %d renewals", l, r)
		}
	})
}

func TestDeadGenerationIsOneLogin(t *testing.T) {
	v := &fakeVault{ttl: time.Hour}
	during(t, v, func(t *testing.T, s *session) {
		old, _ := s.token(t.Context())
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				s.kill(old)
				if tok, err := s.token(t.Context()); err != nil || tok == old {
					t.Errorf("the dead token again, %v", err)
				}
			})
		}
		wg.Wait()
		if l, _ := v.counts(); l != 2 {
			t.Errorf("%d logins, want 2", l)
		}
	})
}

func TestAbsentVaultIsAskedSeldomAndFoundSoon(t *testing.T) {
	v := &fakeVault{ttl: time.Hour, err: store.ErrUnavailable}
	during(t, v, func(t *testing.T, s *session) {
		time.Sleep(10 * time.Minute)
		if l, _ := v.counts(); l > 40 {
			t.Errorf("%d logins in 10 minutes", l)
		}
		if _, err := s.token(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("a request waits or gets %v", err)
		}
		v.set(nil, "")
		s.retry() // the breaker's probe has found it
		synctest.Wait()
		if _, err := s.token(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestRefusedCredentialsWaitUntilTheyChange(t *testing.T) {
	v := &fakeVault{ttl: time.Hour, err: &refusedError{errors.New("no"), true}, creds: "a"}
	during(t, v, func(t *testing.T, s *session) {
		for range 14 * 60 {
			time.Sleep(time.Second)
			s.retry() // a healthy Vault is no reason to try them again
		}
		if l, _ := v.counts(); l != 1 {
			t.Errorf("%d logins in 14 minutes", l)
		}
		time.Sleep(2 * time.Minute)
		if l, _ := v.counts(); l != 2 {
			t.Errorf("%d logins in 16 minutes", l)
		}
		v.set(nil, "b")
		time.Sleep(credentialPoll + time.Second)
		if _, err := s.token(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestRenewalOutlastsAnOutage(t *testing.T) {
	v := &fakeVault{ttl: time.Hour}
	during(t, v, func(t *testing.T, s *session) {
		time.Sleep(30 * time.Minute)
		v.set(store.ErrUnavailable, "")
		time.Sleep(15 * time.Minute)
		v.set(nil, "")
		time.Sleep(10 * time.Minute)
		if l, r := v.counts(); l != 1 || r < 2 {
			t.Errorf("%d logins, %d renewals", l, r)
		}
	})
}

func TestWaiterLeavesWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession(&fakeVault{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.token(ctx); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
}
