// A Vault that is away for long, seen through the keyring: time is the test's,
// the connections are pipes.

package vault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// pipes is a listener in memory.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// remote is a Vault with one key and an AppRole, or one that is away.
type remote struct {
	pipes  *pipes
	away   atomic.Bool
	took   time.Duration // of a login
	logins atomic.Int32
	srv    *http.Server

	// instead answers in its place when it returns true. May be nil.
	instead func(w http.ResponseWriter, r *http.Request) bool
}

func (v *remote) dial(context.Context, string, string) (net.Conn, error) {
	if v.away.Load() {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	}
	here, there := net.Pipe()
	select {
	case v.pipes.conns <- there:
		return here, nil
	case <-v.pipes.done:
		return nil, net.ErrClosed
	}
}

func (v *remote) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	say := func(s string) { _, _ = fmt.Fprint(w, s) }
	switch {
	case v.instead != nil && v.instead(w, r):
	case strings.HasSuffix(r.URL.Path, "/login"):
		v.logins.Add(1)
		time.Sleep(v.took)
		say(`{"auth":{"client_token":"t","lease_duration":3600,"renewable":true}}`)
	case r.URL.Path == "/v1/sys/health":
		say(`{"initialized":true,"sealed":false,"version":"1.21.0"}`)
	case strings.HasPrefix(r.URL.Path, "/v1/sys/internal/ui/mounts/"):
		say(`{"data":{"type":"kv","options":{"version":"2"},"path":"secret/"}}`)
	default:
		say(`{"data":{"data":{"apiKey":"k"},"metadata":{"version":1,"created_time":"2026-01-02T03:04:05.6Z"}}}`)
	}
}

// meet runs f with a keyring over a client of v, in a bubble of fake time.
func meet(t *testing.T, v *remote, f func(t *testing.T, r *keyring.Ring)) {
	synctest.Test(t, func(t *testing.T) {
		v.pipes = &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		v.srv = &http.Server{Handler: v, ReadHeaderTimeout: time.Minute}
		go func() { _ = v.srv.Serve(v.pipes) }()
		c, err := New(Config{
			Addresses: []string{"http://vault.example"},
			Auth:      Auth{Method: MethodAppRole, RoleID: secret.New("r"), SecretID: secret.New("s")},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range *c.wires.Load() {
			w.base.DialContext = v.dial
		}
		r := keyring.New(c, keyring.RingOptions{})
		f(t, r)
		_ = r.Close(context.Background())
		_ = v.srv.Close()
	})
}

func TestKeysAreServedWithinFiveSecondsOfVaultsReturn(t *testing.T) {
	for _, away := range []time.Duration{time.Second, 7 * time.Second, time.Minute, 10 * time.Minute, time.Hour} {
		for name, c := range map[string]struct {
			pinned bool
			took   time.Duration
			every  time.Duration // between requests
		}{
			"pinned, asked for at times":        {true, 0, 500 * time.Millisecond},
			"pinned, a slow login":              {true, 600 * time.Millisecond, 500 * time.Millisecond},
			"pinned, nobody asks while away":    {true, 50 * time.Millisecond, 0},
			"a customer's, asked for":           {false, 0, 500 * time.Millisecond},
			"a customer's, a slow login":        {false, 600 * time.Millisecond, 500 * time.Millisecond},
			"a customer's, nobody asks so long": {false, 50 * time.Millisecond, 0},
		} {
			t.Run(fmt.Sprint(name, " ", away), func(t *testing.T) {
				v := &remote{took: c.took}
				v.away.Store(true)
				meet(t, v, func(t *testing.T, r *keyring.Ring) {
					view := r.View(keyring.Options{})
					a := store.Address{Path: "a"}
					e := view.Entry(a)
					if c.pinned {
						e = view.Pin(a)
					}
					view.Start()
					every := c.every
					if every == 0 {
						every = away
					} else if away >= time.Hour {
						every = time.Minute
					}
					for end := time.Now().Add(away); time.Now().Before(end); time.Sleep(every) {
						ctx, cancel := context.WithTimeout(t.Context(), every)
						if _, err := e.Key(ctx, ""); err == nil {
							t.Fatal("a key out of nowhere")
						}
						cancel()
					}
					v.away.Store(false)
					back := time.Now()
					for {
						if _, err := e.Key(t.Context(), ""); err == nil {
							break
						}
						time.Sleep(50 * time.Millisecond)
					}
					if d := time.Since(back); d > 5*time.Second {
						t.Errorf("served %s after Vault's return", d)
					}
					if n := v.logins.Load(); n != 1 {
						t.Errorf("%d logins", n)
					}
				})
			})
		}
	}
}

// deny answers a 403 without a word about the token, as Vault did before 1.17.
func deny(w http.ResponseWriter) bool {
	w.WriteHeader(http.StatusForbidden)
	_, _ = fmt.Fprint(w, `{"errors":["1 error occurred:\n\t* permission denied\n\n"]}`)
	return true
}

func TestAnOldVaultsDeadTokenIsFoundOutByItself(t *testing.T) {
	var dead atomic.Bool
	var looked atomic.Int32
	v := &remote{}
	v.instead = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.HasSuffix(r.URL.Path, "/login"):
			dead.Store(false)
		case strings.HasSuffix(r.URL.Path, "/lookup-self"):
			looked.Add(1)
			return dead.Load() && deny(w)
		default:
			return dead.Load() && deny(w)
		}
		return false
	}
	meet(t, v, func(t *testing.T, r *keyring.Ring) {
		view := r.View(keyring.Options{TTL: time.Second})
		e := view.Pin(store.Address{Path: "a"})
		view.Start()
		time.Sleep(10 * time.Second)
		dead.Store(true)
		time.Sleep(10 * time.Second)
		if st := e.Status(); st.Class != "" || st.State != "fresh" {
			t.Errorf("got %s %s %v", st.State, st.Class, st.Err)
		}
		if v.logins.Load() != 2 || looked.Load() != 1 {
			t.Errorf("%d logins, %d looks at the token", v.logins.Load(), looked.Load())
		}
	})
}

