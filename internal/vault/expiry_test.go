package vault

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// givenVault has a token that was given to us and ends, unless it is prolonged.
type givenVault struct {
	fakeVault

	ends      time.Time
	renewable bool
	looks     int
}

func (g *givenVault) login(context.Context) (*token, error) {
	return &token{value: secret.New("t"), tended: true}, nil
}

func (g *givenVault) lookup(context.Context, *token) (time.Duration, bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.looks++
	if g.ends.IsZero() {
		return 0, false, nil
	}
	return time.Until(g.ends), g.renewable, nil
}

func (g *givenVault) renew(context.Context, *token) (time.Duration, bool, error) {
	return time.Until(g.ends), true, nil // its maximum
}

func (g *givenVault) prolong(to time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ends = to
}

// heard are the events of a session.
type heard struct {
	mu  sync.Mutex
	all []TokenEvent
}

func (h *heard) note(e TokenEvent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, e)
}

func (h *heard) events() []TokenEvent {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.all)
}

func (h *heard) expiring() (list []bool) {
	for _, e := range h.events() {
		list = append(list, e.Expiring)
	}
	return list
}

// hearing runs f in a bubble with a client that listens to its session.
func hearing(t *testing.T, v lessor, f func(t *testing.T, h *heard)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c, h := &Client{session: newSession(v)}, &heard{}
		defer c.OnToken(h.note)()
		other := c.OnToken(func(TokenEvent) { t.Error("who went was told") })
		other()
		go c.session.run(ctx)
		synctest.Wait()
		f(t, h)
		cancel()
		<-c.session.ended
	})
}

func TestAGivenTokenIsToldOfBeforeItEndsUnlessItIsProlonged(t *testing.T) {
	for name, c := range map[string]struct {
		life, before time.Duration
		renewable    bool
		late         time.Duration
	}{
		"long":                  {30 * 24 * time.Hour, 24 * time.Hour, false, time.Minute},
		"short":                 {30 * time.Minute, 10 * time.Minute, false, time.Minute},
		"capped by its maximum": {3 * time.Hour, time.Hour, true, 14 * time.Minute}, // which a renewal shows
	} {
		t.Run(name, func(t *testing.T) {
			g := &givenVault{renewable: c.renewable}
			synctest.Test(t, func(t *testing.T) { g.ends = time.Now().Add(c.life) })
			hearing(t, g, func(t *testing.T, h *heard) {
				time.Sleep(c.life - c.before - time.Minute)
				if len(h.events()) != 0 {
					t.Fatalf("told %+v long before", h.events())
				}
				time.Sleep(time.Minute + c.late)
				if got := h.expiring(); !slices.Equal(got, []bool{true}) || !h.events()[0].Ends.Equal(g.ends) {
					t.Fatalf("told %+v, want that it ends at %s", h.events(), g.ends)
				}
				time.Sleep(c.before / 2)
				g.prolong(time.Now().Add(1000 * time.Hour))
				time.Sleep(2 * time.Minute)
				if got := h.expiring(); !slices.Equal(got, []bool{true, false}) {
					t.Errorf("told %v, want that it was prolonged", got)
				}
				g.mu.Lock()
				defer g.mu.Unlock()
				if g.looks > 800 {
					t.Errorf("looked at %d times", g.looks)
				}
			})
		})
	}
}

func TestATokenWithoutEndIsNotToldOf(t *testing.T) {
	hearing(t, &givenVault{}, func(t *testing.T, h *heard) {
		time.Sleep(1000 * time.Hour)
		if len(h.events()) != 0 {
			t.Errorf("told %+v", h.events())
		}
	})
}

func TestALoginThatCannotBeReplacedIsToldOfOnceAndWhenItIs(t *testing.T) {
	v := &fakeVault{ttl: time.Hour}
	hearing(t, v, func(t *testing.T, h *heard) {
		time.Sleep(10 * time.Hour)
		if len(h.events()) != 0 {
			t.Fatalf("told %+v of one that is renewed", h.events())
		}
		denied := errors.New("denied")
		v.set(denied, "")
		time.Sleep(65 * time.Minute)
		if got := h.expiring(); !slices.Equal(got, []bool{true}) || !errors.Is(h.events()[0].Err, denied) || h.events()[0].Ends.Before(time.Now().Add(-time.Hour)) {
			t.Fatalf("told %+v", h.events())
		}
		v.set(nil, "")
		time.Sleep(5 * time.Minute)
		if got := h.expiring(); !slices.Equal(got, []bool{true, false}) {
			t.Errorf("told %v", got)
		}
	})
}
