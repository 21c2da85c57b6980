// Answers that a real server does not give on demand, in its exact words.

package vault_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vault"
)

const (
	canary   = "canary-4711"
	mountV2  = `{"data":{"type":"kv","options":{"version":"2"},"path":"secret/"}}`
	live     = `{"data":{"data":{"apiKey":"k"},"metadata":{"version":3,"created_time":"2026-01-02T03:04:05.6Z","deletion_time":"","destroyed":false}}}`
	deadBody = `{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}`
)

// fake answers reads of documents with h, and everything else as Vault does.
func fake(t *testing.T, h http.HandlerFunc) (addr string, reads *atomic.Int32) {
	t.Helper()
	reads = new(atomic.Int32)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasPrefix(r.URL.Path, "/v1/sys/internal/"):
			_, _ = w.Write([]byte(mountV2))
		case r.URL.Path == "/v1/auth/token/lookup-self":
			_, _ = w.Write([]byte(`{"data":{"ttl":0,"renewable":false}}`))
		default:
			reads.Add(1)
			h(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL, reads
}

func TestAnswersAreClassed(t *testing.T) {
	const json = "application/json"
	for name, c := range map[string]struct {
		status int
		kind   string
		body   string
		want   error
	}{
		"two dots, not in KV v2":   {400, json, `{"errors":["1 error occurred:\n\t* read failed: relative paths not supported\n\n"]}`, store.ErrNotFound},
		"missing path":             {404, json, `{"errors":[]}`, store.ErrNotFound},
		"soft deleted":             {404, json, `{"data":{"data":null,"metadata":{"version":2,"deletion_time":"2026-01-01T00:00:00Z","destroyed":false}}}`, store.ErrNotFound},
		"destroyed":                {404, json, `{"data":{"data":null,"metadata":{"version":2,"deletion_time":"","destroyed":true}}}`, store.ErrNotFound},
		"deletion still to come":   {404, json, `{"data":{"data":null,"metadata":{"version":2,"deletion_time":"2999-01-01T00:00:00Z"}}}`, store.ErrUnavailable},
		"missing mount":            {404, json, `{"errors":["no handler for route \"x/data/` + canary + `\". route entry not found."]}`, store.ErrMisconfigured},
		"balancer's 404":           {404, "text/html", `<html>` + canary, store.ErrUnavailable},
		"balancer's empty 404":     {404, "text/html", ``, store.ErrUnavailable},
		"404 with a bare object":   {404, json, `{}`, store.ErrUnavailable},
		"policy":                   {403, json, `{"errors":["1 error occurred:\n\t* permission denied\n\n"]}`, store.ErrDenied},
		"dead token":               {403, json, deadBody, store.ErrUnavailable},
		"balancer's 403":           {403, "text/html", `<html>no`, store.ErrUnavailable},
		"sealed":                   {503, json, `{"errors":["Vault is sealed"]}`, store.ErrUnavailable},
		"no leader yet":            {500, json, `{"errors":["local node not active but active cluster node not found"]}`, store.ErrUnavailable},
		"not initialised":          {501, json, `{"errors":["Vault is not initialized"]}`, store.ErrUnavailable},
		"disaster secondary":       {472, json, `{"errors":[]}`, store.ErrUnavailable},
		"removed from cluster":     {530, json, `{"errors":[]}`, store.ErrUnavailable},
		"KV upgrade":               {400, json, `{"errors":["Upgrading from non-versioned to versioned data. ` + canary + `"]}`, store.ErrUnavailable},
		"HTML success":             {200, "text/html", `<html>` + canary, store.ErrUnavailable},
		"empty success":            {200, json, ``, store.ErrUnavailable},
		"empty object":             {200, json, `{}`, store.ErrUnavailable},
		"truncated":                {200, json, live[:60], store.ErrUnavailable},
		"shape of version 1":       {200, json, `{"data":{"apiKey":"` + canary + `"}}`, store.ErrUnavailable},
		"wrong types":              {200, json, `{"data":{"data":["` + canary + `"],"metadata":{"version":1}}}`, store.ErrUnavailable},
		"larger than any secret":   {200, json, `{"data":{"data":{"apiKey":"` + strings.Repeat("a", 2<<20) + `"}}}`, store.ErrOversized},
		"balancer's huge success":  {200, "text/html", strings.Repeat("a", 2<<20), store.ErrUnavailable},
		"error larger than honest": {500, json, strings.Repeat("a", 2<<20), store.ErrUnavailable},
		"foreign redirect":         {307, json, ``, store.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			var stolen atomic.Bool
			other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Store(true) }))
			defer other.Close()
			addr, reads := fake(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.kind)
				w.Header().Set("Location", other.URL+"/v1/secret/data/a")
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			})
			cl := open(t, withToken(addr, canary))
			_, err := get(t, cl, "a")
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if own := errors.Is(err, store.ErrOversized); own != (c.want == store.ErrOversized) || own && !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("taken for a document that is too large: %v", err)
			}
			if err != nil && (strings.Contains(err.Error(), canary) || strings.ContainsAny(err.Error(), "\n<")) {
				t.Errorf("the error quotes the answer: %v", err)
			}
			if n := reads.Load(); n != 1 {
				t.Errorf("%d reads, want 1", n)
			}
			if stolen.Load() {
				t.Error("the token went to another host")
			}
		})
	}
}

