package lifecycle

// This file holds what can befall a Vault that served before (G2, G10).

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// fault is something that befalls a Vault, and how it ends.
type fault struct {
	raft    bool // the server keeps its data when it is killed
	proxied bool // the fault is the way's, not the server's
	begin   func(*vaulttest.Server, *vaulttest.Proxy)
	end     func(*vaulttest.Server, *vaulttest.Proxy)
	log     string // how it shows. Default: the store is away
}

// answering is a fault of the way to Vault: something else answers.
func answering(h http.HandlerFunc) fault {
	return fault{
		proxied: true,
		begin:   func(_ *vaulttest.Server, p *vaulttest.Proxy) { p.Fault(h) },
		end:     func(_ *vaulttest.Server, p *vaulttest.Proxy) { p.Fault(nil) },
	}
}

func TestG2AndG10NoFaultOfVaultFailsARequest(t *testing.T) {
	t.Parallel()
	var stolen atomic.Int32
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
	t.Cleanup(thief.Close)
	t.Cleanup(func() {
		if n := stolen.Load(); n > 0 {
			t.Errorf("%d requests went to a host that Vault is not", n)
		}
	})
	faults := map[string]fault{
		"sealed": {
			begin: func(v *vaulttest.Server, _ *vaulttest.Proxy) { v.Seal() },
			end:   func(v *vaulttest.Server, _ *vaulttest.Proxy) { v.Unseal() },
		},
		"killed and restarted": {
			raft:  true,
			begin: func(v *vaulttest.Server, _ *vaulttest.Proxy) { v.Stop() },
			end:   func(v *vaulttest.Server, _ *vaulttest.Proxy) { v.Restart(); v.Unseal() },
		},
		"hanging": {
			begin: func(v *vaulttest.Server, _ *vaulttest.Proxy) { v.Pause() },
			end:   func(v *vaulttest.Server, _ *vaulttest.Proxy) { v.Resume() },
		},
		"connections reset": answering(vaulttest.Reset.ServeHTTP),
		"HTML": answering(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<html><body>It works!</body></html>"))
		}),
		"HTML of a 404": answering(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte("<html><body>not here</body></html>"))
		}),
		"truncated JSON": answering(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"data":{"data":{"apiKey":"key-`))
		}),
		"huge": answering(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			chunk := []byte(strings.Repeat("a", 1<<20))
			_, _ = w.Write([]byte(`{"data":{"data":{"apiKey":"`))
			for range 200 {
				if _, err := w.Write(chunk); err != nil {
					return // nobody reads on
				}
			}
		}),
		"redirecting elsewhere": answering(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, thief.URL+r.URL.Path, http.StatusTemporaryRedirect)
		}),
		"throttling": answering(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "2")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(`{"errors":["request path \"secret/\": rate limit quota exceeded"]}`))
		}),
	}
	f := faults["throttling"]
	f.log = "the store asks to be left alone"
	faults["throttling"] = f
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			befall(t, f)
		})
	}
}

// befall runs one fault under load: no request fails, the key is followed again
// afterwards by itself, and nothing is left behind.
func befall(t *testing.T, f fault) {
	v := server(t, f)
	p := v.Proxy(t)
	s := settings{}
	if f.proxied {
		s.address = p.Addr
	}
	st := newStand(t, v, s)
	was := st.baseline()

	l := st.load()
	mark := st.caddy.Log.Mark()
	f.begin(v, p)
	<-time.After(faultTime(t))
	shown := f.log
	if shown == "" {
		shown = "the store is away"
	}
	if !strings.Contains(st.caddy.Log.Since(mark), shown) {
		t.Errorf("the fault did not show in the log: %s", st.caddy.Log.Since(mark))
	}
	f.end(v, p)

	ended := time.Now()
	l.versions[1].Store(2)
	v.Put("pinned/0", map[string]any{"apiKey": "key-0-v2"})
	// Probes are 4 s apart at most, and the ttl is 1 s.
	st.until("/p0", "", "key-0-v2", 10*time.Second)
	t.Logf("a value written after the fault was in use %s after its end", time.Since(ended).Round(10*time.Millisecond))
	l.stop(t)
	if n := strings.Count(st.caddy.Log.Since(mark), shown); n != 1 {
		t.Errorf("one change of state is logged %d times", n)
	}
	v.Put("pinned/0", map[string]any{"apiKey": "key-0-v1"}) // what the baseline saw
	st.back(was)
}

func server(t *testing.T, f fault) *vaulttest.Server {
	t.Helper()
	if f.raft {
		return vaulttest.StartRaft(t)
	}
	return vaulttest.Start(t)
}
