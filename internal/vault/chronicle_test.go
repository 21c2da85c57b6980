package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// told is a session whose log and figures a test reads.
func told(v *fakeVault) (s *session, lines func() []string, results func() []string) {
	core, logs := observer.New(zap.DebugLevel)
	var mu sync.Mutex
	var all []string
	s = newSession(v)
	s.said.log, s.said.method = zap.New(core), MethodAppRole
	s.said.observe = func(method, result string) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, method+" "+result)
	}
	lines = func() []string {
		all := logs.TakeAll()
		out := make([]string, 0, len(all))
		for _, e := range all {
			f := e.ContextMap()
			out = append(out, strings.TrimSpace(fmt.Sprint(e.Level, " ", e.Message, ": ", f["result"], f["reason"])))
		}
		return out
	}
	return s, lines, func() []string {
		mu.Lock()
		defer mu.Unlock()
		r := all
		all = nil
		return r
	}
}

func TestEachChangeOfTheLoginIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &fakeVault{ttl: time.Hour, maxTTL: 10 * time.Hour}
		s, lines, results := told(v)
		ctx, cancel := context.WithCancel(t.Context())
		defer func() { cancel(); <-s.ended }()
		want := func(what string, got []string, want ...string) {
			t.Helper()
			if !slices.Equal(got, want) {
				t.Errorf("%s: got %q, want %q", what, got, want)
			}
		}
		go s.run(ctx)
		synctest.Wait()
		want("at the start", lines(), "info logged in to Vault: <nil>start")
		want("at the start", results(), "approle ok")

		time.Sleep(30 * time.Hour) // three tokens, each replaced in time
		if got := results(); len(got) < 2 || slices.Contains(got, "approle failed") {
			t.Errorf("in 30 hours: %q", got)
		}
		want("in 30 hours", lines())

		v.set(errors.New("away"), "")
		revoke := func() {
			s.mu.Lock()
			current := s.current
			s.mu.Unlock()
			s.kill(current)
		}
		revoke()
		time.Sleep(10 * time.Minute)
		if got := results(); len(got) < 3 || got[0] != "approle failed" {
			t.Errorf("while away: %q", got)
		}
		want("while away", lines(), "warn logging in to Vault does not work: failed<nil>")

		v.set(&refusedError{err: errors.New("bad secret_id")}, "")
		time.Sleep(10 * time.Minute)
		want("while refused", lines(), "warn logging in to Vault does not work: refused<nil>")

		v.set(&store.ThrottledError{After: time.Minute}, "new")
		time.Sleep(10 * time.Minute)
		want("while throttled", lines(), "warn logging in to Vault does not work: throttled<nil>")

		v.set(nil, "new")
		time.Sleep(20 * time.Minute)
		want("when it works again", lines(), "info logged in to Vault: <nil>it did not work before")

		revoke()
		time.Sleep(time.Minute)
		want("when the token was revoked", lines(), "info logged in to Vault: <nil>Vault did not know the token any more")
	})
}

func TestTheEndOfATokenIsKnown(t *testing.T) {
	v := &fakeVault{ttl: time.Hour, maxTTL: 90 * time.Minute}
	during(t, v, func(t *testing.T, s *session) {
		left := func() time.Duration {
			s.mu.Lock()
			defer s.mu.Unlock()
			return time.Until(s.current.ends)
		}
		if got := left(); got != time.Hour {
			t.Errorf("a new one ends in %s", got)
		}
		time.Sleep(45 * time.Minute) // renewed at two thirds, to the end of its maximum
		if got := left(); got < 44*time.Minute || got > 46*time.Minute {
			t.Errorf("a renewed one ends in %s", got)
		}
	})
}
