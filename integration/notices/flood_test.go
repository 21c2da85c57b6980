package notices

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// TestTenThousandKeysRefusedAtOnceAreTwoMessages has an upstream refuse all it is
// sent.
func TestTenThousandKeysRefusedAtOnceAreTwoMessages(t *testing.T) {
	t.Parallel()
	const customers, workers = 10_000, 16
	r := newRig(t, settings{})
	r.integration("acme", `"forward_webhooks": false`)
	each := func(f func(id string)) {
		var next atomic.Int64
		var work sync.WaitGroup
		for range workers {
			work.Go(func() {
				for n := next.Add(1); n <= customers && !t.Failed(); n = next.Add(1) {
					f(fmt.Sprint("cust-", n))
				}
			})
		}
		work.Wait()
	}
	each(func(id string) { r.connection("acme", id, "key-of-"+id) })
	r.up.CountOnly()
	r.up.Always(harness.Text(http.StatusOK, "ok"))
	call := func(want int) func(id string) {
		return func(id string) {
			if got := r.call("acme", id); got != want {
				t.Errorf("%s: %d, want %d", id, got, want)
			}
		}
	}
	each(call(http.StatusOK))
	before := r.caddy.Heap()

	r.up.Always(harness.Text(http.StatusUnauthorized, "refused"))
	each(call(http.StatusUnauthorized))
	var status struct {
		Totals map[string]int `json:"totals"`
	}
	within(t, 3*time.Minute, "not all are known to be refused", func() bool {
		began := time.Now()
		if err := json.Unmarshal([]byte(r.must(http.MethodGet, "/status?limit=100", "")), &status); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 2*time.Second { // 200 ms where nothing else runs
			t.Errorf("the status took %s", took)
		}
		return status.Totals["auth_failed"] == customers
	})
	told := func() (n int) {
		for _, m := range r.slack.got() {
			var count int
			if _, rest, ok := strings.Cut(m.raw, ":red_circle: *"); ok {
				_, _ = fmt.Sscan(strings.ReplaceAll(rest[:strings.IndexByte(rest, ' ')], ",", ""), &count)
			}
			n += count
		}
		return n
	}
	within(t, 3*time.Minute, "not all were told", func() bool { return told() == customers })
	if n := len(r.slack.got()); n > 2 {
		t.Errorf("Slack got %d messages", n)
	}
	if after := r.caddy.Heap(); after > before+before/10+8<<20 {
		t.Errorf("%d bytes of heap, %d before", after, before)
	}
}