func TestAPolicysDenialIsNotTakenForADeadToken(t *testing.T) {
	var looked atomic.Int32
	var denied atomic.Bool
	v := &remote{}
	v.instead = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.HasSuffix(r.URL.Path, "/lookup-self"):
			looked.Add(1)
			_, _ = fmt.Fprint(w, `{"data":{"ttl":3600,"renewable":true}}`)
			return true
		case strings.HasPrefix(r.URL.Path, "/v1/secret/"):
			return denied.Load() && deny(w)
		}
		return false
	}
	meet(t, v, func(t *testing.T, r *keyring.Ring) {
		view := r.View(keyring.Options{TTL: time.Second})
		e := view.Pin(store.Address{Path: "a"})
		view.Start()
		time.Sleep(10 * time.Second)
		denied.Store(true)
		time.Sleep(4 * time.Minute)
		if _, err := e.Key(t.Context(), ""); err != nil {
			t.Errorf("within the grace: %v", err)
		}
		time.Sleep(3 * time.Minute)
		if _, err := e.Key(t.Context(), ""); !errors.Is(err, store.ErrDenied) {
			t.Errorf("after the grace: %v", err)
		}
		if n := looked.Load(); v.logins.Load() != 1 || n == 0 || n > 8 {
			t.Errorf("%d logins, %d looks at the token in 7 min", v.logins.Load(), n)
		}
	})
}

// The pause that a login was asked for ends when it ends: what waits for the
// token does not begin it anew.
func TestAThrottledLoginIsMadeWhenItsPauseIsOver(t *testing.T) {
	v := &remote{}
	v.instead = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/login") || v.logins.Load() > 0 {
			return false
		}
		v.logins.Add(1)
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = fmt.Fprint(w, `{"errors":["rate limit quota exceeded"]}`)
		return true
	}
	meet(t, v, func(t *testing.T, r *keyring.Ring) {
		view := r.View(keyring.Options{})
		e := view.Pin(store.Address{Path: "a"})
		began := time.Now()
		view.Start()
		for {
			if _, err := e.Key(t.Context(), ""); err == nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if d := time.Since(began); d < 2*time.Minute || d > 125*time.Second {
			t.Errorf("served after %s", d)
		}
		if n := v.logins.Load(); n != 2 {
			t.Errorf("%d logins", n)
		}
	})
}

// Huge answers are one document's own fault, or, when everything is answered so,
// an outage like any other.
func TestHugeAnswersAndTheStoresHealth(t *testing.T) {
	huge := strings.Repeat("a", maxBody+1)
	for name, c := range map[string]struct {
		path string // of what is answered so
		away bool
	}{
		"to everything":   {"/", true},
		"to one document": {"/v1/secret/data/a", false},
	} {
		t.Run(name, func(t *testing.T) {
			var begun atomic.Bool
			var reads atomic.Int32
			v := &remote{}
			v.instead = func(w http.ResponseWriter, r *http.Request) bool {
				if !begun.Load() || !strings.HasPrefix(r.URL.Path, c.path) {
					return false
				}
				if r.URL.Path == "/v1/secret/data/a" {
					reads.Add(1)
				}
				_, _ = fmt.Fprintf(w, `{"data":{"data":{"apiKey":"%s"}}}`, huge)
				return true
			}
			meet(t, v, func(t *testing.T, r *keyring.Ring) {
				view := r.View(keyring.Options{TTL: 2 * time.Second})
				a, b := view.Pin(store.Address{Path: "a"}), view.Pin(store.Address{Path: "b"})
				view.Start()
				time.Sleep(10 * time.Second)
				begun.Store(true)
				time.Sleep(time.Minute)
				if down := view.Health().Down; down != c.away {
					t.Errorf("the store is taken for away: %v", down)
				}
				if st := b.Status(); (st.State == "fresh") == c.away {
					t.Errorf("the other document is %s", st.State)
				}
				if n := reads.Load(); !c.away && n != 1 {
					t.Errorf("read %d times in a minute", n)
				}
				if _, err := a.Key(t.Context(), ""); err != nil {
					t.Errorf("what is held: %v", err)
				}
				begun.Store(false)
				time.Sleep(5 * time.Second)
				if st := a.Status(); c.away && st.State != "fresh" {
					t.Errorf("five seconds after it is %s: %v", st.State, st.Err)
				}
			})
		})
	}
}
