package gateway

// This file holds what a process leaves that is killed while it writes.

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// TestKilledAtAnyMomentOfAWrite kills Caddy a hundred times while it enters a
// key. Whatever moment that was, the connection has the old key or the new one
// afterwards, whole, and can be written again once what was cut off is swept.
func TestKilledAtAnyMomentOfAWrite(t *testing.T) {
	t.Parallel()
	const tries, atOnce = 100, 4
	home := t.TempDir()
	r := newRig(t, settings{local: true, options: []harness.Option{harness.Home(home)}})
	config := r.config
	r.integration("acme", "")
	for i := range tries {
		r.connection("acme", fmt.Sprintf("cust-%d", i), fmt.Sprintf("old-%d", i))
	}
	answered := make([]bool, tries)
	for first := 0; first < tries; first += atOnce {
		// Each round kills at another moment of the writes: they take some
		// milliseconds each, with the waits for the disk.
		done := make(chan struct{})
		for i := first; i < first+atOnce; i++ {
			go func() {
				defer func() { done <- struct{}{} }()
				answered[i] = r.tries(http.MethodPut, fmt.Sprintf("/connections/cust-%d/credentials?provider_config_key=acme", i),
					fmt.Sprintf(`{"type": "API_KEY", "apiKey": "new-%d"}`, i)) == http.StatusOK
			}()
		}
		kill := time.NewTimer(time.Duration(first/atOnce) * 1500 * time.Microsecond)
		<-kill.C
		r.caddy.Kill()
		for range atOnce {
			<-done
		}
		r.caddy = harness.StartCaddy(t, config, harness.Home(home), harness.Env("OPS="+ops))
	}
	var news, olds int
	for i := range tries {
		r.up.Forget()
		a := r.proxy("acme", fmt.Sprintf("cust-%d", i), http.MethodGet, "/", "")
		got := r.up.Requests()
		if a.status != http.StatusOK || len(got) != 1 {
			t.Errorf("cust-%d: %d %s", i, a.status, a.body)
			continue
		}
		switch key := strings.Join(got[0].Values("Authorization"), ","); {
		case key == fmt.Sprintf("Api-Key new-%d", i):
			news++
		case key == fmt.Sprintf("Api-Key old-%d", i) && !answered[i]:
			olds++
		default:
			t.Errorf("cust-%d: the upstream got %q; the write was answered: %v", i, key, answered[i])
		}
	}
	t.Logf("%d new keys, %d old ones, %d writes answered", news, olds, count(answered))
	if news == count(answered) && olds == 0 || news == 0 {
		t.Error("no kill came in the middle of a write: this shows nothing")
	}
	// A write that was cut off is ended by a sweep, which takes what is older
	// than a minute.
	until(t, 3*time.Minute, "every connection can be written again", func() bool {
		for i := range tries {
			if r.tries(http.MethodPut, fmt.Sprintf("/connections/cust-%d/credentials?provider_config_key=acme", i), `{"type": "API_KEY", "apiKey": "last"}`) != http.StatusOK {
				return false
			}
		}
		return true
	})
}

func count(list []bool) int {
	return len(slices.DeleteFunc(slices.Clone(list), func(b bool) bool { return !b }))
}
