// Reloads while the gateway and the API are at work.

package gateway

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// Built with HARNESS_RACE=1 a race shows, too.
func TestReloadsBreakNoCallAndLeaveNothingBehind(t *testing.T) {
	const reloads = 10
	r := newRig(t, settings{local: true, site: "\trespond /generation 0\n"})
	r.integration("acme", "")
	for n := range 4 {
		r.connection("acme", fmt.Sprint("cust-", n), fmt.Sprint("key-", n))
	}
	r.up.CountOnly()
	var refusals atomic.Int32
	r.up.Answer(func(q *harness.Request) harness.Answer {
		if refusals.Add(1)%5 == 0 { // what is retried is under way across a reload, too
			return harness.Text(http.StatusServiceUnavailable, "")
		}
		return harness.Text(http.StatusOK, strings.Join(q.Values("Authorization"), ","))
	})
	load := func(generation int) {
		if err := r.caddy.Load(strings.Replace(r.config, "respond /generation 0", fmt.Sprint("respond /generation ", generation), 1)); err != nil {
			t.Fatal(err)
		}
	}
	load(-1)
	before := r.caddy.Goroutines()

	stop := make(chan struct{})
	var work sync.WaitGroup
	var calls atomic.Int32
	for n := range 4 {
		work.Go(func() {
			client := harness.HTTP1Client(t, nil)
			for {
				select {
				case <-stop:
					return
				default:
				}
				// The last one also writes: a key that is entered again and again.
				if n == 3 {
					status := r.tries(http.MethodPost, "/connections", entering("acme", "cust-3", "key-3"))
					if status != http.StatusCreated && status != 0 { // 0: an idle connection was closed as it was used
						t.Errorf("entering a key: %d", status)
					}
				}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.addr()+"/proxy/", nil)
				if err != nil {
					t.Error(err)
					return
				}
				req.Header = http.Header{"Authorization": {"Bearer " + ops}, "Provider-Config-Key": {"acme"}, "Connection-Id": {fmt.Sprint("cust-", n)}, "Retries": {"5"}}
				res, err := harness.Do(client, req)
				if err != nil {
					t.Error(err)
					return
				}
				body, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if res.StatusCode != http.StatusOK || string(body) != fmt.Sprint("Api-Key key-", n) {
					t.Errorf("customer %d: %d %s", n, res.StatusCode, body)
				}
				calls.Add(1)
			}
		})
	}
	for n := range reloads {
		load(n + 1)
	}
	close(stop)
	work.Wait()
	if calls.Load() < reloads {
		t.Errorf("only %d calls were made", calls.Load())
	}
	load(reloads + 1) // idle connections go with the configuration that made them,
	// but for those of a call that was sent again after that. They stay for the
	// two minutes of any idle connection of reverse_proxy.
	r.up.CutConnections()
	until(t, 20*time.Second, fmt.Sprintf("not back within 8 of the %d goroutines before", before), func() bool {
		return r.caddy.Goroutines() <= before+8
	})
	if strings.Contains(r.caddy.Log.String(), "DATA RACE") {
		t.Errorf("a data race: %s", r.caddy.Log.String())
	}
}