// A login, a look at the mount or a probe that is answered so says nothing about
// a document; nor is another address asked for what is too large at one.
func TestOnlyADocumentIsTooLarge(t *testing.T) {
	huge := []byte(`{"data":{"data":{"apiKey":"` + strings.Repeat("a", 2<<20) + `"}}}`)
	addr, _ := fake(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(huge) })
	second, reads := fake(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(live)) })
	var ops []string
	c := withToken(addr, "t")
	c.Addresses = append(c.Addresses, second)
	c.Observe = func(op, class string, _ time.Duration) {
		if op == vault.OpRead {
			ops = append(ops, class)
		}
	}
	cl := open(t, c)
	if _, err := get(t, cl, "a"); !errors.Is(err, store.ErrOversized) || reads.Load() != 0 {
		t.Errorf("%v, and %d reads of the second address", err, reads.Load())
	}
	if len(ops) != 1 || ops[0] != vault.ClassUnavailable {
		t.Errorf("counted as %v", ops)
	}
	if err := cl.Healthy(t.Context()); err == nil || errors.Is(err, store.ErrOversized) {
		t.Errorf("a probe: %v", err)
	}
	role := withToken(addr, "")
	role.Auth = vault.Auth{Method: vault.MethodUserpass, Username: "u", Password: secret.New("p")}
	if _, err := get(t, open(t, role), "a"); err == nil || errors.Is(err, store.ErrOversized) {
		t.Errorf("a login: %v", err)
	}
}

func TestThrottledClientPausesEveryKey(t *testing.T) {
	addr, reads := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write([]byte(`{"errors":["request path \"secret/data/a\": rate limit quota exceeded"]}`))
	})
	cl := open(t, withToken(addr, "t"))
	for _, path := range []string{"a", "b"} {
		_, err := get(t, cl, path)
		var throttled *store.ThrottledError
		if !errors.As(err, &throttled) || throttled.After <= 4*time.Second || throttled.After > 5*time.Second {
			t.Errorf("%s: %v", path, err)
		}
	}
	if n := reads.Load(); n != 1 {
		t.Errorf("%d reads, want 1", n)
	}
}

func TestRedirectToAnotherOfOurAddressesIsFollowed(t *testing.T) {
	active, _ := fake(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(live)) })
	standby, _ := fake(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, active+r.URL.Path, http.StatusTemporaryRedirect)
	})
	c := withToken(standby, "t")
	c.Addresses = append(c.Addresses, active)
	want(t, open(t, c), "a", "k")
}

func TestLostAnswerOfAWriteIsReadBack(t *testing.T) {
	var writes atomic.Int32
	addr, _ := fake(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			writes.Add(1)
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write([]byte(live))
	})
	cl := open(t, withToken(addr, "t"))
	v, err := cl.Put(t.Context(), store.Address{Path: "a"}, fieldsOf("k"), 2)
	if err != nil || v != 3 || writes.Load() != 1 {
		t.Errorf("version %d, %v, %d writes", v, err, writes.Load())
	}
	if _, err = cl.Put(t.Context(), store.Address{Path: "a"}, fieldsOf("other"), 2); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a write that was not done: %v", err)
	}
}

// A balancer that got no answer of Vault does not know what became of the write. At
// the next address it would meet its own version, and look like somebody else's.
func TestAWriteWhoseAnswerABalancerLostIsNotMadeAgain(t *testing.T) {
	for _, status := range []int{http.StatusBadGateway, http.StatusGatewayTimeout} {
		answers := func(status int, writes *atomic.Int32) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost {
					_, _ = w.Write([]byte(live))
					return
				}
				writes.Add(1)
				w.WriteHeader(status)
				_, _ = w.Write([]byte(`{"errors":["check-and-set parameter did not match the current version"]}`))
			}
		}
		var writes, again atomic.Int32
		addr, _ := fake(t, answers(status, &writes))
		next, _ := fake(t, answers(http.StatusBadRequest, &again))
		c := withToken(addr, "t")
		c.Addresses = append(c.Addresses, next)
		cl := open(t, c)
		if v, err := cl.Put(t.Context(), store.Address{Path: "a"}, fieldsOf("k"), 2); err != nil || v != 3 {
			t.Errorf("%d: version %d, %v", status, v, err)
		}
		if _, err := cl.Put(t.Context(), store.Address{Path: "a"}, fieldsOf("other"), 2); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%d: a write that was not done: %v", status, err)
		}
		if writes.Load() != 2 || again.Load() != 0 {
			t.Errorf("%d: %d writes, and %d at the next address", status, writes.Load(), again.Load())
		}
	}
}

func TestNewNeitherDialsNorLogsIn(t *testing.T) {
	var hits atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer srv.Close()
	cl, err := vault.New(withToken(srv.URL, "t"))
	if err != nil {
		t.Fatal(err)
	}
	if err := cl.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := cl.Get(t.Context(), store.Address{Path: "a"}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("reading after Close: %v", err)
	}
	if hits.Load() != 0 {
		t.Errorf("%d requests", hits.Load())
	}
}
